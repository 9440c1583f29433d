# Inference: one job per shard of a sequence set, and per replicate unless they go together.


rule predict:
    input:
        sequences="<results>/sequences/{set}.parquet",
        replicates=["<results>/ensembles/{ensemble}/{replicate}.safetensors"],
        sources=own_sources,
    output:
        "<results>/predictions/{ensemble}/{set}/{replicate}/{scatteritem}.parquet",
    log:
        "<results>/logs/predict/{ensemble}.{set}.{replicate}.{scatteritem}.log",
    benchmark:
        "<results>/benchmarks/predict/{ensemble}.{set}.{replicate}.{scatteritem}.jsonl"
    wildcard_constraints:
        ensemble=names(set(ENSEMBLES) - {*ensembles_of_kind("table"), *TOGETHER}),
    conda:
        environment
    threads: lookup("ensembles/{ensemble}/threads", within=config)
    resources:
        gpu=lambda wildcards: ENSEMBLES[wildcards.ensemble]["gpu"],
        mem_mb=lambda wildcards, input, attempt: int(2000 + 3 * input.size_mb) * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
    params:
        outputs=lookup("ensembles/{ensemble}/outputs", within=config),
        settings=lookup("ensembles/{ensemble}/inference", within=config),
        code=code_digest("predict"),
    script:
        "../scripts/predict.py"


# the files of all replicates are outputs of one job, so each ensemble needs a rule of its own
for ensemble in TOGETHER:

    rule:
        name:
            f"predict_{ensemble}_together"
        input:
            sequences="<results>/sequences/{set}.parquet",
            replicates=replicate_files_of(ensemble),
            sources=sources_of(ensemble),
        output:
            predictions_of_all(ensemble),
        log:
            f"<results>/logs/predict/{ensemble}.{{set}}.all.{{scatteritem}}.log",
        benchmark:
            f"<results>/benchmarks/predict/{ensemble}.{{set}}.all.{{scatteritem}}.jsonl"
        conda:
            environment_of(ensemble)
        threads: ENSEMBLES[ensemble]["threads"]
        resources:
            gpu=ENSEMBLES[ensemble]["gpu"],
            mem_mb=memory_of_all(ensemble),
            runtime=attempted(60 * len(replicates(ensemble))),
        params:
            outputs=ENSEMBLES[ensemble]["outputs"],
            settings=ENSEMBLES[ensemble]["inference"],
            code=code_digest("predict"),
        script:
            "../scripts/predict.py"


rule ism:
    input:
        unpack(map_inputs),
    output:
        "<results>/ism/{ism}/{replicate}/{scatteritem}.parquet",
    log:
        "<results>/logs/ism/{ism}.{replicate}.{scatteritem}.log",
    benchmark:
        "<results>/benchmarks/ism/{ism}.{replicate}.{scatteritem}.jsonl"
    conda:
        environment
    threads: lambda wildcards: mapped_ensemble(wildcards)["threads"]
    resources:
        gpu=lambda wildcards: mapped_ensemble(wildcards)["gpu"],
        mem_mb=lambda wildcards, input, attempt: int(3000 + 3 * input.size_mb) * attempt,
        runtime=lambda wildcards, attempt: 120 * attempt,
    params:
        outputs=mapped_output,
        inference=lambda wildcards: mapped_ensemble(wildcards)["inference"],
        region=lookup("ism/{ism}/region", within=config, default=None),
        savings=lookup("ism/{ism}/savings", within=config),
        code=code_digest("ism"),
    script:
        "../scripts/ism.py"


rule tabled_predictions:
    input:
        sequences="<results>/sequences/{set}.parquet",
        replicate="<results>/ensembles/{ensemble}/{replicate}.safetensors",
        table=table_of,
    output:
        "<results>/predictions/{ensemble}/{set}/{replicate}/{scatteritem}.parquet",
    log:
        "<results>/logs/tabled_predictions/{ensemble}.{set}.{replicate}.{scatteritem}.log",
    benchmark:
        "<results>/benchmarks/tabled_predictions/{ensemble}.{set}.{replicate}.{scatteritem}.jsonl"
    wildcard_constraints:
        ensemble=names(ensembles_of_kind("table")),
    conda:
        "../envs/cpu.yaml"
    resources:
        mem_mb=lambda wildcards, input, attempt: int(2000 + 30 * input.size_mb) * attempt,
        runtime=attempted(30),
    params:
        outputs=lookup("ensembles/{ensemble}/outputs", within=config),
        inference=lookup("ensembles/{ensemble}/inference", within=config),
        noise_floor=lookup("ensembles/{ensemble}/model/table/noise_floor", within=config),
        code=code_digest("tabled_predictions"),
    script:
        "../scripts/tabled_predictions.py"
