# Measured tracks of windows: signal files over a set, a split in Basenji's layout, or what replicates predict.


rule measure_signals:
    input:
        unpack(signal_inputs),
    output:
        "<results>/measured/{measured}.arrow",
    log:
        "<results>/logs/measure_signals/{measured}.log",
    benchmark:
        "<results>/benchmarks/measure_signals/{measured}.jsonl"
    wildcard_constraints:
        measured=names(measured_of_kind("bigwigs")),
    conda:
        "../envs/cpu.yaml"
    resources:
        mem_mb=signal_memory,
        runtime=lambda wildcards, attempt: 240 * attempt,
    params:
        settings=lookup("measured/{measured}/bigwigs", within=config),
        code=code_digest("measure_signals"),
    script:
        "../scripts/measure_signals.py"


rule measure_basenji:
    input:
        lambda wildcards: basenji_files(config["measured"][wildcards.measured]["basenji"]["path"]),
    output:
        measured="<results>/measured/{measured}.arrow",
        windows="<results>/measured/{measured}.bed",
    log:
        "<results>/logs/measure_basenji/{measured}.log",
    benchmark:
        "<results>/benchmarks/measure_basenji/{measured}.jsonl"
    wildcard_constraints:
        measured=names(measured_of_kind("basenji")),
    conda:
        "../envs/cpu.yaml"
    resources:
        mem_mb=attempted(3000),
        runtime=lambda wildcards, attempt: 240 * attempt,
    params:
        settings=lookup("measured/{measured}/basenji", within=config),
        code=code_digest("measure_basenji"),
    script:
        "../scripts/measure_basenji.py"


rule measure_predictions:
    input:
        unpack(teacher_inputs),
    output:
        "<results>/measured/{measured}.arrow",
    log:
        "<results>/logs/measure_predictions/{measured}.log",
    benchmark:
        "<results>/benchmarks/measure_predictions/{measured}.jsonl"
    wildcard_constraints:
        measured=names(measured_of_kind("predictions")),
    conda:
        "../envs/cpu.yaml"
    resources:
        mem_mb=lambda wildcards, input, attempt: int(2000 + 10 * input.size_mb) * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
    params:
        settings=lookup("measured/{measured}/predictions", within=config),
        replicates=teachers,
        code=code_digest("measure_predictions"),
    script:
        "../scripts/measure_predictions.py"
