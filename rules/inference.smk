# Inference: one job per replicate and shard of a sequence set.


rule predict:
    input:
        sequences="<results>/sequences/{set}.parquet",
        replicate="<results>/ensembles/{ensemble}/{replicate}.safetensors",
    output:
        "<results>/predictions/{ensemble}/{set}/{replicate}/{scatteritem}.parquet",
    log:
        "<results>/logs/predict/{ensemble}.{set}.{replicate}.{scatteritem}.log",
    benchmark:
        "<results>/benchmarks/predict/{ensemble}.{set}.{replicate}.{scatteritem}.jsonl"
    conda:
        "../envs/gpu.yaml"
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
