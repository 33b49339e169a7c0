"""Overhead of a job over training: `python benchmarks/orchestra.py [--ranks N …] [--per-depth N]`.

Trains small networks on the bundled images, on the CPU, once for each number of ranks. "all" is the
time of the whole job × ranks over the sum of the networks' training seconds. It includes the start
of interpreters and torch, and the end, where ranks wait for the last network. "steady" excludes
both: it counts from each rank's first network to its last. The last columns are the shares of a
core that the agents take meanwhile; rank 0's includes the gatherer.
"""

import argparse
import os
import tempfile
from collections import defaultdict
from pathlib import Path

from measured_job import MeasuredJob, moment, run_job

CAMPAIGN = """
extends = "smoke"
name = "orchestra"
epochs = {epochs}
[datasets.F-MNIST-sample]
networks_per_depth = {n}
"""
COLUMNS = ("ranks", "networks", "training", "whole job", "start", "end", "all", "steady")


def spans(job: MeasuredJob) -> list[tuple[float, float]]:
    """Return for each rank the times of its first network's start and its last network's end."""
    started, ended = defaultdict(list), defaultdict(list)
    for event in job.events:
        if event["event"] == "start":
            started[event["rank"]].append(moment(event))
        elif event["event"] == "finish":
            ended[event["rank"]].append(moment(event))
    return [(min(started[rank]), max(ended[rank])) for rank in sorted(ended)]


def measure(campaign_file: Path, folder: Path, ranks: int) -> tuple[object, ...]:
    """Run a job, and return one line of the table."""
    job = run_job(campaign_file, folder, ranks, "real")
    finishes = [event for event in job.events if event["event"] == "finish"]
    training = sum(event["seconds"] for event in finishes)
    at_work = spans(job)
    busy = sum(end - begin for begin, end in at_work)
    first, last = min(begin for begin, _ in at_work), min(end for _, end in at_work)
    shares = [job.processor_seconds(r, first, last) / (last - first) for r in range(ranks)]
    whole = job.end - job.begin
    facts = len(finishes), training, whole, first - job.begin, job.end - last
    return ranks, *facts, whole * ranks / training, busy / training, *shares


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[1])
    parser.add_argument("--ranks", type=int, nargs="+", default=[1, 2], metavar="N")
    parser.add_argument("--per-depth", type=int, default=10, metavar="N", help="half the networks")
    parser.add_argument("--epochs", type=int, default=6, metavar="N", help="of each network")
    parser.add_argument("--folder", help="on the file system to measure (the temporary one)")
    arguments = parser.parse_args()
    print(f"{os.cpu_count()} cores")
    layout = "{:>5} {:>8} {:>8} {:>9} {:>6} {:>6} {:>6} {:>6}"
    print(layout.format(*COLUMNS), "of a core, rank by rank")
    for ranks in arguments.ranks:
        with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
            folder = Path(name)
            campaign_file = folder / "orchestra.toml"
            text = CAMPAIGN.format(n=arguments.per_depth, epochs=arguments.epochs)
            campaign_file.write_text(text)
            line = measure(campaign_file, folder, ranks)
        layout = "{:5} {:8} {:8.1f} {:9.1f} {:6.1f} {:6.1f} {:6.3f} {:6.3f}"
        shares = " ".join(f"{share:.2%}" for share in line[8:])
        print(layout.format(*line), shares, flush=True)


if __name__ == "__main__":
    main()
