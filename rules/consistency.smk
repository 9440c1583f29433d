# Consistency: effects, verdicts, class fractions beside their reference levels, accuracy.


rule effects:
    input:
        predictions=lambda wildcards: prediction_shards(wildcards.ensemble, wildcards.set),
        sequences="<results>/sequences/{set}.parquet",
        contrasts="<results>/contrasts/{set}.parquet",
    output:
        "<results>/effects/{ensemble}/{set}.parquet",
    log:
        "<results>/logs/effects/{ensemble}.{set}.log",
    benchmark:
        "<results>/benchmarks/effects/{ensemble}.{set}.jsonl"
    conda:
        "../envs/cpu.yaml"
    resources:
        mem_mb=lambda wildcards, input, attempt: int(1000 + 4 * input.size_mb) * attempt,
        runtime=lambda wildcards, attempt: 30 * attempt,
    params:
        replicates=lambda wildcards: replicates(wildcards.ensemble),
        code=code_digest("effects"),
    script:
        "../scripts/effects.py"


rule judge_effects:
    input:
        unpack(effect_inputs),
    output:
        "<results>/verdicts/{verdict}.parquet",
    log:
        "<results>/logs/judge_effects/{verdict}.log",
    benchmark:
        "<results>/benchmarks/judge_effects/{verdict}.jsonl"
    wildcard_constraints:
        verdict=names(verdicts_of_kind("signs")),
    localrule: True
    conda:
        "../envs/cpu.yaml"
    params:
        settings=lookup("verdicts/{verdict}", within=config),
        replicates=judged_replicates,
        code=code_digest("judge_effects"),
    script:
        "../scripts/judge_effects.py"


rule judge_bins:
    input:
        unpack(bin_inputs),
    output:
        "<results>/verdicts/{verdict}.parquet",
    log:
        "<results>/logs/judge_bins/{verdict}.log",
    benchmark:
        "<results>/benchmarks/judge_bins/{verdict}.jsonl"
    wildcard_constraints:
        verdict=names(verdicts_of_kind("peaks", "threshold")),
    conda:
        "../envs/cpu.yaml"
    resources:
        mem_mb=lambda wildcards, input, attempt: int(1000 + 4 * input.size_mb) * attempt,
        runtime=lambda wildcards, attempt: 30 * attempt,
    params:
        settings=lookup("verdicts/{verdict}", within=config),
        replicates=judged_replicates,
        code=code_digest("judge_bins"),
    script:
        "../scripts/judge_bins.py"


rule judge_people:
    input:
        unpack(people_inputs),
    output:
        verdicts="<results>/verdicts/{verdict}.parquet",
        permuted="<results>/verdicts/{verdict}.permuted.parquet",
    log:
        "<results>/logs/judge_people/{verdict}.log",
    benchmark:
        "<results>/benchmarks/judge_people/{verdict}.jsonl"
    wildcard_constraints:
        verdict=names(verdicts_of_kind("people")),
    conda:
        "../envs/cpu.yaml"
    resources:
        mem_mb=lambda wildcards, input, attempt: int(1000 + 4 * input.size_mb) * attempt,
        runtime=lambda wildcards, attempt: 30 * attempt,
    params:
        settings=lookup("verdicts/{verdict}", within=config),
        replicates=judged_replicates,
        seed=config["seed"],
        code=code_digest("judge_people"),
    script:
        "../scripts/judge_people.py"


rule class_fractions:
    input:
        unpack(judged_inputs),
    output:
        fractions="<results>/consistency/{verdict}.fractions.tsv",
        headlines="<results>/consistency/{verdict}.headlines.tsv",
    log:
        "<results>/logs/class_fractions/{verdict}.log",
    benchmark:
        "<results>/benchmarks/class_fractions/{verdict}.jsonl"
    conda:
        "../envs/cpu.yaml"
    resources:
        mem_mb=lambda wildcards, input, attempt: int(1000 + 20 * input.size_mb) * attempt,
    params:
        kind=call_kind,
        seed=config["seed"],
        code=code_digest("class_fractions"),
    script:
        "../scripts/class_fractions.py"


rule accuracy:
    input:
        unpack(lambda wildcards: predicted_inputs(config["accuracy"][wildcards.table])),
        targets=lambda wildcards: given_or_library(
            config["accuracy"][wildcards.table]["targets"], "targets.tsv"
        ),
    output:
        "<results>/accuracy/{table}.tsv",
    log:
        "<results>/logs/accuracy/{table}.log",
    benchmark:
        "<results>/benchmarks/accuracy/{table}.jsonl"
    localrule: True
    conda:
        "../envs/cpu.yaml"
    params:
        settings=lookup("accuracy/{table}", within=config),
        replicates=lambda wildcards: replicates(config["accuracy"][wildcards.table]["ensemble"]),
        code=code_digest("accuracy"),
    script:
        "../scripts/accuracy.py"
