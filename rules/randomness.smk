# Where the disagreement of replicates comes from: variance by source of randomness.


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
