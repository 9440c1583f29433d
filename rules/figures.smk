# Figures: PNG, PDF and the TSV behind them. Each is a target: snakemake figure_<id>


rule figure_class_fractions:
    input:
        expand("<results>/consistency/{verdict}.fractions.tsv", verdict=VERDICTS),
    output:
        report(
            "<results>/figures/class_fractions.png",
            caption="captions/class_fractions.rst",
            category="Replicate uncertainty",
            labels={"figure": "Class fractions", "format": "PNG"},
        ),
        report(
            "<results>/figures/class_fractions.pdf",
            caption="captions/class_fractions.rst",
            category="Replicate uncertainty",
            labels={"figure": "Class fractions", "format": "PDF"},
        ),
        "<results>/figures/class_fractions.tsv",
    log:
        "<results>/logs/figure_class_fractions.log",
    benchmark:
        "<results>/benchmarks/figure_class_fractions.jsonl"
    localrule: True
    conda:
        "../envs/cpu.yaml"
    params:
        verdicts=VERDICTS,
        toy=config["toy"],
        code=code_digest("figure_class_fractions"),
    script:
        "../scripts/figure_class_fractions.py"
