# Populations of models, and simulated sequences whose motifs are known.


rule make_grammar:
    input:
        motifs=grammar_motifs,
    output:
        fasta="<results>/grammars/{grammar}.fa",
        index="<results>/grammars/{grammar}.fa.fai",
        targets="<results>/grammars/{grammar}.targets.tsv",
        splits="<results>/grammars/{grammar}.splits.bed",
        motifs="<results>/grammars/{grammar}.motifs.tsv",
        truth="<results>/grammars/{grammar}.truth.parquet",
    log:
        "<results>/logs/make_grammar/{grammar}.log",
    benchmark:
        "<results>/benchmarks/make_grammar/{grammar}.jsonl"
    localrule: True
    conda:
        "../envs/cpu.yaml"
    params:
        settings=lookup("grammars/{grammar}", within=config),
        code=code_digest("make_grammar"),
    script:
        "../scripts/make_grammar.py"


rule common_maps:
    input:
        unpack(common_map_inputs),
    output:
        usable="<results>/populations/{population}.usable.tsv",
        common="<results>/populations/{population}.common.tsv",
    log:
        "<results>/logs/common_maps/{population}.log",
    benchmark:
        "<results>/benchmarks/common_maps/{population}.jsonl"
    wildcard_constraints:
        population=names(POPULATIONS),
    conda:
        "../envs/cpu.yaml"
    resources:
        mem_mb=lambda wildcards, input, attempt: int(2000 + input.size_mb) * attempt,
        runtime=attempted(60),
    params:
        models=lambda wildcards: mapped_models(wildcards.population),
        chosen=lambda wildcards: [
            POPULATIONS[wildcards.population]["selection"][key] for key in ("set", "maps")
        ],
        judged=lambda wildcards: POPULATIONS[wildcards.population].get("judging", {}).get("maps"),
        least_usable=lookup("populations/{population}/least_usable", within=config),
        code=code_digest("common_maps"),
    script:
        "../scripts/common_maps.py"


rule score_models:
    input:
        unpack(cell_inputs),
    output:
        scores="<results>/populations/{population}/{ensemble}.tsv",
        sequences="<results>/populations/{population}/{ensemble}.sequences.parquet",
        spectra="<results>/populations/{population}/{ensemble}.spectra.parquet",
        spheres="<results>/populations/{population}/{ensemble}.spheres.parquet",
        logos="<results>/populations/{population}/{ensemble}.logos.parquet",
    log:
        "<results>/logs/score_models/{population}.{ensemble}.log",
    benchmark:
        "<results>/benchmarks/score_models/{population}.{ensemble}.jsonl"
    wildcard_constraints:
        population=names(POPULATIONS),
        ensemble=names(cell.ensemble for name in POPULATIONS for cell in population_cells(name)),
    conda:
        "../envs/cpu.yaml"
    resources:
        mem_mb=lambda wildcards, input, attempt: int(2000 + 8 * input.size_mb) * attempt,
        runtime=attempted(60),
    params:
        cell=lambda wildcards: scored_cell(
            wildcards.population,
            wildcards.ensemble,
            population_cell(wildcards).control,
            population_cell(wildcards).levels,
        ),
        replicates=lambda wildcards: replicates(wildcards.ensemble),
        output=OUTPUT,
        metric=lookup("populations/{population}/selection/metric", within=config),
        consistency=lookup("populations/{population}/consistency", within=config),
        seed=config["seed"],
        code=code_digest("score_models"),
    script:
        "../scripts/score_models.py"


rule score_truth:
    input:
        unpack(truth_control_inputs),
    output:
        scores="<results>/populations/{population}/truth.tsv",
        sequences="<results>/populations/{population}/truth.sequences.parquet",
        spectra="<results>/populations/{population}/truth.spectra.parquet",
        spheres="<results>/populations/{population}/truth.spheres.parquet",
        logos="<results>/populations/{population}/truth.logos.parquet",
    log:
        "<results>/logs/score_truth/{population}.log",
    benchmark:
        "<results>/benchmarks/score_truth/{population}.jsonl"
    wildcard_constraints:
        population=names(POPULATIONS),
    conda:
        "../envs/cpu.yaml"
    resources:
        mem_mb=lambda wildcards, input, attempt: int(2000 + 8 * input.size_mb) * attempt,
        runtime=attempted(60),
    params:
        cell=lambda wildcards: scored_cell(wildcards.population, "", "truth", {}),
        metric=lookup("populations/{population}/selection/metric", within=config),
        consistency=lookup("populations/{population}/consistency", within=config),
        seed=config["seed"],
        code=code_digest("score_truth"),
    script:
        "../scripts/score_truth.py"


rule select_models:
    input:
        unpack(selection_inputs),
    output:
        models="<results>/populations/{population}.models.tsv",
        selection="<results>/populations/{population}.selection.tsv",
        correlations="<results>/populations/{population}.correlations.tsv",
    log:
        "<results>/logs/select_models/{population}.log",
    benchmark:
        "<results>/benchmarks/select_models/{population}.jsonl"
    wildcard_constraints:
        population=names(POPULATIONS),
    conda:
        "../envs/cpu.yaml"
    resources:
        mem_mb=lambda wildcards, input, attempt: int(2000 + 20 * input.size_mb) * attempt,
        runtime=attempted(60),
    params:
        models=sequenced_models,
        settings=lookup("populations/{population}", within=config),
        seed=config["seed"],
        code=code_digest("select_models"),
    script:
        "../scripts/select_models.py"


for population_figure, population_label in POPULATION_FIGURES.items():

    rule:
        name:
            f"figure_population_{population_figure}"
        input:
            models=expand("<results>/populations/{population}.models.tsv", population=POPULATIONS),
            selection=expand(
                "<results>/populations/{population}.selection.tsv", population=POPULATIONS
            ),
            correlations=expand(
                "<results>/populations/{population}.correlations.tsv", population=POPULATIONS
            ),
        output:
            report(
                f"<results>/figures/population_{population_figure}.png",
                caption=f"captions/population_{population_figure}.rst",
                category="Attribution",
                labels={"figure": population_label, "format": "PNG"},
            ),
            report(
                f"<results>/figures/population_{population_figure}.pdf",
                caption=f"captions/population_{population_figure}.rst",
                category="Attribution",
                labels={"figure": population_label, "format": "PDF"},
            ),
            f"<results>/figures/population_{population_figure}.tsv",
        log:
            f"<results>/logs/figure_population_{population_figure}.log",
        benchmark:
            f"<results>/benchmarks/figure_population_{population_figure}.jsonl"
        localrule: True
        conda:
            "../envs/cpu.yaml"
        params:
            populations=POPULATIONS,
            figure=population_figure,
            toy=config["toy"],
            code=code_digest("figure_populations"),
        script:
            "../scripts/figure_populations.py"


for pair_figure, (pair_label, pair_table) in POPULATION_PAIR_FIGURES.items():

    rule:
        name:
            f"figure_population_{pair_figure}"
        input:
            models=expand("<results>/populations/{population}.models.tsv", population=POPULATIONS),
            drawn=drawn_models(f"{pair_table}.parquet"),
        output:
            report(
                f"<results>/figures/population_{pair_figure}.png",
                caption=f"captions/population_{pair_figure}.rst",
                category="Attribution",
                labels={"figure": pair_label, "format": "PNG"},
            ),
            report(
                f"<results>/figures/population_{pair_figure}.pdf",
                caption=f"captions/population_{pair_figure}.rst",
                category="Attribution",
                labels={"figure": pair_label, "format": "PDF"},
            ),
            f"<results>/figures/population_{pair_figure}.tsv",
        log:
            f"<results>/logs/figure_population_{pair_figure}.log",
        benchmark:
            f"<results>/benchmarks/figure_population_{pair_figure}.jsonl"
        localrule: True
        conda:
            "../envs/cpu.yaml"
        params:
            labels={name: entry["label"] for name, entry in POPULATIONS.items()},
            tables=drawn_counts(),
            figure=pair_figure,
            toy=config["toy"],
            code=code_digest("figure_population_pair"),
        script:
            "../scripts/figure_population_pair.py"
