# Inserted motifs: activity, mutation effects, and how many replicates agree on their signs.


rule motif_analysis:
    input:
        unpack(motif_inputs),
    output:
        effects="<results>/motifs/{motifs}.effects.parquet",
        agreement="<results>/motifs/{motifs}.agreement.tsv",
        assays="<results>/motifs/{motifs}.assays.tsv",
        truth="<results>/motifs/{motifs}.truth.tsv",
        ranks="<results>/motifs/{motifs}.ranks.tsv",
        tests="<results>/motifs/{motifs}.rank_tests.tsv",
    log:
        "<results>/logs/motif_analysis/{motifs}.log",
    benchmark:
        "<results>/benchmarks/motif_analysis/{motifs}.jsonl"
    conda:
        "../envs/cpu.yaml"
    resources:
        mem_mb=attempted(8000),
        runtime=lambda wildcards, attempt: 120 * attempt,
    params:
        settings=lookup("motif_analyses/{motifs}", within=config),
        insertions=lambda wildcards: SETS[MOTIF_ANALYSES[wildcards.motifs]["set"]]["source"][
            "insertions"
        ],
        replicates=lambda wildcards: replicates(MOTIF_ANALYSES[wildcards.motifs]["ensemble"]),
        seed=config["seed"],
        code=code_digest("motif_analysis"),
    script:
        "../scripts/motif_analysis.py"


rule figure_motif_agreement:
    input:
        tables=expand("<results>/motifs/{motifs}.agreement.tsv", motifs=MOTIF_ANALYSES),
    output:
        report(
            "<results>/figures/motif_agreement.png",
            caption="captions/motif_agreement.rst",
            category="Replicate uncertainty",
            labels={"figure": "Agreement on motif effects", "format": "PNG"},
        ),
        report(
            "<results>/figures/motif_agreement.pdf",
            caption="captions/motif_agreement.rst",
            category="Replicate uncertainty",
            labels={"figure": "Agreement on motif effects", "format": "PDF"},
        ),
        "<results>/figures/motif_agreement.tsv",
    log:
        "<results>/logs/figure_motif_agreement.log",
    benchmark:
        "<results>/benchmarks/figure_motif_agreement.jsonl"
    localrule: True
    conda:
        "../envs/cpu.yaml"
    params:
        analyses=MOTIF_ANALYSES,
        toy=config["toy"],
        code=code_digest("figure_motif_agreement"),
    script:
        "../scripts/figure_motif_agreement.py"


rule figure_motif_ranks:
    input:
        ranks=expand("<results>/motifs/{motifs}.ranks.tsv", motifs=MOTIF_ANALYSES),
        tests=expand("<results>/motifs/{motifs}.rank_tests.tsv", motifs=MOTIF_ANALYSES),
    output:
        report(
            "<results>/figures/motif_ranks.png",
            caption="captions/motif_ranks.rst",
            category="Replicate uncertainty",
            labels={"figure": "Consistency of motifs and knock-out probability", "format": "PNG"},
        ),
        report(
            "<results>/figures/motif_ranks.pdf",
            caption="captions/motif_ranks.rst",
            category="Replicate uncertainty",
            labels={"figure": "Consistency of motifs and knock-out probability", "format": "PDF"},
        ),
        "<results>/figures/motif_ranks.tsv",
    log:
        "<results>/logs/figure_motif_ranks.log",
    benchmark:
        "<results>/benchmarks/figure_motif_ranks.jsonl"
    localrule: True
    conda:
        "../envs/cpu.yaml"
    params:
        analyses=MOTIF_ANALYSES,
        toy=config["toy"],
        code=code_digest("figure_motif_ranks"),
    script:
        "../scripts/figure_motif_ranks.py"
