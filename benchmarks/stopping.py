"""Savings of a stop rule: `python benchmarks/stopping.py [CAMPAIGN] [--stop RULE] [--ranks N]`.

Trains a campaign twice on the CPU, with the rule and to the end, and compares the two: epochs and
training seconds saved, and errors of the predictions against the accuracy that was reached. Each
stopped table must be, byte for byte, the beginning of the other table. The error of the last
accuracy seen is printed for the same networks. The rule's own time is that of its fits in the
trainers. Networks with a loss or accuracy that is not finite are counted and have no error. With
--folder the results are kept, and the same command goes on from them. Exits with 1 if a stopped
table is not the beginning of the other.
"""

import argparse
import math
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median
from typing import Any

import tomli_w
from measured_job import run_job

from nnlc.campaign.campaign import Campaign, load_campaign, parse_campaign
from nnlc.errors import NnlcError
from nnlc.results.folder import ResultsFolder
from nnlc.results.journal import read_events
from nnlc.tables import Row, parse_table


@dataclass(frozen=True)
class Pair:
    """Network trained twice: with the rule and to the end."""

    rows: int
    whole: tuple[Row, ...]
    is_beginning: bool
    stop: dict[str, Any]
    """Entry "stop" of the journal's event: the rule's decision."""
    seconds: tuple[float, float]
    """Seconds of training, with the rule and to the end."""

    @property
    def observed(self) -> float:
        """Return the accuracy in percent at the epoch that is predicted."""
        return float(self.whole[round(2 * self.stop["target"]) - 1].val_accuracy_percent or 0.0)

    @property
    def last_seen(self) -> float:
        """Return the accuracy in percent where the network was stopped."""
        return float(self.whole[self.rows - 1].val_accuracy_percent or 0.0)

    @property
    def is_finite(self) -> bool:
        """Return True if all losses and accuracies are finite."""
        values = (v for r in self.whole for v in (r.train_loss, r.val_loss, r.val_accuracy_percent))
        return all(value is not None and math.isfinite(value) for value in values)


def train(campaign: Campaign, folder: Path, ranks: int) -> ResultsFolder:
    """Train a campaign and return its results folder."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "campaign.toml"
    path.write_bytes(tomli_w.dumps(campaign.model_dump(exclude_none=True)).encode())
    return run_job(path, folder, ranks, "real").results


def pairs(stopped: ResultsFolder, whole: ResultsFolder) -> Iterator[Pair]:
    """Yield every network with both of its trainings."""
    finishes = [
        {event["id"]: event for event in read_events(each.journal_folder, {"finish"})}
        for each in (stopped, whole)
    ]
    for network in stopped.campaign().networks():
        part = stopped.table_path(network.images, network.spec).read_bytes()
        all_of_it = whole.table_path(network.images, network.spec).read_bytes()
        here, there = (found[network.spec.id] for found in finishes)
        yield Pair(
            rows=part.count(b"\n") - 1,
            whole=parse_table(all_of_it).rows,
            is_beginning=all_of_it.startswith(part),
            stop=here["stop"],
            seconds=(here["seconds"], there["seconds"]),
        )


def report(found: list[Pair]) -> Iterator[str]:
    """Yield the lines of the report."""
    half_epochs = sum(len(pair.whole) for pair in found)
    trained = sum(pair.rows for pair in found)
    stopped = [pair for pair in found if pair.stop["stopped"]]
    here, there = (sum(pair.seconds[side] for pair in found) for side in (0, 1))
    own = sum(pair.stop["seconds"] for pair in found)
    yield f"{found[0].stop['method']}: {len(found)} networks, {len(stopped)} stopped"
    yield (
        f"epochs: {trained / 2:g} of {half_epochs / 2:g} trained, "
        f"{100 * (1 - trained / half_epochs):.1f} % saved"
    )
    yield (
        f"training: {here:.1f} s of {there:.1f} s, {100 * (1 - here / there):.1f} % saved; the "
        f"rule's own {own:.1f} s, {1000 * own / trained:.1f} ms a half epoch"
    )
    scored = [pair for pair in stopped if pair.is_finite]
    if left_out := sum(not pair.is_finite for pair in found):
        yield f"not finite: {left_out} networks, which have no error"
    if scored:
        errors = [abs(pair.stop["predicted"] - pair.observed) for pair in scored]
        others = [abs(pair.last_seen - pair.observed) for pair in scored]
        yield (
            f"error of {len(scored)} predictions for epoch {scored[0].stop['target']:g}: mean "
            f"{fmean(errors):.2f} %, median {median(errors):.2f} %; the last accuracy seen: "
            f"{fmean(others):.2f} %, {median(others):.2f} %"
        )
    same = sum(pair.is_beginning for pair in found)
    yield f"the first rows of the whole training to the byte: {same} of {len(found)} tables"


def main() -> None:
    """Train twice, and print the report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[1])
    parser.add_argument("campaign", nargs="?", default="smoke", help="its name or file (smoke)")
    parser.add_argument("--stop", help="the rule, if the campaign names none (penguin)")
    parser.add_argument("--epochs", type=int, metavar="N", help="of each network")
    parser.add_argument("--ranks", type=int, default=1, metavar="N")
    parser.add_argument("--folder", help="keep what was trained here (a temporary one)")
    arguments = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(arguments.folder or name)
            stopped, whole = (
                train(campaign, folder / label, arguments.ranks)
                for label, campaign in zip(
                    ("stopped", "whole"), both_campaigns(arguments), strict=True
                )
            )
            found = list(pairs(stopped, whole))
            print("\n".join(report(found)), flush=True)
    except NnlcError as problem:
        sys.exit(f"error: {problem}")
    sys.exit(not all(pair.is_beginning for pair in found))


def both_campaigns(arguments: argparse.Namespace) -> tuple[Campaign, Campaign]:
    """Return the campaign with the rule, and without any."""
    campaign = load_campaign(arguments.campaign)
    epochs = campaign.epochs if arguments.epochs is None else arguments.epochs
    rule = arguments.stop or campaign.stop or "penguin"
    values = campaign.model_dump(exclude_none=True) | {"epochs": epochs}
    path = Path(arguments.campaign)
    stopped = parse_campaign(values | {"stop": rule}, path)
    if stopped.stop is None:
        raise NnlcError("there is nothing to compare without a stop rule; give one with --stop")
    return stopped, parse_campaign(values | {"stop": "none"}, path)


if __name__ == "__main__":
    main()
