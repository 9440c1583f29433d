# Robustness on reporter assays: splits in the place of worlds, and intervals of peaks.


rule robustness_measured:
    input:
        unpack(measured_split_inputs),
    output:
        "<results>/robustness/{robustness}/worlds/{world}.parquet",
    log:
        "<results>/logs/robustness_measured/{robustness}.{world}.log",
    benchmark:
        "<results>/benchmarks/robustness_measured/{robustness}.{world}.jsonl"
    wildcard_constraints:
        robustness=names(MEASURED_ROBUSTNESS),
    conda:
        "../envs/cpu.yaml"
    resources:
        mem_mb=lambda wildcards, input, attempt: int(2000 + 20 * input.size_mb) * attempt,
    params:
        library=lambda wildcards: config["libraries"][robustness_of(wildcards)["tables"]["library"]],
        tables=lambda wildcards: robustness_of(wildcards)["tables"],
        seed=config["seed"],
        code=code_digest("robustness_measured"),
    script:
        "../scripts/robustness_measured.py"


rule robustness_peaks:
    input:
        world="<results>/robustness/{robustness}/worlds/{world}.parquet",
        predictions="<results>/robustness/{robustness}/predictions/{model}/{world}.{replicate}.parquet",
    output:
        "<results>/robustness/{robustness}/peaks/{model}/{world}.{replicate}.parquet",
    log:
        "<results>/logs/robustness_peaks/{robustness}.{model}.{world}.{replicate}.log",
    benchmark:
        "<results>/benchmarks/robustness_peaks/{robustness}.{model}.{world}.{replicate}.jsonl"
    conda:
        "../envs/cpu.yaml"
    resources:
        mem_mb=attempted(2000),
    params:
        calibrators=lambda wildcards: robustness_of(wildcards)["calibrators"],
        seed=config["seed"],
        code=code_digest("robustness_peaks"),
    script:
        "../scripts/robustness_peaks.py"


rule robustness_measured_summary:
    input:
        unpack(measured_split_worlds),
        scores=robust_scores,
        peaks=robust_peaks,
    output:
        summary="<results>/robustness/{robustness}.summary.parquet",
        text="<results>/robustness/{robustness}.summary.tsv",
        tests="<results>/robustness/{robustness}.tests.tsv",
        conditions="<results>/robustness/{robustness}.conditions.tsv",
    log:
        "<results>/logs/robustness_measured_summary/{robustness}.log",
    benchmark:
        "<results>/benchmarks/robustness_measured_summary/{robustness}.jsonl"
    wildcard_constraints:
        robustness=names(MEASURED_ROBUSTNESS),
    conda:
        "../envs/cpu.yaml"
    resources:
        mem_mb=lambda wildcards, input, attempt: int(1500 + 60 * input.size_mb) * attempt,
    params:
        entry=robust_summary_entry,
        replicates=lambda wildcards: robust_fits(wildcards.robustness),
        seed=config["seed"],
        toy=config["toy"],
        code=code_digest("robustness_measured_summary"),
    script:
        "../scripts/robustness_measured_summary.py"
