# Summary: headline numbers, and for a toy the planted truth beside what was recovered.


rule compare_planted:
    input:
        unpack(planted_inputs),
    output:
        "<results>/planted.tsv",
    log:
        "<results>/logs/compare_planted.log",
    benchmark:
        "<results>/benchmarks/compare_planted.jsonl"
    localrule: True
    conda:
        "../envs/cpu.yaml"
    params:
        output=lambda wildcards: VERDICTS[PLANTED["verdict"]]["output"],
        code=code_digest("compare_planted"),
    script:
        "../scripts/compare_planted.py"


rule headlines:
    input:
        fractions=expand("<results>/consistency/{verdict}.fractions.tsv", verdict=VERDICTS),
        statistics=expand("<results>/consistency/{verdict}.headlines.tsv", verdict=VERDICTS),
        # a toy's correlations stand beside their noise ceiling, among the planted claims
        accuracy=expand(
            "<results>/accuracy/{table}.tsv",
            table=[name for name in config["accuracy"] if name != PLANTED.get("accuracy")],
        ),
        planted=["<results>/planted.tsv"] if PLANTED else [],
        deep_mr=expand("<results>/deepmr/{deepmr}.headlines.tsv", deepmr=DEEP_MR),
        simulated=expand(
            "<results>/mr_simulations/{simulation}.summary.tsv", simulation=SIMULATIONS
        ),
        robustness=expand(
            "<results>/robustness/{robustness}.headlines.tsv", robustness=config["robustness"]
        ),
        maps=expand(
            "<results>/attributions/{attribution}.consistency.tsv", attribution=USER_ATTRIBUTIONS
        ),
        agreement=expand(
            "<results>/attributions/{attribution}.agreement.tsv", attribution=USER_ATTRIBUTIONS
        ),
        chosen=expand("<results>/populations/{population}.selection.tsv", population=POPULATIONS),
        correlated=expand(
            "<results>/populations/{population}.correlations.tsv", population=POPULATIONS
        ),
    output:
        table="<results>/headlines.tsv",
        page=report(
            "<results>/headlines.html",
            caption="captions/headlines.rst",
            category="Headline numbers",
            labels={"table": "Headline numbers"},
        ),
    log:
        "<results>/logs/headlines.log",
    benchmark:
        "<results>/benchmarks/headlines.jsonl"
    localrule: True
    conda:
        "../envs/cpu.yaml"
    params:
        labels=[entry["label"] for entry in labelled_verdicts().values()],
        attributions=[ATTRIBUTIONS[name]["label"] for name in USER_ATTRIBUTIONS],
        populations=[entry["label"] for entry in POPULATIONS.values()],
        simulations=[entry["label"] for entry in SIMULATIONS.values()],
        title=config["title"],
        toy=config["toy"],
        code=code_digest("headlines"),
    script:
        "../scripts/headlines.py"


rule inference_work:
    input:
        [shard for *_, shards in computed_groups() for shard in shards],
    output:
        report(
            "<results>/tables/inference_work.tsv",
            caption="captions/inference_work.rst",
            category="Run",
            labels={"table": "Multiplications and time of inference"},
        ),
    log:
        "<results>/logs/inference_work.log",
    benchmark:
        "<results>/benchmarks/inference_work.jsonl"
    localrule: True
    conda:
        "../envs/cpu.yaml"
    params:
        groups=[[*names, len(shards)] for *names, shards in computed_groups()],
        code=code_digest("inference_work"),
    script:
        "../scripts/inference_work.py"


rule inference_cost:
    input:
        replicates=[replicate_files_of(ensemble)[0] for ensemble, _ in predicted_pairs()],
        sequences=[f"<results>/sequences/{name}.parquet" for _, name in predicted_pairs()],
        sources=[path for ensemble, _ in predicted_pairs() for path in sources_of(ensemble)],
    output:
        "<results>/tables/inference_cost.tsv",
    log:
        "<results>/logs/inference_cost.log",
    benchmark:
        "<results>/benchmarks/inference_cost.jsonl"
    conda:
        lambda wildcards: environment_of(*(ensemble for ensemble, _ in predicted_pairs()))
    threads: max((ENSEMBLES[name]["threads"] for name, _ in predicted_pairs()), default=1)
    resources:
        gpu=max((ENSEMBLES[name]["gpu"] for name, _ in predicted_pairs()), default=0),
        mem_mb=lambda wildcards, input, attempt: int(3000 + 3 * input.size_mb) * attempt,
    params:
        planned=[planned_entry(*pair) for pair in predicted_pairs()],
        jobs=config["shards"],
        cost=config["cost"],
        code=code_digest("inference_cost"),
    script:
        "../scripts/inference_cost.py"
