"""How fast haplotypes are made, and how much memory and disk they take.

    PYTHONPATH=scripts python tests/benchmark/haplotypes.py --peer-python /path/to/python

The peer, GenVarLoader, wants another pyarrow than ours, so it needs an environment of its own:
`python3 -m venv peer && peer/bin/pip install genvarloader`. Without `--peer-python` its rows are
left out, without bcftools and samtools on PATH theirs. All methods run in turns on one machine, so
that other load meets them alike; ratios are of medians. Everything that is produced is compared
by its hash, outside of the timed part. The simulated variants are 25 bp or more apart, so that all
agree on what a haplotype is, and windows are anchored at their first base, as the peer's are.
"""

import argparse
import hashlib
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from statistics import median

import numpy as np
import pysam

from seqtrust import bases
from seqtrust.contrasts import CONTRASTS
from seqtrust.genome import Genome, Window
from seqtrust.genotypes import GenotypeFile
from seqtrust.sequence_set import read_sequence_set, write_sequence_set
from seqtrust.sources.haplotype_rules import HaplotypeRules
from seqtrust.sources.haplotypes import HAPLOTYPES, HaplotypeSequences
from seqtrust.tables import read_table, streamed_table
from seqtrust.variant_files import index

LENGTH = 131_072
GENES = 3_259
LETTERS = np.frombuffer(b"ACGT", dtype=np.uint8)

PEER = """
import hashlib, json, sys, time
import genvarloader as gvl, polars as pl
from genoray import VCF
vcf, fasta, starts, length, repeat = json.loads(sys.argv[1])
bed = pl.DataFrame({"chrom": ["chr1"] * len(starts), "chromStart": starts,
                    "chromEnd": [start + length for start in starts]})
def run(use):
    begin = time.perf_counter()
    gvl.write(vcf + ".gvl", bed, variants=VCF(vcf), overwrite=True)
    data = gvl.Dataset.open(vcf + ".gvl", reference=fasta)
    data = data.with_seqs("haplotypes").with_len(length)
    for region in range(len(starts)):
        use(data[region])
    return time.perf_counter() - begin, data.samples
digests = []
def keep(found):
    digests.extend(hashlib.blake2b(h.tobytes(), digest_size=16).hexdigest()
                   for sample in found for h in sample)
if repeat == 0:
    _, samples = run(keep)
    print(json.dumps({"samples": list(samples), "digests": digests, "version": gvl.__version__}))
else:
    run(len)
    print(json.dumps({"seconds": run(len)[0]}))
"""


# --- simulated inputs --------------------------------------------------------------------------


def write_fasta(path, size, rng):
    """A random contig `chr1`; returns it as text."""
    text = LETTERS[rng.integers(0, 4, size)].tobytes().decode()
    lines = (text[i : i + 80] + "\n" for i in range(0, size, 80))
    path.write_text(">chr1\n" + "".join(lines))
    pysam.faidx(str(path))
    return text


def alleles(text, position, rng):
    """REF and ALT: nine in ten an SNV, else an insertion or a deletion of 1 to 10 bases."""
    kind, width = rng.random(), int(rng.integers(1, 11))
    ref = text[position]
    if kind < 0.9:
        return ref, "ACGT"[("ACGT".index(ref) + 1 + int(rng.integers(3))) % 4]
    if kind < 0.95:
        return ref, ref + LETTERS[rng.integers(0, 4, width)].tobytes().decode()
    return text[position : position + 1 + width], ref


def calls_text(carried):
    """Phased calls of shape (variants, haplotypes) as lines of a VCF without their beginning."""
    count, haplotypes = carried.shape
    letters = np.empty((count, haplotypes // 2, 4), dtype=np.uint8)
    letters[:, :, 0] = carried[:, ::2] + ord("0")
    letters[:, :, 1] = ord("|")
    letters[:, :, 2] = carried[:, 1::2] + ord("0")
    letters[:, :, 3] = ord("\t")
    letters[:, -1, 3] = ord("\n")
    return [row.tobytes() for row in letters]


def write_vcf(path, text, samples, blocks, rng):
    """A bgzipped VCF from (positions, carried) blocks, and its index."""
    names = "\t".join(f"s{sample:05d}" for sample in range(samples))
    header = (
        f"##fileformat=VCFv4.2\n##contig=<ID=chr1,length={len(text)}>\n"
        '##FILTER=<ID=PASS,Description="All filters passed">\n'
        '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">\n'
        f"#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\t{names}\n"
    )
    with pysam.BGZFile(str(path), "wb1") as file:
        file.write(header.encode())
        for positions, carried in blocks:
            for position, calls in zip(positions.tolist(), calls_text(carried), strict=True):
                ref, alt = alleles(text, position, rng)
                start = f"chr1\t{position + 1}\t.\t{ref}\t{alt}\t.\tPASS\t.\tGT\t"
                file.write(start.encode() + calls)
    index(path, f"{path}.tbi")


def mosaic(sites, samples, rng, founders=200, segment=100_000):
    """Haplotypes that copy from founders, switching every 100 kb on average."""
    size = int(sites[-1]) + 1
    frequency = np.clip(rng.beta(0.2, 2, len(sites)), 0.003, 0.99)
    carried = rng.random((len(sites), founders)) < frequency[:, None]
    columns = []
    for _ in range(2 * samples):
        switches = np.sort(rng.integers(0, size, rng.poisson(size / segment)))
        source = rng.integers(0, founders, len(switches) + 1)[np.searchsorted(switches, sites)]
        columns.append(carried[np.arange(len(sites)), source])
    return np.stack(columns, axis=1)


def cohort_blocks(windows, step, samples, rng, kinds=2200, density=0.029):
    """Blocks like 1000 Genomes: 29 variants per kb, most of them rare, haplotypes that recur."""
    for window in range(windows):
        count = int(step * density)
        positions = np.sort(rng.choice(step - 100, count, replace=False)) + window * step + 50
        frequency = np.exp(rng.uniform(np.log(2e-4), np.log(0.5), count))
        carried = rng.random((count, kinds)) < frequency[:, None]
        weights = rng.dirichlet(np.full(kinds, 0.5))
        yield positions, carried[:, rng.choice(kinds, 2 * samples, p=weights)]


# --- methods -----------------------------------------------------------------------------------


def open_ours(folder, windows, samples=None):
    genome = Genome(folder / "genome.fa", "toy")
    calls = GenotypeFile(folder / "calls.vcf.gz", folder / "calls.vcf.gz.tbi", samples)
    return HaplotypeSequences(genome, calls, windows, HaplotypeRules())


def write_ours(folder, windows, samples=None):
    """The set of distinct haplotypes, the table of who has which, and the contrasts."""
    source = open_ours(folder, windows, samples)
    with (
        streamed_table(folder / "haplotypes.parquet", HAPLOTYPES, {}) as haplotypes,
        streamed_table(folder / "contrasts.parquet", CONTRASTS, {}) as contrasts,
    ):
        write_sequence_set(folder / "set.parquet", source.content(haplotypes, contrasts), {})
    return source


def with_bases(folder, windows, use):
    """As `write_ours`, then the bases of every distinct haplotype, in memory."""
    write_ours(folder, windows)
    found = read_sequence_set(folder / "set.parquet")
    for block in found.blocks():
        use(block)


def digests_of_ours(folder, windows, samples):
    """Hashes in the order window, sample, haplotype."""
    found = read_sequence_set(folder / "set.parquet")
    codes = (row for block in found.blocks() for row in block)
    digest = {i: digest_of(bases.decode(row)) for i, row in zip(found.ids(), codes, strict=True)}
    table = read_table(folder / "haplotypes.parquet", HAPLOTYPES).to_pylist()
    of = {(r["window"], r["sample"], r["haplotype"]): digest[r["sequence_id"]] for r in table}
    return [of[name, s, h] for name, _ in windows for s in range(samples) for h in range(2)]


def digest_of(text):
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def run_peer(python, folder, starts, repeat):
    settings = [str(folder / "calls.vcf.gz"), str(folder / "genome.fa"), starts, LENGTH, repeat]
    done = subprocess.run(
        [python, "-c", PEER, json.dumps(settings)], capture_output=True, check=True, text=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def run_bcftools(folder, start, sample, haplotype):
    """One window of one haplotype, with some flank for deletions."""
    region = f"chr1:{start + 1}-{start + LENGTH + 1000}"
    command = (
        f"samtools faidx {folder}/genome.fa {region} | "
        f"bcftools consensus -s s{sample:05d} -H {haplotype + 1} {folder}/calls.vcf.gz"
    )
    done = subprocess.run(command, shell=True, capture_output=True, check=True, text=True)
    return "".join(done.stdout.split("\n")[1:])[:LENGTH]


# --- comparison --------------------------------------------------------------------------------


def compare(folder, arguments, rng):
    """Rows of the table: seconds per method, scaled to all haplotypes."""
    size, samples, variants = 10_000_000, 200, 20_000
    text = write_fasta(folder / "genome.fa", size, rng)
    sites = np.sort(rng.choice(np.arange(1, size // 25 - 1), variants, replace=False)) * 25
    carried = mosaic(sites, samples, rng)
    write_vcf(folder / "calls.vcf.gz", text, samples, [(sites, carried)], rng)
    # between two variants, where no deletion reaches
    starts = (np.linspace(1000, size - LENGTH - 5000, 100).astype(int) // 25 * 25 + 15).tolist()
    windows = [(f"w{n:03d}", Window("toy", "chr1", s, 0, LENGTH)) for n, s in enumerate(starts)]
    total = 2 * samples * len(windows)
    sample_of_calls = [
        (int(rng.integers(100)), int(rng.integers(samples)), int(rng.integers(2)))
        for _ in range(arguments.bcftools_calls)
    ]
    tools = all(map(shutil.which, ("bcftools", "samtools")))
    seconds: dict[str, list[float]] = {}

    def timed(name, function, scale=1.0):
        begin = time.perf_counter()
        function()
        seconds.setdefault(name, []).append((time.perf_counter() - begin) * scale)

    for _ in range(arguments.repeats):
        timed("ours: sequence set", lambda: write_ours(folder, windows))
        timed("ours: set, and all bases", lambda: with_bases(folder, windows, len))
        if arguments.peer_python:
            took = run_peer(arguments.peer_python, folder, starts, 1)["seconds"]
            seconds.setdefault("GenVarLoader", []).append(took)
        if tools:
            timed(
                "bcftools consensus per window",
                lambda: [run_bcftools(folder, starts[w], s, h) for w, s, h in sample_of_calls],
                total / len(sample_of_calls),
            )
    counts = write_ours(folder, windows).counts
    ours = digests_of_ours(folder, windows, samples)
    checks = {"distinct": sum(row.distinct for row in counts) / total}
    if arguments.peer_python:
        peer = run_peer(arguments.peer_python, folder, starts, 0)
        assert peer["samples"] == [f"s{n:05d}" for n in range(samples)]
        checks["peer"] = peer["version"]
        checks["equal_peer"] = sum(a == b for a, b in zip(ours, peer["digests"], strict=True))
    if tools:
        checks["equal_bcftools"] = sum(
            ours[(w * samples + s) * 2 + h] == digest_of(run_bcftools(folder, starts[w], s, h))
            for w, s, h in sample_of_calls
        )
    return seconds, checks, total


def print_comparison(seconds, checks, total, calls):
    print(
        "\n200 samples, 20,000 phased variants (10 % indels) on 10 Mb, 100 windows of 131,072 bp:"
    )
    print(f"{total:,} haplotypes, {checks['distinct']:.0%} of them distinct in their window.\n")
    print("| method | median s | range s | haplotypes / s | time / ours |")
    print("|---|---|---|---|---|")
    base = median(seconds["ours: sequence set"])
    for name, values in seconds.items():
        middle = median(values)
        spread = f"{min(values):.3g}-{max(values):.3g}"
        print(f"| {name} | {middle:.3g} | {spread} | {total / middle:,.0f} | {middle / base:.3g} |")
    bytes_ours = median(seconds["ours: set, and all bases"])
    for name in ("GenVarLoader", "bcftools consensus per window"):
        if name in seconds:
            print(f"\n{name} / ours with all bases: {median(seconds[name]) / bytes_ours:.3g}")
    if "equal_peer" in checks:
        print(f"\nEqual hashes, ours and GenVarLoader: {checks['equal_peer']:,} of {total:,}")
    if "equal_bcftools" in checks:
        print(f"\nEqual hashes, ours and bcftools: {checks['equal_bcftools']:,} of {calls:,}")
        print(f"\nbcftools: timed on {calls} calls and scaled to {total:,}.")


# --- scale -------------------------------------------------------------------------------------


def scale(folder, arguments, rng):
    """Time, memory and disk for growing numbers of windows of a large cohort."""
    samples, step, most = 2_504, 140_000, max(arguments.windows)
    text = write_fasta(folder / "genome.fa", most * step, rng)
    blocks = cohort_blocks(most, step, samples, rng)
    write_vcf(folder / "calls.vcf.gz", text, samples, blocks, rng)
    rows = [run_alone(folder, count, samples) for count in arguments.windows]
    rows.append(run_alone(folder, most, 462))
    return rows


def run_alone(folder, windows, samples):
    """One run in a process of its own, so that its peak memory is its own."""
    command = [sys.executable, __file__, "--one", str(folder), str(windows), str(samples)]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def one(folder, windows, samples):
    names = [f"s{sample:05d}" for sample in range(samples)]
    chosen = None if samples == 2_504 else names
    places = [
        (f"w{n:04d}", Window("toy", "chr1", n * 140_000 + 70_000, 65_536, LENGTH, "+-"[n % 2]))
        for n in range(windows)
    ]
    begin = time.perf_counter()
    source = write_ours(folder, places, chosen)
    seconds = time.perf_counter() - begin
    tables = ("set", "haplotypes", "contrasts")
    facts = {
        "windows": windows,
        "samples": samples,
        "seconds": seconds,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "bytes": sum((folder / f"{name}.parquet").stat().st_size for name in tables),
        "variants": float(np.mean([row.variants for row in source.counts])),
        "distinct": float(np.mean([row.distinct / row.haplotypes for row in source.counts])),
    }
    print(json.dumps(facts))


def print_scale(rows):
    print("\nSimulated cohorts with 29 records per kb, windows of 131,072 bp 140,000 bp apart.")
    print(f"Columns for {GENES:,} windows are extrapolated in proportion to the windows.\n")
    print(
        "| samples | windows | variants per window | distinct | s | s per window | "
        f"peak memory GiB | tables MiB | h for {GENES:,} | GiB for {GENES:,} |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    for row in rows:
        factor = GENES / row["windows"]
        print(
            f"| {row['samples']:,} | {row['windows']} | {row['variants']:,.0f} | "
            f"{row['distinct']:.0%} | {row['seconds']:.1f} | "
            f"{row['seconds'] / row['windows']:.3f} | {row['peak'] / 2**30:.2f} | "
            f"{row['bytes'] / 2**20:.1f} | {row['seconds'] * factor / 3600:.2f} | "
            f"{row['bytes'] * factor / 2**30:.2f} |"
        )


def print_machine():
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":")[1].strip() for line in lines if "model name" in line), "?")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    versions = ", ".join(f"{name} {version(name)}" for name in ("numpy", "pyarrow", "pysam"))
    print(
        f"Machine: {os.cpu_count()} cores, {model}, {memory:.0f} GiB; load {os.getloadavg()[0]:.1f}"
    )
    print(f"\nPython {platform.python_version()}, {versions}; {time.strftime('%Y-%m-%d')}")
    if shutil.which("bcftools"):
        shown = subprocess.run(
            ["bcftools", "--version"], capture_output=True, text=True, check=True
        )
        print(f"\n{shown.stdout.splitlines()[0]}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer-python", help="python of an environment with GenVarLoader")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--bcftools-calls", type=int, default=60)
    parser.add_argument("--windows", type=int, nargs="*", default=[30, 100, 300])
    parser.add_argument("--folder", help="where the inputs go; a temporary folder if absent")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        one(Path(arguments.one[0]), *map(int, arguments.one[1:]))
        return
    rng = np.random.default_rng(20)
    print_machine()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        seconds, checks, total = compare(Path(folder), arguments, rng)
        if "peer" in checks:
            print(f"\nGenVarLoader {checks['peer']}")
        print_comparison(seconds, checks, total, arguments.bcftools_calls)
    if arguments.windows:
        with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
            print_scale(scale(Path(folder), arguments, rng))


if __name__ == "__main__":
    main()
