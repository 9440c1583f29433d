# Look-ups of the Deep MR simulations: cells, rounds and what a job needs of an entry.
from seqtrust.mr_simulation_cells import cells_of

try:
    SIMULATION_CELLS = {name: cells_of(entry["grid"]) for name, entry in SIMULATIONS.items()}
except InputError as error:
    raise WorkflowError(str(error)) from None


def simulation_of(wildcards):
    return SIMULATIONS[wildcards.simulation]


def simulated_cell(wildcards):
    return SIMULATION_CELLS[wildcards.simulation][wildcards.cell].to_dict()


def simulation_motifs(wildcards):
    return data_path(simulation_of(wildcards)["motifs"]["path"])


def simulation_motif_names(wildcards):
    """The motifs of exposure, outcome and confounder."""
    chosen = simulation_of(wildcards)["motifs"]
    return [chosen[role] for role in ("exposure", "outcome", "confounder")]


def simulation_settings(wildcards):
    """What shapes a round: all but labels, the grid and published values."""
    parts = ("process", "laws", "data", "oracle", "networks", "analyses")
    entry = simulation_of(wildcards)
    return {part: entry[part] for part in parts if part in entry}


def simulation_rounds(wildcards):
    """The tables of all cells and rounds."""
    name = wildcards.simulation
    return [
        f"<results>/mr_simulations/{name}/{cell}/{number}.parquet"
        for cell in SIMULATION_CELLS[name]
        for number in range(1, SIMULATIONS[name]["rounds"] + 1)
    ]


def simulation_summary_inputs(wildcards):
    entry = simulation_of(wildcards)
    published = {"published": entry["published"]["table"]} if "published" in entry else {}
    return {"rounds": simulation_rounds(wildcards)} | published


def simulation_environment(wildcards):
    """The environment of a round, with torch where networks are trained."""
    return f"../envs/{'gpu' if 'networks' in simulation_of(wildcards) else 'cpu'}.yaml"


def simulation_label(wildcards):
    return simulation_of(wildcards)["label"]
