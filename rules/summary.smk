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
        title=config["title"],
        toy=config["toy"],
        code=code_digest("headlines"),
    script:
        "../scripts/headlines.py"
