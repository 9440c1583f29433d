# Where the disagreement of replicates comes from: variance by source of randomness.


def compared_ensembles(entry):
    """The ensembles of all sources of randomness, each once."""
    return list(dict.fromkeys(name for names in entry["sources"].values() for name in names))


def randomness_inputs(wildcards):
    """Effects of all ensembles with their contrasts, or predictions with their sequences."""
    entry = config["randomness"][wildcards.randomness]
    ensembles = compared_ensembles(entry)
    if entry["quantity"] == "effect":
        return {
            "data": [f"<results>/effects/{name}/{entry['set']}.parquet" for name in ensembles],
            "contrasts": f"<results>/contrasts/{entry['set']}.parquet",
        }
    return {
        "data": [shard for name in ensembles for shard in prediction_shards(name, entry["set"])],
        "sequences": f"<results>/sequences/{entry['set']}.parquet",
    }


def randomness_ensembles(wildcards):
    """The ensembles in the order of their data, with the names of their replicates."""
    entry = config["randomness"][wildcards.randomness]
    return {name: replicates(name) for name in compared_ensembles(entry)}


rule randomness:
    input:
        unpack(randomness_inputs),
    output:
        "<results>/randomness/{randomness}.tsv",
    log:
        "<results>/logs/randomness/{randomness}.log",
    benchmark:
        "<results>/benchmarks/randomness/{randomness}.jsonl"
    conda:
        "../envs/cpu.yaml"
    resources:
        mem_mb=lambda wildcards, input, attempt: int(1000 + 6 * input.size_mb) * attempt,
    params:
        settings=lookup("randomness/{randomness}", within=config),
        ensembles=randomness_ensembles,
        seed=config["seed"],
        code=code_digest("randomness"),
    script:
        "../scripts/randomness.py"


rule figure_randomness:
    input:
        expand("<results>/randomness/{randomness}.tsv", randomness=config["randomness"]),
    output:
        report(
            "<results>/figures/randomness.png",
            caption="captions/randomness.rst",
            category="Replicate uncertainty",
            labels={"figure": "Sources of randomness", "format": "PNG"},
        ),
        report(
            "<results>/figures/randomness.pdf",
            caption="captions/randomness.rst",
            category="Replicate uncertainty",
            labels={"figure": "Sources of randomness", "format": "PDF"},
        ),
        "<results>/figures/randomness.tsv",
    log:
        "<results>/logs/figure_randomness.log",
    benchmark:
        "<results>/benchmarks/figure_randomness.jsonl"
    localrule: True
    conda:
        "../envs/cpu.yaml"
    params:
        labels={name: entry["label"] for name, entry in config["randomness"].items()},
        toy=config["toy"],
        code=code_digest("figure_randomness"),
    script:
        "../scripts/figure_randomness.py"
