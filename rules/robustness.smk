# Robustness: simulated worlds, models trained in them, and their scores under every shift.


rule robustness_world:
    input:
        unpack(world_inputs),
    output:
        "<results>/robustness/{robustness}/worlds/{world}.parquet",
    log:
        "<results>/logs/robustness_world/{robustness}.{world}.log",
    benchmark:
        "<results>/benchmarks/robustness_world/{robustness}.{world}.jsonl"
    conda:
        "../envs/cpu.yaml"
    resources:
        mem_mb=attempted(2000),
    params:
        worlds=lambda wildcards: {
            part: robustness_of(wildcards)["worlds"][part]
            for part in ("settings", "sequences", "assay")
        },
        data=lambda wildcards: robustness_of(wildcards)["data"],
        shifts=lambda wildcards: robustness_of(wildcards)["shifts"],
        seed=config["seed"],
        code=code_digest("robustness_world"),
    script:
        "../scripts/robustness_world.py"


rule robustness_train:
    input:
        unpack(robust_teacher_inputs),
        world="<results>/robustness/{robustness}/worlds/{world}.parquet",
    output:
        "<results>/robustness/{robustness}/models/{model}/{world}.{replicate}.safetensors",
    log:
        "<results>/logs/robustness_train/{robustness}.{model}.{world}.{replicate}.log",
    benchmark:
        "<results>/benchmarks/robustness_train/{robustness}.{model}.{world}.{replicate}.jsonl"
    wildcard_constraints:
        model=robust_names("network", "student"),
    conda:
        "../envs/gpu.yaml"
    threads: lambda wildcards: robustness_of(wildcards)["threads"]
    resources:
        gpu=lambda wildcards: robustness_of(wildcards)["gpu"],
        mem_mb=attempted(3000),
        runtime=lambda wildcards, attempt: (
            int(60 * job_limit(robustness_of(wildcards), wildcards.model, "hours")) * attempt
        ),
    params:
        plan=robust_plan,
        minutes=lambda wildcards: job_limit(
            robustness_of(wildcards), wildcards.model, "checkpoint_minutes"
        ),
        state=lambda wildcards, output: str(Path(output[0]).with_suffix(".training.safetensors")),
        seed=config["seed"],
        code=code_digest("robustness_train"),
    script:
        "../scripts/robustness_train.py"


rule robustness_predict:
    input:
        world="<results>/robustness/{robustness}/worlds/{world}.parquet",
        replicate=predicting_replicate,
    output:
        "<results>/robustness/{robustness}/predictions/{model}/{world}.{replicate}.parquet",
    log:
        "<results>/logs/robustness_predict/{robustness}.{model}.{world}.{replicate}.log",
    benchmark:
        "<results>/benchmarks/robustness_predict/{robustness}.{model}.{world}.{replicate}.jsonl"
    wildcard_constraints:
        model=robust_names("network", "student", "masks"),
    conda:
        "../envs/gpu.yaml"
    threads: lambda wildcards: robustness_of(wildcards)["threads"]
    resources:
        gpu=lambda wildcards: robustness_of(wildcards)["gpu"],
        mem_mb=attempted(2500),
        runtime=lambda wildcards, attempt: 30 * attempt,
    params:
        taught=is_teacher,
        masks=lambda wildcards: mask_count(robustness_of(wildcards), wildcards.model),
        seed=config["seed"],
        code=code_digest("robustness_predict"),
    script:
        "../scripts/robustness_predict.py"


rule robustness_kmers:
    input:
        world="<results>/robustness/{robustness}/worlds/{world}.parquet",
    output:
        "<results>/robustness/{robustness}/predictions/{model}/{world}.{replicate}.parquet",
    log:
        "<results>/logs/robustness_kmers/{robustness}.{model}.{world}.{replicate}.log",
    benchmark:
        "<results>/benchmarks/robustness_kmers/{robustness}.{model}.{world}.{replicate}.jsonl"
    wildcard_constraints:
        model=robust_names("kmers"),
    conda:
        "../envs/cpu.yaml"
    resources:
        mem_mb=attempted(2500),
    params:
        settings=robust_kmers,
        seed=config["seed"],
        code=code_digest("robustness_kmers"),
    script:
        "../scripts/robustness_kmers.py"


rule robustness_mixture:
    input:
        members=mixture_members,
    output:
        "<results>/robustness/{robustness}/predictions/{model}/{world}.{replicate}.parquet",
    log:
        "<results>/logs/robustness_mixture/{robustness}.{model}.{world}.{replicate}.log",
    benchmark:
        "<results>/benchmarks/robustness_mixture/{robustness}.{model}.{world}.{replicate}.jsonl"
    wildcard_constraints:
        model=robust_names("ensemble"),
    conda:
        "../envs/cpu.yaml"
    resources:
        mem_mb=lambda wildcards, input, attempt: int(1000 + 10 * input.size_mb) * attempt,
    params:
        code=code_digest("robustness_mixture"),
    script:
        "../scripts/robustness_mixture.py"


rule robustness_reference:
    input:
        world="<results>/robustness/{robustness}/worlds/{world}.parquet",
    output:
        "<results>/robustness/{robustness}/predictions/{model}/{world}.{replicate}.parquet",
    log:
        "<results>/logs/robustness_reference/{robustness}.{model}.{world}.{replicate}.log",
    benchmark:
        "<results>/benchmarks/robustness_reference/{robustness}.{model}.{world}.{replicate}.jsonl"
    wildcard_constraints:
        model=robust_names("oracle", "ideal"),
    conda:
        "../envs/cpu.yaml"
    resources:
        mem_mb=attempted(1500),
    params:
        code=code_digest("robustness_reference"),
    script:
        "../scripts/robustness_reference.py"


rule robustness_scores:
    input:
        world="<results>/robustness/{robustness}/worlds/{world}.parquet",
        predictions="<results>/robustness/{robustness}/predictions/{model}/{world}.{replicate}.parquet",
    output:
        "<results>/robustness/{robustness}/scores/{model}/{world}.{replicate}.parquet",
    log:
        "<results>/logs/robustness_scores/{robustness}.{model}.{world}.{replicate}.log",
    benchmark:
        "<results>/benchmarks/robustness_scores/{robustness}.{model}.{world}.{replicate}.jsonl"
    conda:
        "../envs/cpu.yaml"
    resources:
        mem_mb=attempted(2000),
    params:
        calibrators=lambda wildcards: robustness_of(wildcards)["calibrators"],
        seed=config["seed"],
        code=code_digest("robustness_scores"),
    script:
        "../scripts/robustness_scores.py"


rule robustness_summary:
    input:
        scores=robust_scores,
    output:
        summary="<results>/robustness/{robustness}.summary.parquet",
        text="<results>/robustness/{robustness}.summary.tsv",
        tests="<results>/robustness/{robustness}.tests.tsv",
    log:
        "<results>/logs/robustness_summary/{robustness}.log",
    benchmark:
        "<results>/benchmarks/robustness_summary/{robustness}.jsonl"
    conda:
        "../envs/cpu.yaml"
    resources:
        mem_mb=lambda wildcards, input, attempt: int(1500 + 60 * input.size_mb) * attempt,
    params:
        entry=robust_summary_entry,
        replicates=lambda wildcards: robust_fits(wildcards.robustness),
        seed=config["seed"],
        toy=config["toy"],
        code=code_digest("robustness_summary"),
    script:
        "../scripts/robustness_summary.py"
