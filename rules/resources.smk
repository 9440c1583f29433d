# Inputs that a run needs and does not make: fetched, looked at all at once, or asked for.


# A rule deletes its output before it runs, so there is none for a file that exists.
for name in DOWNLOADS:

    rule:
        name:
            f"fetch_{name}"
        input:
            stored=stored_copy(name),
        output:
            fetched_files(name),
        log:
            f"<results>/logs/fetch/{name}.log",
        benchmark:
            f"<results>/benchmarks/fetch/{name}.jsonl"
        localrule: True
        conda:
            "../envs/cpu.yaml"
        params:
            tables=config["downloads"],
            download=ABSENT[name]["download"],
            code=code_digest("fetch_input"),
        script:
            "../scripts/fetch_input.py"


rule fetch_all:
    input:
        [path for name in DOWNLOADS for path in fetched_files(name)],
    localrule: True


rule check_inputs:
    input:
        checkable_inputs,
    output:
        "<results>/inputs.tsv",
    log:
        "<results>/logs/check_inputs.log",
    benchmark:
        "<results>/benchmarks/check_inputs.jsonl"
    priority: 1000
    localrule: True
    conda:
        "../envs/cpu.yaml"
    params:
        files=[file.as_dict() for file in INPUT_FILES],
        missing=MISSING,
        refuse=config["check_inputs"],
        later=[path for name in DOWNLOADS for path in fetched_files(name)] if MISSING else [],
        code=code_digest("check_inputs"),
    script:
        "../scripts/check_inputs.py"


onstart:
    refuse_unusable_inputs()


# What a job says that needs a missing file, where the check was not asked for.
for name, path in MISSING_FILES.items():

    rule:
        name:
            f"missing_{name}"
        output:
            path,
        log:
            f"<results>/logs/missing_input/{name}.log",
        localrule: True
        conda:
            "../envs/cpu.yaml"
        params:
            source=MISSING[path],
            code=code_digest("missing_input"),
        script:
            "../scripts/missing_input.py"
