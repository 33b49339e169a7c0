"""Speed of reading tables: `python benchmarks/reading.py [--networks N] [--rounds N]`.

Writes tables of the article's campaign, by default 6,000 of 80 half epochs, and reads them in three
ways, by turns and each time in a fresh process: with a loop of `pandas.read_csv`, with
`load_tables`, and with the `inventory` of a results folder, which `nnlc status` and jobs take; its
networks are drawn beforehand. Compares a sample with `read_table`.
A tenth of the networks diverge, with blank fields, a tenth learn until their loss is tiny, and a
hundredth never learn. Validation losses are too small, like published ones.
"""

import argparse
import json
import math
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd

from nnlc import load_campaign, load_tables, read_table
from nnlc.campaign.campaign import CampaignNetwork
from nnlc.results.folder import ResultsFolder
from nnlc.results.inventory import inventory
from nnlc.tables import Row, Table

HALF_EPOCHS = 80
NEVER_LEARNS = 2
"""Networks whose number has this remainder modulo 100 never learn."""
SAMPLE = 60
"""Number of tables that are compared value by value."""
LAYOUT = "{:24} {:>8} {:>8} {:>9} {:>9} {:>9}"
COLUMNS = ("", "seconds", "CPU s", "faster", "less CPU", "peak MB")


def table_of(network: CampaignNetwork, number: int) -> Table:
    """Return a table of a network like a published one, with a realistic random curve.

    Args:
        network: specification and images of the network.
        number: number that decides if the network diverges, learns fast, or never learns.
    """
    noise = random.Random(network.index)  # noqa: S311
    classes = network.images.classes
    batches, rest = divmod(network.images.validation_images, network.spec.batch_size)
    validated, slip = batches * network.spec.batch_size, batches / (batches + (rest > 0))
    speed = 0.2 if number % 10 == 1 else 10 ** noise.uniform(-3, -1)
    end = noise.randrange(HALF_EPOCHS) if number % 10 == 0 else HALF_EPOCHS
    rows = []
    for i in range(HALF_EPOCHS):
        chance = 100 * (validated // classes) / validated
        if i >= end:
            rows.append(Row(None, None, chance))
            continue
        if number % 100 == NEVER_LEARNS:
            true = math.log(classes)
            rows.append(Row(true * noise.uniform(1, 1.00002), true * slip, chance))
            continue
        loss = math.log(classes) * math.exp(-speed * i) * noise.uniform(0.9, 1.1)
        wrong = (1 - 1 / classes) * math.exp(-speed * i) * noise.uniform(0.9, 1)
        right = int(validated * (1 - wrong))
        # A wrong prediction costs at least ln(2).
        least = 1.1 * math.log(2) * (validated - right) / validated
        val_loss = max(loss * noise.uniform(1, 1.2), least) * slip
        rows.append(Row(loss, val_loss, 100 * right / validated))
    return Table(replace(network.spec, torch_set_deterministic=False), tuple(rows))


def make_tables(folder: Path, networks: int) -> int:
    """Write tables evenly over all depths and image sets; return their size in bytes."""
    campaign = list(load_campaign("paper").networks())
    total = 0
    for number in range(networks):
        network = campaign[number * len(campaign) // networks]
        content = table_of(network, number).to_bytes()
        path = folder / f"{network.images.name}_models" / f"{network.spec.id}.txt"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        total += len(content)
    return total


def check_sample(folder: Path) -> None:
    """Check a sample of the frames against `read_table`.

    Raises:
        SystemExit: a value differs.
    """
    tables = load_tables(folder)
    paths = tables.networks["path"]
    for number in range(0, len(paths), max(1, len(paths) // SAMPLE)):
        table = read_table(paths[number])
        rows = [(r.train_loss, r.val_loss, r.val_accuracy_percent) for r in table.rows]
        curve = tables.curves[tables.curves["id"] == table.spec.id]
        found = curve[["train_loss", "val_loss", "val_accuracy_percent"]].to_numpy()
        if not np.array_equal(found, np.array(rows, dtype=float), equal_nan=True):
            raise SystemExit(f"error: load_tables and read_table differ on {paths[number]}")


def loop(folder: Path) -> Callable[[], int]:
    """Return a function that reads tables as one would without nnlc."""
    return lambda: len([pd.read_csv(path, sep=" ") for path in sorted(folder.glob("*/*.txt"))])


def frames(folder: Path) -> Callable[[], int]:
    """Return a function that reads tables with `load_tables`."""
    return lambda: len(load_tables(folder))


def inventoried(folder: Path) -> Callable[[], int]:
    """Return a function that takes the inventory of the networks that have tables."""
    results, campaign = ResultsFolder(folder), load_campaign("paper")
    networks = [
        replace(one, spec=replace(one.spec, torch_set_deterministic=False))
        for one in campaign.networks()
        if results.table_path(one.images, one.spec).exists()
    ]
    return lambda: len(inventory(results, campaign, networks).with_tables)


WAYS = {"loop of pandas.read_csv": loop, "load_tables": frames, "inventory": inventoried}
"""Ways to read a folder: functions that return a function that returns the number of tables."""


def measure_here(way: str, folder: Path) -> None:
    """Read the tables in this process, and print seconds and peak memory."""
    read = WAYS[way](folder)
    seconds, cpu = time.perf_counter(), time.process_time()
    count = read()
    seconds, cpu = time.perf_counter() - seconds, time.process_time() - cpu
    status = Path("/proc/self/status").read_text()  # getrusage counts the parent's memory too
    peak = int(status.partition("VmHWM:")[2].split()[0]) * 1024
    print(json.dumps({"count": count, "seconds": seconds, "cpu": cpu, "peak": peak}))


def measure(way: str, folder: Path, count: int) -> dict[str, float]:
    """Read the tables in a fresh process, and return seconds and peak memory.

    Raises:
        SystemExit: the process read another number of tables.
    """
    command = [sys.executable, __file__, "--way", way, "--folder", str(folder)]
    job = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
    found: dict[str, float] = json.loads(job.stdout)
    if found["count"] != count:
        raise SystemExit(f"error: {way} read {found['count']} tables of {count}")
    return found


def compare(folder: Path, count: int, rounds: int) -> None:
    """Print a line for each way: medians, and median ratios to the loop of the same round."""
    results: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    for _ in range(rounds):
        for way, found in results.items():
            found.append(measure(way, folder, count))
    print(LAYOUT.format(*COLUMNS))
    loops = next(iter(results.values()))
    for way, found in results.items():
        middle = {key: median(one[key] for one in found) for key in ("seconds", "cpu", "peak")}
        faster, less = (
            median(a[key] / b[key] for a, b in zip(loops, found, strict=True))
            for key in ("seconds", "cpu")
        )
        times = f"{middle['seconds']:.2f}", f"{middle['cpu']:.2f}"
        print(
            LAYOUT.format(
                way, *times, f"{faster:.1f}", f"{less:.1f}", f"{middle['peak'] / 1e6:.0f}"
            )
        )


def machine() -> str:
    """Return a description of this machine and its software."""
    name = platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = info.read_text().splitlines()
        name = next((s.split(":")[1].strip() for s in lines if s.startswith("model name")), name)
    versions = f"Python {platform.python_version()}, pandas {pd.__version__}"
    return f"{name}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; {versions}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[1])
    parser.add_argument("--networks", type=int, default=6000, metavar="N", help="(%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="(%(default)s)")
    parser.add_argument("--folder", help="on the file system to measure (the temporary one)")
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.way:
        measure_here(arguments.way, Path(arguments.folder))
        return
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name) / "tables"
        folder.mkdir()
        size = make_tables(folder, arguments.networks)
        check_sample(folder)
        rows = arguments.networks * HALF_EPOCHS
        print(machine())
        print(f"{arguments.networks} tables, {rows} half epochs, {size / 1e6:.1f} MB;", end=" ")
        print(f"medians of {arguments.rounds} rounds")
        compare(folder, arguments.networks, arguments.rounds)


if __name__ == "__main__":
    main()
