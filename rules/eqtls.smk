# Signs of eQTL effects: tissues, votes, pairs of replicates, attributes, states, bounds.


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
