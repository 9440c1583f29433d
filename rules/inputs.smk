# Inputs: assemblies described, libraries prepared, VCFs compressed and indexed.


rule describe_assembly:
    input:
        fasta=fasta,
    output:
        "<results>/assemblies/{assembly}.json",
    log:
        "<results>/logs/describe_assembly/{assembly}.log",
    benchmark:
        "<results>/benchmarks/describe_assembly/{assembly}.jsonl"
    localrule: True
    conda:
        "../envs/cpu.yaml"
    params:
        settings=lookup("assemblies/{assembly}", within=config),
        code=code_digest("describe_assembly"),
    script:
        "../scripts/describe_assembly.py"


rule shuffle_windows:
    input:
        unpack(shuffled_inputs),
    output:
        fasta="<results>/assemblies/{assembly}.fa",
        index="<results>/assemblies/{assembly}.fa.fai",
    log:
        "<results>/logs/shuffle_windows/{assembly}.log",
    benchmark:
        "<results>/benchmarks/shuffle_windows/{assembly}.jsonl"
    localrule: True
    conda:
        "../envs/cpu.yaml"
    params:
        settings=lookup("assemblies/{assembly}/shuffled", within=config),
        build=build,
        seed=config["seed"],
        code=code_digest("shuffle_windows"),
    script:
        "../scripts/shuffle_windows.py"


rule prepare_library:
    input:
        unpack(library_inputs),
    output:
        fasta="<results>/libraries/{library}.fa",
        index="<results>/libraries/{library}.fa.fai",
        targets="<results>/libraries/{library}.targets.tsv",
        splits="<results>/libraries/{library}.splits.bed",
        groups="<results>/libraries/{library}.groups.tsv",
        pairs="<results>/libraries/{library}.pairs.tsv",
    log:
        "<results>/logs/prepare_library/{library}.log",
    benchmark:
        "<results>/benchmarks/prepare_library/{library}.jsonl"
    localrule: True
    conda:
        "../envs/cpu.yaml"
    params:
        settings=lookup("libraries/{library}", within=config),
        seed=config["seed"],
        code=code_digest("prepare_library"),
    script:
        "../scripts/prepare_library.py"


rule compress_variants:
    input:
        vcf=lambda wildcards: VARIANT_PATHS[wildcards.variant_file],
    output:
        "<results>/variants/{variant_file}.vcf.gz",
    log:
        "<results>/logs/compress_variants/{variant_file}.log",
    benchmark:
        "<results>/benchmarks/compress_variants/{variant_file}.jsonl"
    localrule: True
    conda:
        "../envs/cpu.yaml"
    params:
        code=code_digest("compress_variants"),
    script:
        "../scripts/compress_variants.py"


rule index_variants:
    input:
        vcf=lambda wildcards: vcf(wildcards.variant_file),
    output:
        "<results>/variants/{variant_file}.{index}",
    log:
        "<results>/logs/index_variants/{variant_file}.{index}.log",
    benchmark:
        "<results>/benchmarks/index_variants/{variant_file}.{index}.jsonl"
    wildcard_constraints:
        index="tbi|csi",
    localrule: True
    conda:
        "../envs/cpu.yaml"
    params:
        code=code_digest("index_variants"),
    script:
        "../scripts/index_variants.py"
