from snakemake.utils import min_version

min_version("9.15")


# A config on the command line replaces the default: Snakemake would merge the two.
if not workflow.configfiles and not config:

    configfile: "config/config.yaml"


report: "rules/captions/workflow.rst"


# used with --sdm apptainer only; `make container` builds it from the lock
container: "envs/seqtrust.sif"


include: "rules/common.smk"


pathvars:
    results=f"results/{config['run']}",


wildcard_constraints:
    assembly="[a-z0-9_]+",
    attribution="[a-z0-9_]+",
    block="[0-9]+",
    calibration="[a-z0-9_]+",
    cell="[a-z0-9_]+",
    deepmr="[a-z0-9_]+",
    ensemble="[a-z0-9_]+",
    eqtls="[a-z0-9_]+",
    grammar="[a-z0-9_]+",
    ism="[a-z0-9_]+",
    library="[a-z0-9_]+",
    measured="[a-z0-9_]+",
    method="[a-z0-9_]+",
    model="[a-z0-9_]+",
    motifs="[a-z0-9_]+",
    part="[0-9]+-of-[0-9]+|table",
    people="[a-z0-9_]+",
    points="[a-z0-9_]+",
    population="[a-z0-9_]+",
    randomness="[a-z0-9_]+",
    reference="[a-z0-9_]+",
    replicate="[a-z0-9_]+",
    robustness="[a-z0-9_]+",
    round="[0-9]+",
    set="[a-z0-9_]+",
    sign_calibration="[a-z0-9_]+",
    simulation="[a-z0-9_]+",
    table="[a-z0-9_]+",
    trust="[a-z0-9_]+",
    variant_file="[a-z0-9_]+",
    verdict="[a-z0-9_]+",
    world="[0-9]+",


scattergather:
    shards=config["shards"],


localrules:
    all,


include: "rules/common_resources.smk"
include: "rules/common_ensembles.smk"
include: "rules/common_analyses.smk"
include: "rules/common_attribution.smk"
include: "rules/common_deepmr.smk"
include: "rules/common_mr_simulations.smk"
include: "rules/common_robustness.smk"
include: "rules/resources.smk"
include: "rules/inputs.smk"
include: "rules/sequences.smk"
include: "rules/measured.smk"
include: "rules/ensembles.smk"
include: "rules/inference.smk"
include: "rules/consistency.smk"
include: "rules/calibration.smk"
include: "rules/reference.smk"
include: "rules/motifs.smk"
include: "rules/eqtls.smk"
include: "rules/people.smk"
include: "rules/randomness.smk"
include: "rules/trust.smk"
include: "rules/attribution.smk"
include: "rules/populations.smk"
include: "rules/deepmr.smk"
include: "rules/mr_simulations.smk"
include: "rules/robustness.smk"
include: "rules/robustness_measured.smk"
include: "rules/figures.smk"
include: "rules/summary.smk"


rule all:
    default_target: True
    input:
        expand("<results>/assemblies/{assembly}.json", assembly=config["assemblies"]),
        "<results>/inputs.tsv",
        "<results>/headlines.tsv",
        "<results>/tables/inference_work.tsv",
        expand("<results>/figures/{figure}.png", figure=FIGURES),
        [shard for name in MAPS for shard in map_shards(name)],
        expand("<results>/attributions/{attribution}.agreement.tsv", attribution=USER_ATTRIBUTIONS),
        expand("<results>/populations/{population}.motif_sharing.tsv", population=MOTIF_POPULATIONS),
        expand("<results>/robustness/{robustness}.tests.tsv", robustness=config["robustness"]),
