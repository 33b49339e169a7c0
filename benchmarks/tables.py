"""Seconds and memory of commands on many tables: `python benchmarks/tables.py [--networks N]`.

Writes tables like published ones, by default 6,000 of 80 half epochs (benchmarks/reading.py), and
runs each command on them in its own process, the start of Python included. Merged and imported
tables are compared with the originals byte for byte, and corrected losses of networks that never
learn with ln(classes). The audit must find no fault.
`--only WORD` runs only commands with this word. The last line is for queries of `nnlc.Benchmark`.
"""

import argparse
import json
import math
import random
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from reading import NEVER_LEARNS, machine, make_tables

import nnlc
from nnlc.networks import image_set_of_table

FORMATS = ("parquet", "csv")
QUERIES = 100_000
SLACK = 2e-5
"""Greatest relative difference of a never-learning network's corrected loss from ln(classes)."""
LAYOUT = "{:32} {:>8} {:>8} {:>9}"
BENCHMARKS = Path(__file__).parent
LAUNCHER = """
import json, resource, subprocess, sys, time
start = time.perf_counter()
status = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL)
seconds = time.perf_counter() - start
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
cpu = usage.ru_utime + usage.ru_stime
print(json.dumps([status, seconds, cpu, usage.ru_maxrss * 1024 / 1e6]))
"""
"""Program that starts a command: its small size matters, as a peak includes the parent's memory."""


@dataclass(frozen=True, slots=True)
class Step:
    """Command to measure."""

    name: str
    words: tuple[str, ...]
    """Arguments of Python."""
    made: str | None = None
    """Name of the file or folder that the command makes; a folder is removed before each round."""
    has_tables: bool = False
    """True if that folder must have all tables, byte for byte."""


def steps(top: Path) -> list[Step]:
    """Return all commands, each after those whose output it reads."""
    tables = str(top / "tables")

    def read(way: str) -> Step:
        return Step(way, (str(BENCHMARKS / "reading.py"), "--way", way, "--folder", tables))

    def verb(name: str, *words: str, made: str, has_tables: bool = False) -> Step:
        command = ("-m", "nnlc", name.split()[0], *words, "-o", str(top / made))
        return Step(f"nnlc {name}", command, made, has_tables)

    found = [
        read("load_tables"),
        read("inventory"),
        verb("metrics", tables, made="metrics.csv"),
        Step("nnlc audit", ("-m", "nnlc", "audit", tables)),
    ]
    for name in FORMATS:
        export, words = str(top / f"export_{name}"), ("--format", name)
        found += [
            verb(f"export --format {name}", tables, *words, made=f"export_{name}"),
            verb(f"import of {name}", export, made=f"import_{name}", has_tables=True),
        ]
    return [
        *found,
        verb("merge", tables, made="merged", has_tables=True),
        verb("subset --best-accuracy 50-", tables, "--best-accuracy", "50-", made="part"),
        Step("nnlc predict --method penguin", ("-m", "nnlc", "predict", tables, "--target", "20")),
        verb("plot", tables, made="curves.svg"),
        verb("report", tables, made="report.html"),
    ]


def run(step: Step, top: Path) -> tuple[float, float, float]:
    """Run a command, and return its seconds, CPU seconds and peak memory in megabytes.

    Raises:
        SystemExit: the command failed or lost tables.
    """
    if step.made:
        shutil.rmtree(top / step.made, ignore_errors=True)  # leaves a file, which is replaced
    launcher = [sys.executable, "-I", "-S", "-c", LAUNCHER, sys.executable, *step.words]
    job = subprocess.run(launcher, capture_output=True, text=True)  # noqa: S603
    status, *taken = json.loads(job.stdout.splitlines()[-1])
    if status:
        sys.stderr.write(job.stderr)
        raise SystemExit(f"error: {step.name} ended with {status}")
    if step.has_tables and step.made:
        compare(top / "tables", top / step.made)
    seconds, cpu, peak = taken
    return seconds, cpu, peak


def compare(tables: Path, copies: Path) -> None:
    """Check that a folder has copies of all tables.

    Raises:
        SystemExit: a copy is missing or has other bytes.
    """
    for path in tables.glob("*/*.txt"):
        copy = copies / path.relative_to(tables)
        if not copy.is_file() or copy.read_bytes() != path.read_bytes():
            raise SystemExit(f"error: {copy} is no copy of {path}")


def check_slip(folder: Path) -> None:
    """Check that corrected losses of networks that never learn are ln(classes) to four digits.

    Raises:
        SystemExit: a loss differs, or the number of such networks is wrong.
    """
    bench = nnlc.Benchmark(folder, val_loss="corrected")
    found = nnlc.metrics(nnlc.load_tables(folder), columns=())
    flat = found[found["never_learned"].fillna(False) & ~found["diverged"].fillna(True)]
    if len(flat) != math.ceil((len(bench) - NEVER_LEARNS) / 100):
        raise SystemExit(f"error: {len(flat)} networks never learn")
    for id_, dataset in zip(flat["id"], flat["dataset"], strict=True):
        images = image_set_of_table(dataset)
        if images is None:
            raise SystemExit(f"error: {id_} is of unknown images")
        if abs(bench.query(id_, 40).val_loss / math.log(images.classes) - 1) > SLACK:
            raise SystemExit(f"error: the corrected loss of {id_} is not ln({images.classes})")


def queries_a_second(folder: Path) -> float:
    """Return the queries a second for random networks and half epochs."""
    bench = nnlc.Benchmark(folder)
    draw = random.Random(1)  # noqa: S311
    asked = [(draw.choice(bench.ids), draw.randrange(1, 81) / 2) for _ in range(QUERIES)]
    start = time.perf_counter()
    for id_, epoch in asked:
        bench.query(id_, epoch)
    return QUERIES / (time.perf_counter() - start)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[1])
    parser.add_argument("--networks", type=int, default=6000, metavar="N", help="(%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="(%(default)s)")
    parser.add_argument("--folder", help="on the file system to measure (the temporary one)")
    parser.add_argument("--only", default="", metavar="WORD", help="commands that have this word")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        top = Path(name)
        (top / "tables").mkdir()
        size = make_tables(top / "tables", arguments.networks)
        check_slip(top / "tables")
        print(machine())
        print(f"{arguments.networks} tables, {size / 1e6:.1f} MB; ", end="")
        print(f"medians of {arguments.rounds} rounds")
        print(LAYOUT.format("", "seconds", "CPU s", "peak MB"))
        for step in steps(top):
            if arguments.only in step.name:
                rounds = [run(step, top) for _ in range(arguments.rounds)]
                seconds, cpu, peak = map(median, zip(*rounds, strict=True))
                print(LAYOUT.format(step.name, f"{seconds:.2f}", f"{cpu:.2f}", f"{peak:.0f}"))
        print(f"Benchmark: {queries_a_second(top / 'tables'):.0f} queries a second")


if __name__ == "__main__":
    main()
