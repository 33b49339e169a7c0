"""Speed at which rank 0 gathers rows: `python benchmarks/gather.py [--ranks N …] [--per-depth N]`.

Runs the article's campaign, 6,000 networks of 80 half epochs, through real MPI and real files, with
trainers that train nothing (`null_trainer.py`), once for each number of ranks. Then counts the
tables and compares a sample of them byte for byte. Rates and processor seconds of rank 0 are those
from the first network's start to the last table.
"""

import argparse
import os
import tempfile
from dataclasses import replace
from pathlib import Path

from measured_job import MeasuredJob, run_job
from null_trainer import values_of

from nnlc import load_campaign
from nnlc.campaign.campaign import Campaign
from nnlc.tables import Row, Table

SAMPLE = 60
"""Number of tables that are compared byte for byte."""
CAMPAIGN = """
extends = "paper"
name = "gather"
[datasets.CIFAR-100]
networks_per_depth = {n}
[datasets.F-MNIST]
networks_per_depth = {n}
[datasets.SVHN]
networks_per_depth = {n}
"""
COLUMNS = ("ranks", "networks", "rows/s", "networks/s", "work", "whole", "rank 0", "a row", "peak")
UNITS = ("", "", "", "", "s", "s", "CPU s", "CPU µs", "MB")


def check_tables(job: MeasuredJob, campaign: Campaign) -> int:
    """Check all tables' names and a sample's bytes; return the number of networks.

    Raises:
        SystemExit: a table is missing or has other bytes.
    """
    networks = list(campaign.networks())
    standing = {path.stem for path in job.results.path.glob("*_models/*.txt")}
    if standing != {network.spec.id for network in networks}:
        raise SystemExit(f"error: {len(standing)} tables stand where {len(networks)} should")
    for network in networks[:: max(1, len(networks) // SAMPLE)]:
        numbers = range(1, campaign.half_epochs + 1)
        rows = tuple(Row(*values_of(network.index, half_epoch)) for half_epoch in numbers)
        expected = Table(replace(network.spec, train_gpu=False), rows).to_bytes()
        path = job.results.table_path(network.images, network.spec)
        if path.read_bytes() != expected:
            raise SystemExit(f"error: {path} has other bytes than it should")
    return len(networks)


def measure(campaign_file: Path, folder: Path, ranks: int) -> tuple[object, ...]:
    """Run a job, and return one line of the table."""
    campaign = load_campaign(campaign_file)
    job = run_job(campaign_file, folder, ranks, "null")
    networks = check_tables(job, campaign)
    start, end = job.moments("start")[0], job.moments("finish")[-1]
    rows, work = networks * campaign.half_epochs, end - start
    own = job.processor_seconds(0, start, end)
    speeds = rows / work, networks / work, work, job.end - job.begin
    return ranks, networks, *speeds, own, 1e6 * own / rows, job.peak_memory_bytes[0] / 1e6


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[1])
    parser.add_argument("--ranks", type=int, nargs="+", default=[2, 4, 8], metavar="N")
    parser.add_argument(
        "--per-depth", type=int, default=200, metavar="N", help="a thirtieth of the networks"
    )
    parser.add_argument("--folder", help="on the file system to measure (the temporary one)")
    arguments = parser.parse_args()
    print(f"{os.cpu_count()} cores; each rank has a trainer besides")
    for line in (COLUMNS, UNITS):
        print("{:>5} {:>8} {:>8} {:>10} {:>7} {:>9} {:>7} {:>7} {:>5}".format(*line))
    for ranks in arguments.ranks:
        with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
            folder = Path(name)
            campaign_file = folder / "gather.toml"
            campaign_file.write_text(CAMPAIGN.format(n=arguments.per_depth))
            line = measure(campaign_file, folder, ranks)
        layout = "{:5} {:8} {:8.0f} {:10.0f} {:7.1f} {:9.1f} {:7.1f} {:7.1f} {:5.0f}"
        print(layout.format(*line), flush=True)


if __name__ == "__main__":
    main()
