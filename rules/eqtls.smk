# Signs of eQTL effects: tissues, votes, pairs of replicates, attributes, states, bounds.


def eqtl_parts(wildcards):
    """Score, kind and output of every verdict of an eQTL analysis."""
    return [
        [name, kind, VERDICTS[score[kind]]["output"]]
        for name, score in EQTL_ANALYSES[wildcards.eqtls]["scores"].items()
        for kind in ("positives", "negatives")
        if kind in score
    ]


def eqtl_verdicts(wildcards):
    """The names of these verdicts, in the same order."""
    scores = EQTL_ANALYSES[wildcards.eqtls]["scores"]
    return [scores[name][kind] for name, kind, _ in eqtl_parts(wildcards)]


def eqtl_states(wildcards):
    """The BED of chromatin states of every tissue; of `all` where there is one for all."""
    given = EQTL_ANALYSES[wildcards.eqtls].get("states", {})
    given = {"all": given} if isinstance(given, str) else given
    return {tissue: data_path(path) for tissue, path in given.items()}


def eqtl_state_tissues(wildcards):
    return list(eqtl_states(wildcards))


def eqtl_published(wildcards):
    """The scores that published values stand beside."""
    scores = EQTL_ANALYSES[wildcards.eqtls]["scores"]
    return {name: score for name, score in scores.items() if "published" in score}


def eqtl_unit_inputs(wildcards):
    verdicts = eqtl_verdicts(wildcards)
    entries = [VERDICTS[name] for name in verdicts]
    files = {
        "verdicts": [f"<results>/verdicts/{name}.parquet" for name in verdicts],
        "effects": [
            f"<results>/effects/{entry['ensemble']}/{entry['set']}.parquet" for entry in entries
        ],
        "contrasts": [f"<results>/contrasts/{entry['set']}.parquet" for entry in entries],
        "states": list(eqtl_states(wildcards).values()),
    }
    return files | given_paths(EQTL_ANALYSES[wildcards.eqtls], "conservation")


def eqtl_table_inputs(wildcards):
    sets = [VERDICTS[name]["set"] for name in eqtl_verdicts(wildcards)]
    return {
        "units": f"<results>/eqtls/{wildcards.eqtls}.units.parquet",
        "filters": [f"<results>/sequences/{name}.filters.tsv" for name in sets],
        "states": list(eqtl_states(wildcards).values()),
        "published": [
            data_path(score["published"]["table"]) for score in eqtl_published(wildcards).values()
        ],
    }


rule eqtl_units:
    input:
        unpack(eqtl_unit_inputs),
    output:
        "<results>/eqtls/{eqtls}.units.parquet",
    log:
        "<results>/logs/eqtl_units/{eqtls}.log",
    benchmark:
        "<results>/benchmarks/eqtl_units/{eqtls}.jsonl"
    conda:
        "../envs/cpu.yaml"
    resources:
        mem_mb=lambda wildcards, input, attempt: int(1000 + 20 * input.size_mb) * attempt,
    params:
        parts=eqtl_parts,
        tissues=eqtl_state_tissues,
        code=code_digest("eqtl_units"),
    script:
        "../scripts/eqtl_units.py"


rule eqtl_tables:
    input:
        unpack(eqtl_table_inputs),
    output:
        **{name: f"<results>/eqtls/{{eqtls}}.{name}.tsv" for name in EQTL_TABLES},
    log:
        "<results>/logs/eqtl_tables/{eqtls}.log",
    benchmark:
        "<results>/benchmarks/eqtl_tables/{eqtls}.jsonl"
    conda:
        "../envs/cpu.yaml"
    resources:
        mem_mb=lambda wildcards, input, attempt: int(1000 + 40 * input.size_mb) * attempt,
        runtime=lambda wildcards, attempt: 30 * attempt,
    params:
        settings=lookup("eqtl_analyses/{eqtls}", within=config),
        parts=eqtl_parts,
        tissues=eqtl_state_tissues,
        published=lambda wildcards: {
            name: score["published"]["assay"] for name, score in eqtl_published(wildcards).items()
        },
        seed=config["seed"],
        code=code_digest("eqtl_tables"),
    script:
        "../scripts/eqtl_tables.py"


for eqtl_figure, eqtl_label in EQTL_FIGURES.items():

    rule:
        name:
            f"figure_eqtl_{eqtl_figure}"
        input:
            expand(f"<results>/eqtls/{{eqtls}}.{eqtl_figure}.tsv", eqtls=EQTL_ANALYSES),
        output:
            report(
                f"<results>/figures/eqtl_{eqtl_figure}.png",
                caption=f"captions/eqtl_{eqtl_figure}.rst",
                category="Replicate uncertainty",
                labels={"figure": eqtl_label, "format": "PNG"},
            ),
            report(
                f"<results>/figures/eqtl_{eqtl_figure}.pdf",
                caption=f"captions/eqtl_{eqtl_figure}.rst",
                category="Replicate uncertainty",
                labels={"figure": eqtl_label, "format": "PDF"},
            ),
            f"<results>/figures/eqtl_{eqtl_figure}.tsv",
        log:
            f"<results>/logs/figure_eqtl_{eqtl_figure}.log",
        benchmark:
            f"<results>/benchmarks/figure_eqtl_{eqtl_figure}.jsonl"
        localrule: True
        conda:
            "../envs/cpu.yaml"
        params:
            analyses=EQTL_ANALYSES,
            figure=eqtl_figure,
            toy=config["toy"],
            code=code_digest("figure_eqtls"),
        script:
            "../scripts/figure_eqtls.py"
