# Ensembles: replicates trained here, or imported from published weights.


rule train_replicate:
    input:
        unpack(training_inputs),
        fasta=fasta,
    output:
        "<results>/ensembles/{ensemble}/{replicate}.safetensors",
    log:
        "<results>/logs/train_replicate/{ensemble}.{replicate}.log",
    benchmark:
        "<results>/benchmarks/train_replicate/{ensemble}.{replicate}.jsonl"
    wildcard_constraints:
        ensemble=names(ensembles_of_kind("train")),
    conda:
        "../envs/gpu.yaml"
    threads: lookup("ensembles/{ensemble}/threads", within=config)
    resources:
        gpu=lambda wildcards: ENSEMBLES[wildcards.ensemble]["gpu"],
        mem_mb=lambda wildcards, input, attempt: int(4000 + 10 * input.size_mb) * attempt,
        runtime=lambda wildcards, attempt: 240 * attempt,
    params:
        settings=lookup("ensembles/{ensemble}/model/train", within=config),
        seed=lambda wildcards: config["seed"] + replicate_index(wildcards),
        assembly=lookup("ensembles/{ensemble}/assembly", within=config),
        build=build,
        code=code_digest("train_replicate"),
    script:
        "../scripts/train_replicate.py"


rule import_replicate:
    input:
        weights=lambda wildcards: data_path(
            ENSEMBLES[wildcards.ensemble]["model"]["import"]["files"][replicate_index(wildcards)]
        ),
    output:
        "<results>/ensembles/{ensemble}/{replicate}.safetensors",
    log:
        "<results>/logs/import_replicate/{ensemble}.{replicate}.log",
    benchmark:
        "<results>/benchmarks/import_replicate/{ensemble}.{replicate}.jsonl"
    wildcard_constraints:
        ensemble=names(ensembles_of_kind("import")),
    localrule: True
    conda:
        "../envs/gpu.yaml"
    params:
        settings=lookup("ensembles/{ensemble}/model/import", within=config),
        build=build,
        code=code_digest("import_replicate"),
    script:
        "../scripts/import_replicate.py"
