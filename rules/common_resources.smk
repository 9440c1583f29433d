# Look-ups of a run's inputs: which are there, which are fetched, which a user must get.
from importlib.util import find_spec

from seqtrust.downloads.fetch import by_hand
from seqtrust.downloads.table import HTTP, chosen_downloads
from seqtrust.input_checks import usable_inputs
from seqtrust.input_files import input_files

STORAGE_PLUGINS = {"gs": "gcs", "gcs": "gcs"}
INPUT_FILES = input_files(
    config, load_schema(SCRIPTS / ".." / "config" / "schemas" / "config.schema.json")
)
ABSENT = {
    name: entry
    for name, entry in config["external"].items()
    if not Path(data_path(entry["path"])).exists()
}
try:
    DOWNLOADS = chosen_downloads(ABSENT, config["downloads"])
except InputError as error:
    raise WorkflowError(str(error)) from None


def fetched_files(name):
    """What a download makes: the file, and the index of a FASTA."""
    path = data_path(ABSENT[name]["path"])
    return [path, f"{path}.fai"] if DOWNLOADS[name].index == "faidx" else [path]


def stored_copy(name):
    """The object of a storage plugin that a download is copied from; of HTTP there is none."""
    download = DOWNLOADS[name]
    if download.scheme in HTTP:
        return []
    plugin = STORAGE_PLUGINS.get(download.scheme, download.scheme)
    if find_spec(f"snakemake_storage_plugin_{plugin}") is None:
        raise WorkflowError(
            f"external/{name}: {download.scheme}:// needs the package "
            f"snakemake-storage-plugin-{plugin} beside Snakemake. "
            f"{by_hand(download, data_path(ABSENT[name]['path']))}"
        )
    return storage(download.url)


# what nothing makes, a name for each path, and what to say of it
MISSING_FILES = {
    name: data_path(entry["path"]) for name, entry in ABSENT.items() if "source" in entry
}
EXTERNAL_PATHS = {data_path(entry["path"]) for entry in config["external"].values()}
MISSING_FILES |= {
    f"unlisted_{number}": file.path
    for number, file in enumerate(INPUT_FILES)
    if file.kind != "folder" and file.path not in EXTERNAL_PATHS and not Path(file.path).exists()
}
MISSING = {path: ABSENT.get(name, {}).get("source", "") for name, path in MISSING_FILES.items()}


def checkable_inputs(wildcards):
    """The files to look at; if some can only be had by hand, nothing is fetched first."""
    fetched = [fetched_files(name)[0] for name in DOWNLOADS]
    files = [file.path for file in INPUT_FILES if file.kind != "folder"]
    there = [path for path in files if Path(path).exists()]
    return there if MISSING else there + fetched


def refuse_unusable_inputs():
    """Nothing, or an error that lists all that is wrong, if a job is due that may use a GPU.

    `check_inputs` alone cannot come first: jobs that depend on it would all run again with it, and
    Snakemake takes no note of other reasons to run a job below an `ancient` file that is made anew.
    """
    long_jobs = any("gpu" in job.rule.resources for job in workflow.dag.needrun_jobs())
    if not (config["check_inputs"] and long_jobs):
        return
    later = {path for name in DOWNLOADS for path in fetched_files(name)}
    try:
        usable_inputs([file for file in INPUT_FILES if file.path not in later], MISSING)
    except InputError as error:
        raise WorkflowError(str(error)) from None
