"""`make run`: the workflow, its report, the time per stage and the headline numbers.

python -m seqtrust.run CONFIG [--cores N]
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import yaml

from seqtrust.files import read_tsv
from seqtrust.headlines import line


def main() -> int:
    """Run a config, make its report and print what a user wants to know first."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path)
    parser.add_argument("--cores", type=int, default=2)
    arguments = parser.parse_args()
    results = Path("results") / yaml.safe_load(arguments.config.read_text())["run"]
    report = results / "report.html"
    snakemake = [sys.executable, "-m", "snakemake", "--configfile", str(arguments.config)]
    started = time.monotonic()
    for options in (["--cores", str(arguments.cores), "--quiet", "reason"], ["--report", report]):
        finished = subprocess.run([*snakemake, *map(str, options)], check=False)
        if finished.returncode:
            return finished.returncode
    print("\nTime per stage (job seconds):")
    for text in stage_times(results / "benchmarks"):
        print(f"  {text}")
    print(f"  in all: {time.monotonic() - started:.0f} s on {arguments.cores} cores\n")
    for row in read_tsv(results / "headlines.tsv").to_dict("records"):
        print(line({str(key): value for key, value in row.items()}))
    print(f"\nReport: {report}")
    return 0


def stage_times(benchmarks: Path) -> Iterator[str]:
    """Seconds and number of jobs per rule, in the order of their first job's end."""
    seconds: dict[str, list[float]] = {}
    for path in sorted(benchmarks.rglob("*.jsonl"), key=lambda path: path.stat().st_mtime):
        rule = path.relative_to(benchmarks).parts[0].removesuffix(".jsonl")
        rows = [json.loads(text) for text in path.read_text().splitlines()]
        seconds.setdefault(rule, []).extend(float(row["s"]) for row in rows)
    for rule, times in seconds.items():
        jobs = f"{len(times)} job" + ("s" if len(times) > 1 else "")
        yield f"{rule}: {sum(times):.1f} s in {jobs}"


if __name__ == "__main__":
    sys.exit(main())
