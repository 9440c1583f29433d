# Reference sequences: accuracy, pairs of replicates, classes of peaks, bins to trust.


rule reference_analysis:
    input:
        unpack(reference_inputs),
    output:
        accuracy="<results>/reference/{reference}.accuracy.tsv",
        pairs="<results>/reference/{reference}.pairs.tsv",
        classes="<results>/reference/{reference}.classes.parquet",
        assays="<results>/reference/{reference}.assays.tsv",
        agreement="<results>/reference/{reference}.agreement.tsv",
        attributes="<results>/reference/{reference}.attributes.tsv",
        tests="<results>/reference/{reference}.tests.tsv",
        tss_bins="<results>/reference/{reference}.tss_bins.tsv",
    log:
        "<results>/logs/reference_analysis/{reference}.log",
    benchmark:
        "<results>/benchmarks/reference_analysis/{reference}.jsonl"
    conda:
        "../envs/cpu.yaml"
    resources:
        # predictions are read in blocks, a table of measured tracks as a whole
        mem_mb=lambda wildcards, input, attempt: int(
            4000 + 6 * Path(input.targets).stat().st_size / 1e6
            if Path(input.targets).exists() and not input.targets.endswith(".arrow")
            else 4000
        )
        * attempt,
        runtime=lambda wildcards, attempt: 240 * attempt,
    params:
        settings=lookup("reference_analyses/{reference}", within=config),
        replicates=lambda wildcards: replicates(REFERENCE_ANALYSES[wildcards.reference]["ensemble"]),
        build=lambda wildcards: config["assemblies"][
            SETS[REFERENCE_ANALYSES[wildcards.reference]["set"]]["assembly"]
        ]["build"],
        seed=config["seed"],
        code=code_digest("reference_analysis"),
    script:
        "../scripts/reference_analysis.py"


rule agreed_points:
    input:
        lambda wildcards: f"<results>/reference/{agreed_settings(wildcards)['analysis']}.tss_bins.tsv",
    output:
        "<results>/points/{points}.bed",
    log:
        "<results>/logs/agreed_points/{points}.log",
    benchmark:
        "<results>/benchmarks/agreed_points/{points}.jsonl"
    wildcard_constraints:
        points=names(points_of_kind("agreed")),
    localrule: True
    conda:
        "../envs/cpu.yaml"
    params:
        settings=agreed_settings,
        code=code_digest("agreed_points"),
    script:
        "../scripts/agreed_points.py"


rule figure_reference_accuracy:
    input:
        tables=expand("<results>/reference/{reference}.accuracy.tsv", reference=REFERENCE_ANALYSES),
    output:
        report(
            "<results>/figures/reference_accuracy.png",
            caption="captions/reference_accuracy.rst",
            category="Replicate uncertainty",
            labels={"figure": "Accuracy on reference sequences", "format": "PNG"},
        ),
        report(
            "<results>/figures/reference_accuracy.pdf",
            caption="captions/reference_accuracy.rst",
            category="Replicate uncertainty",
            labels={"figure": "Accuracy on reference sequences", "format": "PDF"},
        ),
        "<results>/figures/reference_accuracy.tsv",
    log:
        "<results>/logs/figure_reference_accuracy.log",
    benchmark:
        "<results>/benchmarks/figure_reference_accuracy.jsonl"
    localrule: True
    conda:
        "../envs/cpu.yaml"
    params:
        analyses=REFERENCE_ANALYSES,
        toy=config["toy"],
        code=code_digest("figure_reference_accuracy"),
    script:
        "../scripts/figure_reference_accuracy.py"


rule figure_reference_pairs:
    input:
        tables=expand("<results>/reference/{reference}.pairs.tsv", reference=REFERENCE_ANALYSES),
    output:
        report(
            "<results>/figures/reference_pairs.png",
            caption="captions/reference_pairs.rst",
            category="Replicate uncertainty",
            labels={"figure": "Pairs of replicates on reference sequences", "format": "PNG"},
        ),
        report(
            "<results>/figures/reference_pairs.pdf",
            caption="captions/reference_pairs.rst",
            category="Replicate uncertainty",
            labels={"figure": "Pairs of replicates on reference sequences", "format": "PDF"},
        ),
        "<results>/figures/reference_pairs.tsv",
    log:
        "<results>/logs/figure_reference_pairs.log",
    benchmark:
        "<results>/benchmarks/figure_reference_pairs.jsonl"
    localrule: True
    conda:
        "../envs/cpu.yaml"
    params:
        analyses=REFERENCE_ANALYSES,
        toy=config["toy"],
        code=code_digest("figure_reference_pairs"),
    script:
        "../scripts/figure_reference_pairs.py"


rule figure_reference_classes:
    input:
        classes=expand(
            "<results>/reference/{reference}.classes.parquet", reference=REFERENCE_ANALYSES
        ),
        assays=expand("<results>/reference/{reference}.assays.tsv", reference=REFERENCE_ANALYSES),
    output:
        report(
            "<results>/figures/reference_classes.png",
            caption="captions/reference_classes.rst",
            category="Replicate uncertainty",
            labels={"figure": "Classes of bins and peaks", "format": "PNG"},
        ),
        report(
            "<results>/figures/reference_classes.pdf",
            caption="captions/reference_classes.rst",
            category="Replicate uncertainty",
            labels={"figure": "Classes of bins and peaks", "format": "PDF"},
        ),
        "<results>/figures/reference_classes.tsv",
    log:
        "<results>/logs/figure_reference_classes.log",
    benchmark:
        "<results>/benchmarks/figure_reference_classes.jsonl"
    localrule: True
    conda:
        "../envs/cpu.yaml"
    params:
        analyses=REFERENCE_ANALYSES,
        toy=config["toy"],
        code=code_digest("figure_reference_classes"),
    script:
        "../scripts/figure_reference_classes.py"


rule figure_reference_agreement:
    input:
        tables=expand("<results>/reference/{reference}.agreement.tsv", reference=REFERENCE_ANALYSES),
    output:
        report(
            "<results>/figures/reference_agreement.png",
            caption="captions/reference_agreement.rst",
            category="Replicate uncertainty",
            labels={"figure": "Agreement and correctness of peaks", "format": "PNG"},
        ),
        report(
            "<results>/figures/reference_agreement.pdf",
            caption="captions/reference_agreement.rst",
            category="Replicate uncertainty",
            labels={"figure": "Agreement and correctness of peaks", "format": "PDF"},
        ),
        "<results>/figures/reference_agreement.tsv",
    log:
        "<results>/logs/figure_reference_agreement.log",
    benchmark:
        "<results>/benchmarks/figure_reference_agreement.jsonl"
    localrule: True
    conda:
        "../envs/cpu.yaml"
    params:
        analyses=REFERENCE_ANALYSES,
        toy=config["toy"],
        code=code_digest("figure_reference_agreement"),
    script:
        "../scripts/figure_reference_agreement.py"


rule figure_reference_attributes:
    input:
        attributes=expand(
            "<results>/reference/{reference}.attributes.tsv", reference=REFERENCE_ANALYSES
        ),
        tests=expand("<results>/reference/{reference}.tests.tsv", reference=REFERENCE_ANALYSES),
    output:
        report(
            "<results>/figures/reference_attributes.png",
            caption="captions/reference_attributes.rst",
            category="Replicate uncertainty",
            labels={"figure": "Attributes of peaks by class", "format": "PNG"},
        ),
        report(
            "<results>/figures/reference_attributes.pdf",
            caption="captions/reference_attributes.rst",
            category="Replicate uncertainty",
            labels={"figure": "Attributes of peaks by class", "format": "PDF"},
        ),
        "<results>/figures/reference_attributes.tsv",
    log:
        "<results>/logs/figure_reference_attributes.log",
    benchmark:
        "<results>/benchmarks/figure_reference_attributes.jsonl"
    localrule: True
    conda:
        "../envs/cpu.yaml"
    params:
        analyses=REFERENCE_ANALYSES,
        toy=config["toy"],
        code=code_digest("figure_reference_attributes"),
    script:
        "../scripts/figure_reference_attributes.py"
