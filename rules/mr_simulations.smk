# Deep MR on simulated sequences with known effects: one job per cell and round.


rule mr_simulation_round:
    input:
        motifs=simulation_motifs,
    output:
        "<results>/mr_simulations/{simulation}/{cell}/{round}.parquet",
    log:
        "<results>/logs/mr_simulation_round/{simulation}.{cell}.{round}.log",
    benchmark:
        "<results>/benchmarks/mr_simulation_round/{simulation}.{cell}.{round}.jsonl"
    conda:
        simulation_environment
    threads: lambda wildcards: simulation_of(wildcards)["threads"]
    resources:
        gpu=lambda wildcards: simulation_of(wildcards)["gpu"],
        mem_mb=attempted(3000),
        runtime=lambda wildcards, attempt: (int(60 * simulation_of(wildcards)["hours"]) * attempt),
    params:
        settings=simulation_settings,
        motifs=simulation_motif_names,
        cell=simulated_cell,
        seed=config["seed"],
        code=code_digest("mr_simulation_round"),
    script:
        "../scripts/mr_simulation_round.py"


rule mr_simulation_summary:
    input:
        unpack(simulation_summary_inputs),
    output:
        rounds="<results>/mr_simulations/{simulation}.rounds.tsv",
        summary="<results>/mr_simulations/{simulation}.summary.tsv",
        published="<results>/mr_simulations/{simulation}.published.tsv",
    log:
        "<results>/logs/mr_simulation_summary/{simulation}.log",
    benchmark:
        "<results>/benchmarks/mr_simulation_summary/{simulation}.jsonl"
    conda:
        "../envs/cpu.yaml"
    resources:
        mem_mb=attempted(2000),
    params:
        law=lambda wildcards: simulation_of(wildcards).get("published", {}).get("law", ""),
        code=code_digest("mr_simulation_summary"),
    script:
        "../scripts/mr_simulation_summary.py"


for panel, title in (SIMULATION_FIGURES | {"published": "beside published values"}).items():

    rule:
        name:
            f"figure_mr_simulation_{panel}"
        input:
            rounds="<results>/mr_simulations/{simulation}.rounds.tsv",
            summary="<results>/mr_simulations/{simulation}.summary.tsv",
            published="<results>/mr_simulations/{simulation}.published.tsv",
        output:
            report(
                f"<results>/figures/mr_simulation_{{simulation}}_{panel}.png",
                caption=f"captions/mr_simulation_{panel}.rst",
                category="Deep MR",
                labels={"figure": f"Simulation {{simulation}}: {title}", "format": "PNG"},
            ),
            report(
                f"<results>/figures/mr_simulation_{{simulation}}_{panel}.pdf",
                caption=f"captions/mr_simulation_{panel}.rst",
                category="Deep MR",
                labels={"figure": f"Simulation {{simulation}}: {title}", "format": "PDF"},
            ),
            f"<results>/figures/mr_simulation_{{simulation}}_{panel}.tsv",
        log:
            f"<results>/logs/figure_mr_simulation/{{simulation}}.{panel}.log",
        benchmark:
            f"<results>/benchmarks/figure_mr_simulation/{{simulation}}.{panel}.jsonl"
        localrule: True
        conda:
            "../envs/cpu.yaml"
        params:
            panel=panel,
            label=simulation_label,
            toy=config["toy"],
            code=code_digest("figure_mr_simulation"),
        script:
            "../scripts/figure_mr_simulation.py"
