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
        environment
    threads: training_threads
    resources:
        gpu=lambda wildcards: ENSEMBLES[wildcards.ensemble]["gpu"],
        mem_mb=training_memory,
        runtime=lambda wildcards, attempt: (
            int(60 * ENSEMBLES[wildcards.ensemble]["model"]["train"]["hours"]) * attempt
        ),
    params:
        settings=training_settings,
        state=lambda wildcards, output: str(Path(output[0]).with_suffix(".training.safetensors")),
        seed=lambda wildcards: config["seed"] + replicate_index(wildcards),
        assembly=lookup("ensembles/{ensemble}/assembly", within=config),
        build=build,
        code=code_digest("train_replicate"),
    script:
        "../scripts/train_replicate.py"


rule import_replicate:
    input:
        unpack(import_inputs),
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
        environment
    params:
        settings=lookup("ensembles/{ensemble}/model/import", within=config),
        assembly=lookup("ensembles/{ensemble}/assembly", within=config),
        build=build,
        code=code_digest("import_replicate"),
    script:
        "../scripts/import_replicate.py"


rule import_own:
    input:
        unpack(own_inputs),
    output:
        "<results>/ensembles/{ensemble}/{replicate}.safetensors",
    log:
        "<results>/logs/import_own/{ensemble}.{replicate}.log",
    benchmark:
        "<results>/benchmarks/import_own/{ensemble}.{replicate}.jsonl"
    wildcard_constraints:
        ensemble=names(ensembles_of_kind("own")),
    conda:
        "../envs/gpu.yaml"
    threads: lookup("ensembles/{ensemble}/threads", within=config)
    resources:
        mem_mb=lambda wildcards, input, attempt: int(4000 + 10 * input.size_mb) * attempt,
        runtime=attempted(60),
    params:
        network=own_network,
        facts=lookup("ensembles/{ensemble}/model/own/facts", within=config),
        assembly=lookup("ensembles/{ensemble}/assembly", within=config),
        build=build,
        code=code_digest("import_own"),
    script:
        "../scripts/import_own.py"


rule mask_replicate:
    input:
        replicate=masked_replicate,
        sources=own_sources,
    output:
        "<results>/ensembles/{ensemble}/{replicate}.safetensors",
    log:
        "<results>/logs/mask_replicate/{ensemble}.{replicate}.log",
    benchmark:
        "<results>/benchmarks/mask_replicate/{ensemble}.{replicate}.jsonl"
    wildcard_constraints:
        ensemble=names(ensembles_of_kind("dropout")),
    localrule: True
    conda:
        environment
    params:
        seed=lambda wildcards: config["seed"] + replicate_index(wildcards),
        code=code_digest("mask_replicate"),
    script:
        "../scripts/mask_replicate.py"


rule randomise_replicate:
    input:
        replicate=randomised_replicate,
        sources=own_sources,
    output:
        "<results>/ensembles/{ensemble}/{replicate}.safetensors",
    log:
        "<results>/logs/randomise_replicate/{ensemble}.{replicate}.log",
    benchmark:
        "<results>/benchmarks/randomise_replicate/{ensemble}.{replicate}.jsonl"
    wildcard_constraints:
        ensemble=names(ensembles_of_kind("randomised")),
    localrule: True
    conda:
        environment
    params:
        seed=lambda wildcards: config["seed"] + replicate_index(wildcards),
        code=code_digest("randomise_replicate"),
    script:
        "../scripts/randomise_replicate.py"


rule copy_replicate:
    input:
        same_replicate,
    output:
        "<results>/ensembles/{ensemble}/{replicate}.safetensors",
    log:
        "<results>/logs/copy_replicate/{ensemble}.{replicate}.log",
    benchmark:
        "<results>/benchmarks/copy_replicate/{ensemble}.{replicate}.jsonl"
    wildcard_constraints:
        ensemble=names(ensembles_of_kind("same")),
    localrule: True
    conda:
        environment
    params:
        parameters=lookup("ensembles/{ensemble}/model/same/parameters", within=config),
        code=code_digest("copy_replicate"),
    script:
        "../scripts/copy_replicate.py"


rule describe_table:
    input:
        unpack(known_splits),
        table=table_of,
    output:
        "<results>/ensembles/{ensemble}/{replicate}.safetensors",
    log:
        "<results>/logs/describe_table/{ensemble}.{replicate}.log",
    benchmark:
        "<results>/benchmarks/describe_table/{ensemble}.{replicate}.jsonl"
    wildcard_constraints:
        ensemble=names(ensembles_of_kind("table")),
    localrule: True
    conda:
        "../envs/cpu.yaml"
    params:
        facts=lookup("ensembles/{ensemble}/model/table/facts", within=config),
        assembly=lookup("ensembles/{ensemble}/assembly", within=config),
        build=build,
        code=code_digest("describe_table"),
    script:
        "../scripts/describe_table.py"
