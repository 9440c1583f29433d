# Calibration: how far stated uncertainty is right, and what mends it.


rule calibration:
    input:
        unpack(calibration_inputs),
    output:
        "<results>/calibration/{calibration}.parquet",
    log:
        "<results>/logs/calibration/{calibration}.log",
    benchmark:
        "<results>/benchmarks/calibration/{calibration}.jsonl"
    conda:
        "../envs/cpu.yaml"
    resources:
        mem_mb=lambda wildcards, input, attempt: int(1000 + 6 * input.size_mb) * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
    params:
        settings=lookup("calibration/{calibration}", within=config),
        replicates=calibrated_replicates,
        seed=config["seed"],
        code=code_digest("calibration"),
    script:
        "../scripts/calibration.py"


rule figure_calibration:
    input:
        expand("<results>/calibration/{calibration}.parquet", calibration=CALIBRATIONS),
    output:
        report(
            "<results>/figures/calibration.png",
            caption="captions/calibration.rst",
            category="Calibration",
            labels={"figure": "Reliability and coverage", "format": "PNG"},
        ),
        report(
            "<results>/figures/calibration.pdf",
            caption="captions/calibration.rst",
            category="Calibration",
            labels={"figure": "Reliability and coverage", "format": "PDF"},
        ),
        "<results>/figures/calibration.tsv",
    log:
        "<results>/logs/figure_calibration.log",
    benchmark:
        "<results>/benchmarks/figure_calibration.jsonl"
    localrule: True
    conda:
        "../envs/cpu.yaml"
    params:
        calibrations=CALIBRATIONS,
        toy=config["toy"],
        code=code_digest("figure_calibration"),
    script:
        "../scripts/figure_calibration.py"


rule figure_risk_coverage:
    input:
        expand("<results>/calibration/{calibration}.parquet", calibration=CALIBRATIONS),
    output:
        report(
            "<results>/figures/risk_coverage.png",
            caption="captions/risk_coverage.rst",
            category="Calibration",
            labels={"figure": "Risk and coverage", "format": "PNG"},
        ),
        report(
            "<results>/figures/risk_coverage.pdf",
            caption="captions/risk_coverage.rst",
            category="Calibration",
            labels={"figure": "Risk and coverage", "format": "PDF"},
        ),
        "<results>/figures/risk_coverage.tsv",
    log:
        "<results>/logs/figure_risk_coverage.log",
    benchmark:
        "<results>/benchmarks/figure_risk_coverage.jsonl"
    localrule: True
    conda:
        "../envs/cpu.yaml"
    params:
        calibrations=CALIBRATIONS,
        toy=config["toy"],
        code=code_digest("figure_risk_coverage"),
    script:
        "../scripts/figure_risk_coverage.py"


rule sign_calibration:
    input:
        unpack(sign_calibration_inputs),
    output:
        "<results>/sign_calibration/{sign_calibration}.parquet",
    log:
        "<results>/logs/sign_calibration/{sign_calibration}.log",
    benchmark:
        "<results>/benchmarks/sign_calibration/{sign_calibration}.jsonl"
    conda:
        "../envs/cpu.yaml"
    resources:
        mem_mb=lambda wildcards, input, attempt: int(1000 + 20 * input.size_mb) * attempt,
        runtime=lambda wildcards, attempt: 30 * attempt,
    params:
        settings=lookup("sign_calibration/{sign_calibration}", within=config),
        seed=config["seed"],
        code=code_digest("sign_calibration"),
    script:
        "../scripts/sign_calibration.py"


rule figure_sign_calibration:
    input:
        expand(
            "<results>/sign_calibration/{sign_calibration}.parquet",
            sign_calibration=SIGN_CALIBRATIONS,
        ),
    output:
        report(
            "<results>/figures/sign_calibration.png",
            caption="captions/sign_calibration.rst",
            category="Calibration",
            labels={"figure": "Signs", "format": "PNG"},
        ),
        report(
            "<results>/figures/sign_calibration.pdf",
            caption="captions/sign_calibration.rst",
            category="Calibration",
            labels={"figure": "Signs", "format": "PDF"},
        ),
        "<results>/figures/sign_calibration.tsv",
    log:
        "<results>/logs/figure_sign_calibration.log",
    benchmark:
        "<results>/benchmarks/figure_sign_calibration.jsonl"
    localrule: True
    conda:
        "../envs/cpu.yaml"
    params:
        sign_calibrations=SIGN_CALIBRATIONS,
        toy=config["toy"],
        code=code_digest("figure_sign_calibration"),
    script:
        "../scripts/figure_sign_calibration.py"
