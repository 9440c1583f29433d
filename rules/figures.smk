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
        verdicts=labelled_verdicts(),
        toy=config["toy"],
        code=code_digest("figure_class_fractions"),
    script:
        "../scripts/figure_class_fractions.py"


rule figure_haplotype_counts:
    input:
        expand("<results>/haplotypes/{set}.windows.tsv", set=HAPLOTYPE_SETS),
    output:
        report(
            "<results>/figures/haplotype_counts.png",
            caption="captions/haplotype_counts.rst",
            category="Sequences",
            labels={"figure": "Distinct haplotypes per window", "format": "PNG"},
        ),
        report(
            "<results>/figures/haplotype_counts.pdf",
            caption="captions/haplotype_counts.rst",
            category="Sequences",
            labels={"figure": "Distinct haplotypes per window", "format": "PDF"},
        ),
        "<results>/figures/haplotype_counts.tsv",
    log:
        "<results>/logs/figure_haplotype_counts.log",
    benchmark:
        "<results>/benchmarks/figure_haplotype_counts.jsonl"
    localrule: True
    conda:
        "../envs/cpu.yaml"
    params:
        sets={name: SETS[name] for name in HAPLOTYPE_SETS},
        toy=config["toy"],
        code=code_digest("figure_haplotype_counts"),
    script:
        "../scripts/figure_haplotype_counts.py"


rule figure_training:
    input:
        list(trained_replicates()),
    output:
        report(
            "<results>/figures/training.png",
            caption="captions/training.rst",
            category="Ensembles",
            labels={"figure": "Training curves", "format": "PNG"},
        ),
        report(
            "<results>/figures/training.pdf",
            caption="captions/training.rst",
            category="Ensembles",
            labels={"figure": "Training curves", "format": "PDF"},
        ),
        "<results>/figures/training.tsv",
    log:
        "<results>/logs/figure_training.log",
    benchmark:
        "<results>/benchmarks/figure_training.jsonl"
    localrule: True
    conda:
        "../envs/cpu.yaml"
    params:
        replicates=list(trained_replicates().values()),
        toy=config["toy"],
        code=code_digest("figure_training"),
    script:
        "../scripts/figure_training.py"
