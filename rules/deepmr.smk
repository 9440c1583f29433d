# Deep MR: instruments, local and global effects, controls, and what published choices change.


rule deep_mr_recalibration:
    input:
        unpack(deep_mr_recalibration_inputs),
    output:
        maps="<results>/deepmr/{deepmr}.recalibration.json",
        reliability="<results>/deepmr/{deepmr}.reliability.tsv",
    log:
        "<results>/logs/deep_mr_recalibration/{deepmr}.log",
    benchmark:
        "<results>/benchmarks/deep_mr_recalibration/{deepmr}.jsonl"
    conda:
        "../envs/cpu.yaml"
    resources:
        mem_mb=lambda wildcards, input, attempt: int(1000 + 6 * input.size_mb) * attempt,
        runtime=attempted(30),
    params:
        replicates=deep_mr_replicates,
        output=lambda wildcards: deep_mr_maps(wildcards.deepmr)["output"],
        scale=lookup("deep_mr/{deepmr}/scale", within=config),
        tracks_of=lookup("deep_mr/{deepmr}/task_tracks", within=config, default=None),
        settings=lambda wildcards: deep_mr_recalibration(wildcards.deepmr)[1],
        kinds=deep_mr_kinds,
        code=code_digest("deep_mr_recalibration"),
    script:
        "../scripts/deep_mr_recalibration.py"


rule deep_mr_moments:
    input:
        unpack(deep_mr_shard_inputs),
    output:
        "<results>/deepmr/{deepmr}/moments/{part}.json",
    log:
        "<results>/logs/deep_mr_moments/{deepmr}.{part}.log",
    benchmark:
        "<results>/benchmarks/deep_mr_moments/{deepmr}.{part}.jsonl"
    conda:
        "../envs/cpu.yaml"
    resources:
        mem_mb=lambda wildcards, input, attempt: int(1000 + 20 * input.size_mb) * attempt,
        runtime=attempted(30),
    params:
        replicates=deep_mr_replicates,
        ism=lookup("deep_mr/{deepmr}/ism", within=config),
        scale=lookup("deep_mr/{deepmr}/scale", within=config),
        se=lookup("deep_mr/{deepmr}/se", within=config),
        tracks_of=lookup("deep_mr/{deepmr}/task_tracks", within=config, default=None),
        kind=lambda wildcards: deep_mr_recalibration(wildcards.deepmr)[0],
        code=code_digest("deep_mr_moments"),
    script:
        "../scripts/deep_mr_moments.py"


rule deep_mr_instruments:
    input:
        unpack(deep_mr_instrument_inputs),
    output:
        "<results>/deepmr/{deepmr}/instruments/{part}.parquet",
    log:
        "<results>/logs/deep_mr_instruments/{deepmr}.{part}.log",
    benchmark:
        "<results>/benchmarks/deep_mr_instruments/{deepmr}.{part}.jsonl"
    wildcard_constraints:
        part="[0-9]+-of-[0-9]+",
    conda:
        "../envs/cpu.yaml"
    resources:
        mem_mb=lambda wildcards, input, attempt: int(1000 + 30 * input.size_mb) * attempt,
        runtime=attempted(60),
    params:
        replicates=deep_mr_replicates,
        ism=lookup("deep_mr/{deepmr}/ism", within=config),
        kind=lambda wildcards: deep_mr_recalibration(wildcards.deepmr)[0],
        settings=lookup("deep_mr/{deepmr}", within=config),
        code=code_digest("deep_mr_instruments"),
    script:
        "../scripts/deep_mr_instruments.py"


rule deep_mr_table:
    input:
        lambda wildcards: data_path(DEEP_MR[wildcards.deepmr]["summary_statistics"]["path"]),
    output:
        "<results>/deepmr/{deepmr}/instruments/table.parquet",
    log:
        "<results>/logs/deep_mr_table/{deepmr}.log",
    benchmark:
        "<results>/benchmarks/deep_mr_table/{deepmr}.jsonl"
    conda:
        "../envs/cpu.yaml"
    params:
        settings=lookup("deep_mr/{deepmr}", within=config),
        code=code_digest("deep_mr_table"),
    script:
        "../scripts/deep_mr_table.py"


rule deep_mr_local:
    input:
        "<results>/deepmr/{deepmr}/instruments/{part}.parquet",
    output:
        local="<results>/deepmr/{deepmr}/local/{part}.parquet",
        diagnostics="<results>/deepmr/{deepmr}/diagnostics/{part}.parquet",
    log:
        "<results>/logs/deep_mr_local/{deepmr}.{part}.log",
    benchmark:
        "<results>/benchmarks/deep_mr_local/{deepmr}.{part}.jsonl"
    conda:
        "../envs/cpu.yaml"
    resources:
        mem_mb=lambda wildcards, input, attempt: int(2000 + 200 * input.size_mb) * attempt,
        runtime=attempted(240),
    params:
        settings=lookup("deep_mr/{deepmr}", within=config),
        seed=config["seed"],
        code=code_digest("deep_mr_local"),
    script:
        "../scripts/deep_mr_local.py"


rule deep_mr_global:
    input:
        unpack(deep_mr_global_inputs),
    output:
        local="<results>/deepmr/{deepmr}.local.parquet",
        diagnostics="<results>/deepmr/{deepmr}.diagnostics.parquet",
        effects="<results>/deepmr/{deepmr}.global.tsv",
        directions="<results>/deepmr/{deepmr}.directions.tsv",
        verdicts="<results>/deepmr/{deepmr}.verdicts.tsv",
        controls="<results>/deepmr/{deepmr}.controls.tsv",
        control_effects="<results>/deepmr/{deepmr}.control_effects.tsv",
        scatter="<results>/deepmr/{deepmr}.scatter.tsv",
        counts="<results>/deepmr/{deepmr}.counts.tsv",
        statistics="<results>/deepmr/{deepmr}.statistics.tsv",
        headlines="<results>/deepmr/{deepmr}.headlines.tsv",
    log:
        "<results>/logs/deep_mr_global/{deepmr}.log",
    benchmark:
        "<results>/benchmarks/deep_mr_global/{deepmr}.jsonl"
    conda:
        "../envs/cpu.yaml"
    resources:
        mem_mb=deep_mr_memory,
        runtime=attempted(60),
    params:
        settings=lookup("deep_mr/{deepmr}", within=config),
        seed=config["seed"],
        code=code_digest("deep_mr_global"),
    script:
        "../scripts/deep_mr_global.py"


rule deep_mr_changes:
    input:
        lambda wildcards: deep_mr_parts(wildcards.deepmr, "instruments", "parquet"),
    output:
        "<results>/deepmr/{deepmr}.changes.tsv",
    log:
        "<results>/logs/deep_mr_changes/{deepmr}.log",
    benchmark:
        "<results>/benchmarks/deep_mr_changes/{deepmr}.jsonl"
    conda:
        "../envs/cpu.yaml"
    resources:
        mem_mb=lambda wildcards, input, attempt: int(2000 + 60 * input.size_mb) * attempt,
        runtime=attempted(240),
    params:
        settings=lookup("deep_mr/{deepmr}", within=config),
        seed=config["seed"],
        code=code_digest("deep_mr_changes"),
    script:
        "../scripts/deep_mr_changes.py"


rule deep_mr_spacing:
    input:
        unpack(deep_mr_spacing_inputs),
    output:
        "<results>/deepmr/{deepmr}.spacing.tsv",
    log:
        "<results>/logs/deep_mr_spacing/{deepmr}.log",
    benchmark:
        "<results>/benchmarks/deep_mr_spacing/{deepmr}.jsonl"
    conda:
        "../envs/cpu.yaml"
    resources:
        mem_mb=lambda wildcards, input, attempt: int(2000 + 60 * input.size_mb) * attempt,
        runtime=attempted(60),
    params:
        settings=lookup("deep_mr/{deepmr}", within=config),
        seed=config["seed"],
        code=code_digest("deep_mr_spacing"),
    script:
        "../scripts/deep_mr_spacing.py"


for deep_mr_panel, deep_mr_title in DEEP_MR_FIGURES.items():

    rule:
        name:
            f"figure_deep_mr_{deep_mr_panel}"
        input:
            **deep_mr_figure_inputs(deep_mr_panel),
        output:
            report(
                f"<results>/figures/deep_mr_{deep_mr_panel}.png",
                caption=f"captions/deep_mr_{deep_mr_panel}.rst",
                category="Deep MR",
                labels={"figure": deep_mr_title, "format": "PNG"},
            ),
            report(
                f"<results>/figures/deep_mr_{deep_mr_panel}.pdf",
                caption=f"captions/deep_mr_{deep_mr_panel}.rst",
                category="Deep MR",
                labels={"figure": deep_mr_title, "format": "PDF"},
            ),
            f"<results>/figures/deep_mr_{deep_mr_panel}.tsv",
        log:
            f"<results>/logs/figure_deep_mr_{deep_mr_panel}.log",
        benchmark:
            f"<results>/benchmarks/figure_deep_mr_{deep_mr_panel}.jsonl"
        localrule: True
        conda:
            "../envs/cpu.yaml"
        params:
            labels={name: DEEP_MR[name]["label"] for name in DEEP_MR_ENTRIES[deep_mr_panel]},
            panel=deep_mr_panel,
            toy=config["toy"],
            code=code_digest("figure_deep_mr"),
        script:
            "../scripts/figure_deep_mr.py"
