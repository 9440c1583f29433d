# Personal genomes: correlations across people, permutation null, linear predictor, drivers.


rule people_predictions:
    input:
        unpack(people_predicted),
    output:
        "<results>/people/{people}.predictions.parquet",
    log:
        "<results>/logs/people_predictions/{people}.log",
    benchmark:
        "<results>/benchmarks/people_predictions/{people}.jsonl"
    conda:
        "../envs/cpu.yaml"
    resources:
        mem_mb=lambda wildcards, input, attempt: int(1000 + 4 * input.size_mb) * attempt,
        runtime=lambda wildcards, attempt: 30 * attempt,
    params:
        settings=people_settings,
        replicates=lambda wildcards: replicates(people_settings(wildcards)["ensemble"]),
        code=code_digest("people_predictions"),
    script:
        "../scripts/people_predictions.py"


rule people_dosages:
    input:
        unpack(people_genotypes),
        people="<results>/people/{people}.predictions.parquet",
    output:
        dosages="<results>/people/{people}.dosages/{block}.parquet",
        gram="<results>/people/{people}.dosages/{block}.gram.npy",
    log:
        "<results>/logs/people_dosages/{people}.{block}.log",
    benchmark:
        "<results>/benchmarks/people_dosages/{people}.{block}.jsonl"
    conda:
        "../envs/cpu.yaml"
    resources:
        mem_mb=lambda wildcards, input, attempt: int(2000 + 2 * input.size_mb) * attempt,
        runtime=lambda wildcards, attempt: 120 * attempt,
    params:
        settings=people_settings,
        snvs_only=people_snvs_only,
        code=code_digest("people_dosages"),
    script:
        "../scripts/people_dosages.py"


rule people_covariates:
    input:
        unpack(people_covariate_inputs),
    output:
        "<results>/people/{people}.covariates.tsv",
    log:
        "<results>/logs/people_covariates/{people}.log",
    benchmark:
        "<results>/benchmarks/people_covariates/{people}.jsonl"
    localrule: True
    conda:
        "../envs/cpu.yaml"
    params:
        settings=people_settings,
        code=code_digest("people_covariates"),
    script:
        "../scripts/people_covariates.py"


rule people_linear:
    input:
        unpack(people_linear_inputs),
    output:
        "<results>/people/{people}.linear/{block}.tsv",
    log:
        "<results>/logs/people_linear/{people}.{block}.log",
    benchmark:
        "<results>/benchmarks/people_linear/{people}.{block}.jsonl"
    conda:
        "../envs/cpu.yaml"
    resources:
        mem_mb=lambda wildcards, input, attempt: int(2000 + 6 * input.size_mb) * attempt,
        runtime=lambda wildcards, attempt: 240 * attempt,
    params:
        settings=people_settings,
        seed=config["seed"],
        code=code_digest("people_linear"),
    script:
        "../scripts/people_linear.py"


rule people_drivers:
    input:
        unpack(people_driver_inputs),
    output:
        "<results>/people/{people}.drivers/{block}.parquet",
    log:
        "<results>/logs/people_drivers/{people}.{block}.log",
    benchmark:
        "<results>/benchmarks/people_drivers/{people}.{block}.jsonl"
    conda:
        "../envs/cpu.yaml"
    resources:
        mem_mb=lambda wildcards, input, attempt: int(2000 + 6 * input.size_mb) * attempt,
        runtime=lambda wildcards, attempt: 240 * attempt,
    params:
        settings=people_settings,
        code=code_digest("people_drivers"),
    script:
        "../scripts/people_drivers.py"


rule people_genes:
    input:
        unpack(people_gene_inputs),
    output:
        genes="<results>/people/{people}.genes.parquet",
        pairs="<results>/people/{people}.pairs.parquet",
        classes="<results>/people/{people}.classes.tsv",
        statistics="<results>/people/{people}.statistics.tsv",
        cross_gene="<results>/people/{people}.cross_gene.tsv",
        drivers="<results>/people/{people}.drivers.tsv",
    log:
        "<results>/logs/people_genes/{people}.log",
    benchmark:
        "<results>/benchmarks/people_genes/{people}.jsonl"
    conda:
        "../envs/cpu.yaml"
    resources:
        mem_mb=lambda wildcards, input, attempt: int(1000 + 6 * input.size_mb) * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
    params:
        settings=people_settings,
        seed=config["seed"],
        code=code_digest("people_genes"),
    script:
        "../scripts/people_genes.py"


rule figure_people_correlations:
    input:
        expand("<results>/people/{people}.genes.parquet", people=MEASURED_PEOPLE),
    output:
        report(
            "<results>/figures/people_correlations.png",
            caption="captions/people_correlations.rst",
            category="Replicate uncertainty",
            labels={"figure": "Personal genomes: correlation across people", "format": "PNG"},
        ),
        report(
            "<results>/figures/people_correlations.pdf",
            caption="captions/people_correlations.rst",
            category="Replicate uncertainty",
            labels={"figure": "Personal genomes: correlation across people", "format": "PDF"},
        ),
        "<results>/figures/people_correlations.tsv",
    log:
        "<results>/logs/figure_people_correlations.log",
    benchmark:
        "<results>/benchmarks/figure_people_correlations.jsonl"
    localrule: True
    conda:
        "../envs/cpu.yaml"
    params:
        entries=MEASURED_PEOPLE,
        toy=config["toy"],
        code=code_digest("figure_people_correlations"),
    script:
        "../scripts/figure_people_correlations.py"


rule figure_people_classes:
    input:
        expand("<results>/people/{people}.classes.tsv", people=MEASURED_PEOPLE),
    output:
        report(
            "<results>/figures/people_classes.png",
            caption="captions/people_classes.rst",
            category="Replicate uncertainty",
            labels={"figure": "Personal genomes: class fractions", "format": "PNG"},
        ),
        report(
            "<results>/figures/people_classes.pdf",
            caption="captions/people_classes.rst",
            category="Replicate uncertainty",
            labels={"figure": "Personal genomes: class fractions", "format": "PDF"},
        ),
        "<results>/figures/people_classes.tsv",
    log:
        "<results>/logs/figure_people_classes.log",
    benchmark:
        "<results>/benchmarks/figure_people_classes.jsonl"
    localrule: True
    conda:
        "../envs/cpu.yaml"
    params:
        entries=MEASURED_PEOPLE,
        toy=config["toy"],
        code=code_digest("figure_people_classes"),
    script:
        "../scripts/figure_people_classes.py"


rule figure_people_pairs:
    input:
        pairs=expand("<results>/people/{people}.pairs.parquet", people=PEOPLE),
        genes=expand("<results>/people/{people}.genes.parquet", people=PEOPLE),
    output:
        report(
            "<results>/figures/people_pairs.png",
            caption="captions/people_pairs.rst",
            category="Replicate uncertainty",
            labels={"figure": "Personal genomes: agreement of replicates", "format": "PNG"},
        ),
        report(
            "<results>/figures/people_pairs.pdf",
            caption="captions/people_pairs.rst",
            category="Replicate uncertainty",
            labels={"figure": "Personal genomes: agreement of replicates", "format": "PDF"},
        ),
        "<results>/figures/people_pairs.tsv",
    log:
        "<results>/logs/figure_people_pairs.log",
    benchmark:
        "<results>/benchmarks/figure_people_pairs.jsonl"
    localrule: True
    conda:
        "../envs/cpu.yaml"
    params:
        entries=PEOPLE,
        toy=config["toy"],
        code=code_digest("figure_people_pairs"),
    script:
        "../scripts/figure_people_pairs.py"


rule figure_people_drivers:
    input:
        drivers=[
            f"<results>/people/{people}.drivers/{block}.parquet"
            for people, entry in PEOPLE.items()
            for block in range(entry["variants"]["blocks"])
        ],
        statistics=expand("<results>/people/{people}.drivers.tsv", people=PEOPLE),
    output:
        report(
            "<results>/figures/people_drivers.png",
            caption="captions/people_drivers.rst",
            category="Replicate uncertainty",
            labels={"figure": "Personal genomes: driver variants", "format": "PNG"},
        ),
        report(
            "<results>/figures/people_drivers.pdf",
            caption="captions/people_drivers.rst",
            category="Replicate uncertainty",
            labels={"figure": "Personal genomes: driver variants", "format": "PDF"},
        ),
        "<results>/figures/people_drivers.tsv",
    log:
        "<results>/logs/figure_people_drivers.log",
    benchmark:
        "<results>/benchmarks/figure_people_drivers.jsonl"
    localrule: True
    conda:
        "../envs/cpu.yaml"
    params:
        entries=PEOPLE,
        toy=config["toy"],
        code=code_digest("figure_people_drivers"),
    script:
        "../scripts/figure_people_drivers.py"


rule figure_people_cross_gene:
    input:
        expand("<results>/people/{people}.cross_gene.tsv", people=LEVELLED_PEOPLE),
    output:
        report(
            "<results>/figures/people_cross_gene.png",
            caption="captions/people_cross_gene.rst",
            category="Replicate uncertainty",
            labels={"figure": "Personal genomes: correlation over genes", "format": "PNG"},
        ),
        report(
            "<results>/figures/people_cross_gene.pdf",
            caption="captions/people_cross_gene.rst",
            category="Replicate uncertainty",
            labels={"figure": "Personal genomes: correlation over genes", "format": "PDF"},
        ),
        "<results>/figures/people_cross_gene.tsv",
    log:
        "<results>/logs/figure_people_cross_gene.log",
    benchmark:
        "<results>/benchmarks/figure_people_cross_gene.jsonl"
    localrule: True
    conda:
        "../envs/cpu.yaml"
    params:
        entries=LEVELLED_PEOPLE,
        toy=config["toy"],
        code=code_digest("figure_people_cross_gene"),
    script:
        "../scripts/figure_people_cross_gene.py"
