# Trust scores: which sign of which unit to believe.


rule trust:
    input:
        unpack(trust_inputs),
    output:
        units="<results>/trust/{trust}.parquet",
        ranking="<results>/trust/{trust}.tsv",
    log:
        "<results>/logs/trust/{trust}.log",
    benchmark:
        "<results>/benchmarks/trust/{trust}.jsonl"
    conda:
        "../envs/cpu.yaml"
    resources:
        mem_mb=lambda wildcards, input, attempt: int(1000 + 6 * input.size_mb) * attempt,
        runtime=lambda wildcards, attempt: 30 * attempt,
    params:
        settings=lookup("trust/{trust}", within=config),
        replicates=trust_replicates,
        seed=config["seed"],
        code=code_digest("trust"),
    script:
        "../scripts/trust.py"


rule figure_trust:
    input:
        expand("<results>/trust/{trust}.tsv", trust=config["trust"]),
    output:
        report(
            "<results>/figures/trust.png",
            caption="captions/trust.rst",
            category="Replicate uncertainty",
            labels={"figure": "Trust scores", "format": "PNG"},
        ),
        report(
            "<results>/figures/trust.pdf",
            caption="captions/trust.rst",
            category="Replicate uncertainty",
            labels={"figure": "Trust scores", "format": "PDF"},
        ),
        "<results>/figures/trust.tsv",
    log:
        "<results>/logs/figure_trust.log",
    benchmark:
        "<results>/benchmarks/figure_trust.jsonl"
    localrule: True
    conda:
        "../envs/cpu.yaml"
    params:
        labels={name: entry["label"] for name, entry in config["trust"].items()},
        toy=config["toy"],
        code=code_digest("figure_trust"),
    script:
        "../scripts/figure_trust.py"
