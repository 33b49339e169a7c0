"""What a stop rule saves: `python benchmarks/stopping.py [CAMPAIGN] [--stop RULE] [--ranks N]`.

Trains a campaign twice on the CPU, with the rule and to the end, and sets the one against the
other: the epochs and training seconds saved, how far the predictions are from what came at the
epoch that is predicted, and whether each table of the one is, to the byte, the beginning of the
other's. The last accuracy seen stands beside the predictions, on the same networks. The rule's own
time is that of its fits in the trainers. Networks with a loss or accuracy that is not finite are
counted and have no error. A folder that is given keeps what was trained: the same command, started
again, goes on there. Leaves with 1 where a table is no such beginning.
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
from nnlc.results.journal import read_events
from nnlc.results.paths import ResultsFolder
from nnlc.tables import Row, parse_table


@dataclass(frozen=True)
class Pair:
    """One network, trained with the rule and to the end."""

    rows: int
    whole: tuple[Row, ...]
    is_beginning: bool
    stop: dict[str, Any]
    """Of the journal."""
    seconds: tuple[float, float]
    """Of its training, with the rule and to the end."""

    @property
    def observed(self) -> float:
        """Percent, at the epoch that is predicted."""
        return float(self.whole[round(2 * self.stop["target"]) - 1].val_accuracy_percent or 0.0)

    @property
    def last_seen(self) -> float:
        """Percent, where it was stopped."""
        return float(self.whole[self.rows - 1].val_accuracy_percent or 0.0)

    @property
    def is_finite(self) -> bool:
        """Whether all its losses and accuracies are."""
        values = (v for r in self.whole for v in (r.train_loss, r.val_loss, r.val_accuracy_percent))
        return all(value is not None and math.isfinite(value) for value in values)


def train(campaign: Campaign, folder: Path, ranks: int) -> ResultsFolder:
    """The results of a whole campaign."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "campaign.toml"
    path.write_bytes(tomli_w.dumps(campaign.model_dump(exclude_none=True)).encode())
    return run_job(path, folder, ranks, "real").results


def pairs(stopped: ResultsFolder, whole: ResultsFolder) -> Iterator[Pair]:
    """Every network of both, in order."""
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
    """What came of it, line by line."""
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
    """Train twice, and print."""
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
                for label, campaign in zip(("stopped", "whole"), both(arguments), strict=True)
            )
            found = list(pairs(stopped, whole))
            print("\n".join(report(found)), flush=True)
    except NnlcError as problem:
        sys.exit(f"error: {problem}")
    sys.exit(not all(pair.is_beginning for pair in found))


def both(arguments: argparse.Namespace) -> tuple[Campaign, Campaign]:
    """The campaign with the rule, and without any."""
    campaign = load_campaign(arguments.campaign)
    epochs = campaign.epochs if arguments.epochs is None else arguments.epochs
    rule = arguments.stop or campaign.stop or "penguin"
    values = campaign.model_dump(exclude_none=True) | {"epochs": epochs}
    path = Path(arguments.campaign)
    stopped = parse_campaign(values | {"stop": rule}, path)
    if stopped.stop is None:
        raise NnlcError("there is nothing to compare without a rule; say one with --stop")
    return stopped, parse_campaign(values | {"stop": "none"}, path)


if __name__ == "__main__":
    main()
