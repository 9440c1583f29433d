# Sequence sets: windows and edits of every kind of sequence.


rule reference_sequences:
    input:
        unpack(windows_of),
        fasta=fasta,
    output:
        sequences="<results>/sequences/{set}.parquet",
        skipped="<results>/sequences/{set}.skipped.tsv",
    log:
        "<results>/logs/reference_sequences/{set}.log",
    benchmark:
        "<results>/benchmarks/reference_sequences/{set}.jsonl"
    wildcard_constraints:
        set=names(sets_of_kind("reference")),
    conda:
        "../envs/cpu.yaml"
    resources:
        mem_mb=attempted(2000),
        runtime=lambda wildcards, attempt: 30 * attempt,
    params:
        settings=lookup("sequence_sets/{set}", within=config),
        build=build,
        seed=config["seed"],
        code=code_digest("reference_sequences"),
    script:
        "../scripts/reference_sequences.py"


rule variant_sequences:
    input:
        unpack(variants_of),
        fasta=fasta,
    output:
        sequences="<results>/sequences/{set}.parquet",
        contrasts="<results>/contrasts/{set}.parquet",
        skipped="<results>/sequences/{set}.skipped.tsv",
        filters="<results>/sequences/{set}.filters.tsv",
    log:
        "<results>/logs/variant_sequences/{set}.log",
    benchmark:
        "<results>/benchmarks/variant_sequences/{set}.jsonl"
    wildcard_constraints:
        set=names(sets_of_kind("variants")),
    conda:
        "../envs/cpu.yaml"
    resources:
        mem_mb=attempted(2000),
        runtime=lambda wildcards, attempt: 30 * attempt,
    params:
        settings=lookup("sequence_sets/{set}", within=config),
        build=build,
        code=code_digest("variant_sequences"),
    script:
        "../scripts/variant_sequences.py"


rule pair_sequences:
    input:
        pairs=pairs_of,
        fasta=fasta,
    output:
        sequences="<results>/sequences/{set}.parquet",
        contrasts="<results>/contrasts/{set}.parquet",
        skipped="<results>/sequences/{set}.skipped.tsv",
    log:
        "<results>/logs/pair_sequences/{set}.log",
    benchmark:
        "<results>/benchmarks/pair_sequences/{set}.jsonl"
    wildcard_constraints:
        set=names(sets_of_kind("pairs")),
    localrule: True
    conda:
        "../envs/cpu.yaml"
    params:
        settings=lookup("sequence_sets/{set}", within=config),
        build=build,
        code=code_digest("pair_sequences"),
    script:
        "../scripts/pair_sequences.py"


rule insertion_sequences:
    input:
        unpack(insertion_inputs),
        fasta=fasta,
    output:
        sequences="<results>/sequences/{set}.parquet",
        contrasts="<results>/contrasts/{set}.parquet",
        skipped="<results>/sequences/{set}.skipped.tsv",
    log:
        "<results>/logs/insertion_sequences/{set}.log",
    benchmark:
        "<results>/benchmarks/insertion_sequences/{set}.jsonl"
    wildcard_constraints:
        set=names(sets_of_kind("insertions")),
    conda:
        "../envs/cpu.yaml"
    resources:
        mem_mb=attempted(2000),
        runtime=lambda wildcards, attempt: 30 * attempt,
    params:
        settings=lookup("sequence_sets/{set}", within=config),
        build=build,
        seed=config["seed"],
        code=code_digest("insertion_sequences"),
    script:
        "../scripts/insertion_sequences.py"


rule haplotype_sequences:
    input:
        unpack(haplotype_inputs),
        fasta=fasta,
    output:
        sequences="<results>/sequences/{set}.parquet",
        contrasts="<results>/contrasts/{set}.parquet",
        haplotypes="<results>/haplotypes/{set}.parquet",
        samples="<results>/haplotypes/{set}.samples.tsv",
        windows="<results>/haplotypes/{set}.windows.tsv",
        skipped="<results>/sequences/{set}.skipped.tsv",
    log:
        "<results>/logs/haplotype_sequences/{set}.log",
    benchmark:
        "<results>/benchmarks/haplotype_sequences/{set}.jsonl"
    wildcard_constraints:
        set=names(sets_of_kind("haplotypes")),
    conda:
        "../envs/cpu.yaml"
    resources:
        mem_mb=attempted(3000),
        runtime=lambda wildcards, attempt: 240 * attempt,
    params:
        settings=lookup("sequence_sets/{set}", within=config),
        build=build,
        code=code_digest("haplotype_sequences"),
    script:
        "../scripts/haplotype_sequences.py"


rule predicted_points:
    input:
        predictions=lambda wildcards: prediction_shards(
            predicted_settings(wildcards)["ensemble"],
            predicted_settings(wildcards)["set"],
        ),
        sequences=lambda wildcards: (
            f"<results>/sequences/{predicted_settings(wildcards)['set']}.parquet"
        ),
    output:
        "<results>/points/{points}.bed",
    log:
        "<results>/logs/predicted_points/{points}.log",
    benchmark:
        "<results>/benchmarks/predicted_points/{points}.jsonl"
    wildcard_constraints:
        points=names(points_of_kind("predicted")),
    localrule: True
    conda:
        "../envs/cpu.yaml"
    params:
        settings=predicted_settings,
        replicates=lambda wildcards: replicates(predicted_settings(wildcards)["ensemble"]),
        code=code_digest("predicted_points"),
    script:
        "../scripts/predicted_points.py"


rule select_points:
    input:
        points=lambda wildcards: data_path(file_settings(wildcards)["path"]),
        fasta=lambda wildcards: assembly_fasta(file_settings(wildcards)["assembly"]),
    output:
        "<results>/points/{points}.bed",
    log:
        "<results>/logs/select_points/{points}.log",
    benchmark:
        "<results>/benchmarks/select_points/{points}.jsonl"
    wildcard_constraints:
        points=names(points_of_kind("file")),
    localrule: True
    conda:
        "../envs/cpu.yaml"
    params:
        settings=file_settings,
        code=code_digest("select_points"),
    script:
        "../scripts/select_points.py"


# nothing in the workflow asks for it: a target for those whose model predicts elsewhere
rule sequences_fasta:
    input:
        "<results>/sequences/{set}.parquet",
    output:
        "<results>/sequences/{set}.fa.gz",
    log:
        "<results>/logs/sequences_fasta/{set}.log",
    benchmark:
        "<results>/benchmarks/sequences_fasta/{set}.jsonl"
    conda:
        "../envs/cpu.yaml"
    resources:
        mem_mb=attempted(2000),
        runtime=attempted(60),
    params:
        code=code_digest("sequences_fasta"),
    script:
        "../scripts/sequences_fasta.py"
