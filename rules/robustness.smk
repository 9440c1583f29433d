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
    wildcard_constraints:
        robustness=names(SIMULATED_ROBUSTNESS),
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
        scores="<results>/robustness/{robustness}/scores/{model}/{world}.{replicate}.parquet",
        curves="<results>/robustness/{robustness}/curves/{model}/{world}.{replicate}.parquet",
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
    wildcard_constraints:
        robustness=names(SIMULATED_ROBUSTNESS),
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


rule robustness_detection:
    input:
        world="<results>/robustness/{robustness}/worlds/{world}.parquet",
        predictions="<results>/robustness/{robustness}/predictions/{model}/{world}.{replicate}.parquet",
    output:
        "<results>/robustness/{robustness}/detection/{model}/{world}.{replicate}.parquet",
    log:
        "<results>/logs/robustness_detection/{robustness}.{model}.{world}.{replicate}.log",
    benchmark:
        "<results>/benchmarks/robustness_detection/{robustness}.{model}.{world}.{replicate}.jsonl"
    conda:
        "../envs/cpu.yaml"
    resources:
        mem_mb=attempted(2000),
    params:
        settings=robust_detection,
        seed=config["seed"],
        code=code_digest("robustness_detection"),
    script:
        "../scripts/robustness_detection.py"


rule robustness_repair:
    input:
        world="<results>/robustness/{robustness}/worlds/{world}.parquet",
        predictions="<results>/robustness/{robustness}/predictions/{model}/{world}.{replicate}.parquet",
    output:
        "<results>/robustness/{robustness}/repair/{model}/{world}.{replicate}.parquet",
    log:
        "<results>/logs/robustness_repair/{robustness}.{model}.{world}.{replicate}.log",
    benchmark:
        "<results>/benchmarks/robustness_repair/{robustness}.{model}.{world}.{replicate}.jsonl"
    conda:
        "../envs/cpu.yaml"
    resources:
        mem_mb=attempted(2000),
    params:
        settings=robust_repair,
        seed=config["seed"],
        code=code_digest("robustness_repair"),
    script:
        "../scripts/robustness_repair.py"


rule robustness_suite:
    input:
        worlds=lambda wildcards: [
            f"<results>/robustness/{wildcards.robustness}/worlds/{world}.parquet"
            for world in robust_worlds(wildcards.robustness)
        ],
    output:
        "<results>/robustness/{robustness}.suite.tsv",
    log:
        "<results>/logs/robustness_suite/{robustness}.log",
    benchmark:
        "<results>/benchmarks/robustness_suite/{robustness}.jsonl"
    conda:
        "../envs/cpu.yaml"
    resources:
        mem_mb=attempted(2000),
    params:
        numbers=lambda wildcards: robust_worlds(wildcards.robustness),
        code=code_digest("robustness_suite"),
    script:
        "../scripts/robustness_suite.py"


rule robustness_findings:
    input:
        unpack(robust_followed),
        summary="<results>/robustness/{robustness}.summary.parquet",
        tests="<results>/robustness/{robustness}.tests.tsv",
    output:
        detection="<results>/robustness/{robustness}.detection.tsv",
        repair="<results>/robustness/{robustness}.repair.tsv",
        curves="<results>/robustness/{robustness}.curves.parquet",
        headlines="<results>/robustness/{robustness}.headlines.tsv",
        page=report(
            "<results>/robustness/{robustness}.tests.html",
            caption="captions/robustness_tests.rst",
            category="Robustness",
            labels={"table": "{robustness}: tests of claims"},
        ),
    log:
        "<results>/logs/robustness_findings/{robustness}.log",
    benchmark:
        "<results>/benchmarks/robustness_findings/{robustness}.jsonl"
    conda:
        "../envs/cpu.yaml"
    resources:
        mem_mb=lambda wildcards, input, attempt: int(1500 + 60 * input.size_mb) * attempt,
    params:
        replicates=lambda wildcards: {
            "detection": robust_watched(wildcards.robustness, "detection"),
            "repair": robust_watched(wildcards.robustness, "repair"),
            "curves": robust_fits(wildcards.robustness),
        },
        label=lambda wildcards: robustness_of(wildcards)["label"],
        model=lambda wildcards: next(iter(robustness_of(wildcards)["models"])),
        calibrator=lambda wildcards: robustness_of(wildcards)["tests"]["calibrator"],
        seed=config["seed"],
        toy=config["toy"],
        code=code_digest("robustness_findings"),
    script:
        "../scripts/robustness_findings.py"


for robust_figure, robust_title in ROBUST_FIGURES.items():

    rule:
        name:
            f"figure_robustness_{robust_figure}"
        input:
            table=f"<results>/robustness/{{robustness}}.{ROBUST_TABLES[robust_figure]}",
        output:
            report(
                f"<results>/figures/robustness_{{robustness}}_{robust_figure}.png",
                caption=f"captions/robustness_{robust_figure}.rst",
                category="Robustness",
                labels={"figure": f"{{robustness}}: {robust_title}", "format": "PNG"},
            ),
            report(
                f"<results>/figures/robustness_{{robustness}}_{robust_figure}.pdf",
                caption=f"captions/robustness_{robust_figure}.rst",
                category="Robustness",
                labels={"figure": f"{{robustness}}: {robust_title}", "format": "PDF"},
            ),
            f"<results>/figures/robustness_{{robustness}}_{robust_figure}.tsv",
        log:
            f"<results>/logs/figure_robustness/{{robustness}}.{robust_figure}.log",
        benchmark:
            f"<results>/benchmarks/figure_robustness/{{robustness}}.{robust_figure}.jsonl"
        localrule: True
        conda:
            "../envs/cpu.yaml"
        params:
            figure=robust_figure,
            entry=robust_figure_entry,
            toy=config["toy"],
            code=code_digest("figure_robustness"),
        script:
            "../scripts/figure_robustness.py"
