# Attribution maps: one job per entry, method, replicate and shard.


rule attribute:
    input:
        unpack(attribution_inputs),
    output:
        "<results>/attributions/{attribution}/{method}/{replicate}/{scatteritem}.parquet",
    log:
        "<results>/logs/attribute/{attribution}.{method}.{replicate}.{scatteritem}.log",
    benchmark:
        "<results>/benchmarks/attribute/{attribution}.{method}.{replicate}.{scatteritem}.jsonl"
    wildcard_constraints:
        method=names(METHODS),
    conda:
        environment
    threads: lambda wildcards: attributed_ensemble(wildcards)["threads"]
    resources:
        gpu=lambda wildcards: attributed_ensemble(wildcards)["gpu"],
        mem_mb=lambda wildcards, input, attempt: int(4000 + 3 * input.size_mb) * attempt,
        runtime=lambda wildcards, attempt: 120 * attempt,
    params:
        outputs=attributed_output,
        settings=attribution_settings,
        seed=config["seed"],
        code=code_digest("attribute"),
    script:
        "../scripts/attribute.py"


rule attribution_agreement:
    input:
        lambda wildcards: all_attribution_shards(wildcards.attribution),
    output:
        counts="<results>/attributions/{attribution}.counts.tsv",
        agreement="<results>/attributions/{attribution}.agreement.tsv",
    log:
        "<results>/logs/attribution_agreement/{attribution}.log",
    benchmark:
        "<results>/benchmarks/attribution_agreement/{attribution}.jsonl"
    conda:
        "../envs/cpu.yaml"
    resources:
        mem_mb=lambda wildcards, input, attempt: int(1000 + 8 * input.size_mb) * attempt,
        runtime=attempted(60),
    params:
        methods=lambda wildcards: list(ATTRIBUTIONS[wildcards.attribution]["methods"]),
        replicates=lambda wildcards: replicates(ATTRIBUTIONS[wildcards.attribution]["ensemble"]),
        seed=config["seed"],
        code=code_digest("attribution_agreement"),
    script:
        "../scripts/attribution_agreement.py"


rule attribution_consistency:
    input:
        unpack(consistency_inputs),
    output:
        scores="<results>/attributions/{attribution}.consistency.tsv",
        nulls="<results>/attributions/{attribution}.nulls.tsv",
        differences="<results>/attributions/{attribution}.differences.tsv",
        sensitivity="<results>/attributions/{attribution}.sensitivity.tsv",
        spectra="<results>/attributions/{attribution}.spectra.parquet",
        spheres="<results>/attributions/{attribution}.spheres.parquet",
        logos="<results>/attributions/{attribution}.logos.parquet",
    log:
        "<results>/logs/attribution_consistency/{attribution}.log",
    benchmark:
        "<results>/benchmarks/attribution_consistency/{attribution}.jsonl"
    conda:
        "../envs/cpu.yaml"
    resources:
        # maps are stored in single precision and scored in double
        mem_mb=lambda wildcards, input, attempt: int(2000 + 10 * input.size_mb) * attempt,
        runtime=attempted(120),
    params:
        methods=lambda wildcards: list(ATTRIBUTIONS[wildcards.attribution]["methods"]),
        replicates=lambda wildcards: replicates(ATTRIBUTIONS[wildcards.attribution]["ensemble"]),
        region=lambda wildcards: ATTRIBUTIONS[wildcards.attribution].get("region"),
        settings=lookup("attributions/{attribution}/consistency", within=config),
        logos=lookup("attributions/{attribution}/logos", within=config),
        seed=config["seed"],
        code=code_digest("attribution_consistency"),
    script:
        "../scripts/attribution_consistency.py"


for figure_name, (figure_title, figure_entries, figure_tables) in ATTRIBUTION_FIGURES.items():

    rule:
        name:
            f"figure_attribution_{figure_name}"
        input:
            **{
                table.split(".")[0]: [
                    f"<results>/attributions/{entry}.{table}" for entry in figure_entries
                ]
                for table in figure_tables
            },
        output:
            report(
                f"<results>/figures/attribution_{figure_name}.png",
                caption=f"captions/attribution_{figure_name}.rst",
                category="Attribution",
                labels={"figure": figure_title, "format": "PNG"},
            ),
            report(
                f"<results>/figures/attribution_{figure_name}.pdf",
                caption=f"captions/attribution_{figure_name}.rst",
                category="Attribution",
                labels={"figure": figure_title, "format": "PDF"},
            ),
            f"<results>/figures/attribution_{figure_name}.tsv",
        log:
            f"<results>/logs/figure_attribution_{figure_name}.log",
        benchmark:
            f"<results>/benchmarks/figure_attribution_{figure_name}.jsonl"
        localrule: True
        conda:
            "../envs/cpu.yaml"
        params:
            figure=figure_name,
            kinds=[table.split(".")[0] for table in figure_tables],
            labels={entry: ATTRIBUTIONS[entry]["label"] for entry in figure_entries},
            toy=config["toy"],
            code=code_digest("figure_attribution"),
        script:
            "../scripts/figure_attribution.py"


rule discover_motifs:
    input:
        motif_maps,
    output:
        "<results>/attributions/{attribution}/motifs/{method}/{replicate}.parquet",
    log:
        "<results>/logs/discover_motifs/{attribution}.{method}.{replicate}.log",
    benchmark:
        "<results>/benchmarks/discover_motifs/{attribution}.{method}.{replicate}.jsonl"
    wildcard_constraints:
        method=names(METHODS),
    conda:
        "../envs/motif_discovery.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, input, attempt: int(3000 + 10 * input.size_mb) * attempt,
        runtime=attempted(120),
    params:
        replicates=lambda wildcards: len(mapped_replicates(wildcards)),
        track=lambda wildcards: ATTRIBUTIONS[wildcards.attribution]["motifs"].get("track"),
        settings=discovery_settings,
        seed=config["seed"],
        code=code_digest("discover_motifs"),
    script:
        "../scripts/discover_motifs.py"


rule motif_consistency:
    input:
        unpack(motif_consistency_inputs),
    output:
        matrices="<results>/attributions/{attribution}.motifs.parquet",
        motifs="<results>/attributions/{attribution}.motifs.tsv",
        sharing="<results>/attributions/{attribution}.motif_sharing.tsv",
        meme="<results>/attributions/{attribution}.motifs.meme",
    log:
        "<results>/logs/motif_consistency/{attribution}.log",
    benchmark:
        "<results>/benchmarks/motif_consistency/{attribution}.jsonl"
    conda:
        "../envs/cpu.yaml"
    resources:
        mem_mb=attempted(2000),
        runtime=attempted(30),
    params:
        methods=lambda wildcards: motif_methods(wildcards.attribution),
        replicates=lambda wildcards: motif_replicates(wildcards.attribution),
        settings=lookup("attributions/{attribution}/motifs", within=config),
        seed=config["seed"],
        code=code_digest("motif_consistency"),
    script:
        "../scripts/motif_consistency.py"


rule population_motifs:
    input:
        lambda wildcards: [
            f"<results>/attributions/{name}.motif_sharing.tsv"
            for name in explained_attributions(wildcards.population).values()
        ],
    output:
        "<results>/populations/{population}.motif_sharing.tsv",
    log:
        "<results>/logs/population_motifs/{population}.log",
    benchmark:
        "<results>/benchmarks/population_motifs/{population}.jsonl"
    wildcard_constraints:
        population=names(MOTIF_POPULATIONS),
    localrule: True
    conda:
        "../envs/cpu.yaml"
    params:
        cells=lambda wildcards: [
            {"ensemble": cell.ensemble, "kind": cell.kind, "control": cell.control} | cell.levels
            for cell in population_cells(wildcards.population)
        ],
        code=code_digest("population_motifs"),
    script:
        "../scripts/population_motifs.py"
