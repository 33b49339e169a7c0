"""How near the hand-out comes to what no order could beat: `python benchmarks/schedule.py`.

Replays the article's campaign, event by event, at sizes of which few have the machine: nnlc's own
`HandOut` hands out its 6,000 networks, and hears their first half epochs as in a job. A network
takes what `nnlc plan` predicts for the site's GPU; what the order is made by is wrong by a random
factor, of each network (log-uniform) or of each image set.

    bound       the larger of all seconds / GPUs, and the longest network
    nnlc        HandOut: longest expected first, learning from measured seconds
    longest     longest predicted first, without learning
    first come  the campaign's order, the next to whoever is idle
    turns       the campaign's order, in turn to the GPUs, beforehand
    blocks      equal numbers to the GPUs, beforehand

Figures are makespan / bound, the worst of all seeds, for nnlc by error and for "longest" of all
errors. Where the longest network is the bound, from about 25 GPUs on, an order has little to do:
so the campaign comes in copies too, each wrongly predicted in its own way, as many as it takes for
the GPUs, not a network, to be the bound, but for a campaign's limit of a million networks.
Not replayed: starts, saves, and the walltime of jobs.

The second table divides the GPUs between the jobs of an array, which either have shares of the
campaign (`--elements`), dealt out beforehand by what is believed, or all of it, by leases.
"""

import argparse
import heapq
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from math import ceil, inf, log
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from nnlc.campaign.array_split import split
from nnlc.campaign.campaign import load_campaign
from nnlc.launching.forecast import forecast_campaign
from nnlc.networks import MAX_NETWORKS, ImageSet
from nnlc.ranks.gpu_packing import GpuPacking
from nnlc.ranks.handout import HandOut
from nnlc.results.paths import ResultsFolder
from nnlc.schedulers.site import load_site

CAMPAIGN = load_campaign("paper")
HALF_EPOCHS = CAMPAIGN.half_epochs
SIZES = {
    "summit": (6, 24, 96, 384, 1536, 6144, 27648),
    "frontier": (8, 24, 96, 384, 1536, 6144, 37000),
}
COPIED = 96
"""GPUs: up to so many, a size comes with copies too."""
ARRAYS = (("summit", 24, 4), ("summit", 6, 6), ("frontier", 24, 3), ("frontier", 8, 8))
"""Site, GPUs, and jobs that have equal parts of them."""
ERRORS = ("1.25x", "2x", "sets 2x", "sets 10x")
OWN_ERROR = 1.25
"""Of each network, beside its image set's."""
COLUMNS = ("site", "GPUs", "networks", "bound", "", *ERRORS, "longest", "first come", "turns")
ROW = "{:9}{:>6}{:>9}{:>9} {:9}" + 4 * "{:>9}" + "{:>9}{:>12}{:>7}{:>8}"
ARRAY_ROW = "{:9}{:>6}{:>6}" + 4 * "{:>17}{:>8}"
HEADS = [word for error in ERRORS for word in (f"{error}: shares", "leases")]
NOWHERE = Path(__file__).parent / "no results"

Seconds = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Work:
    """Networks: the image set of each, its true seconds, and those on the nominal device."""

    images: Sequence[ImageSet]
    true: Seconds
    nominal: Seconds

    def times(self, copies: int) -> "Work":
        """So many copies of all of them."""
        true, nominal = (np.tile(seconds, copies) for seconds in (self.true, self.nominal))
        return Work(list(self.images) * copies, true, nominal)

    def bound(self, gpus: int) -> float:
        """Seconds that no order can beat."""
        return float(max(self.true.sum() / gpus, self.true.max()))

    def believed(self, error: str, seed: int) -> Seconds:
        """Wrong predictions."""
        random = np.random.default_rng(seed)
        factor = float(error.split()[-1].rstrip("x"))
        by_sets = error.startswith("sets")
        own = log(OWN_ERROR if by_sets else factor)
        wrong = np.exp(random.uniform(-own, own, len(self.true)))
        if by_sets:  # some too long, and some too short, or the order would stay
            names = random.permutation(sorted({images.name for images in self.images}))
            tilt = {name: factor ** (1 - 2 * (place % 2)) for place, name in enumerate(names)}
            wrong *= [tilt[images.name] for images in self.images]
        return np.asarray(self.nominal * wrong)


@cache
def work_at(site: str) -> Work:
    """The article's campaign there."""
    forecast = forecast_campaign(CAMPAIGN, load_site(site), ResultsFolder(NOWHERE))
    networks = forecast.networks
    true, nominal = ([getattr(n, s) for n in networks] for s in ("seconds", "nominal_seconds"))
    return Work([n.network.images for n in networks], np.array(true), np.array(nominal))


def pulled(order: Iterable[int], true: Seconds, gpus: int) -> float:
    """Makespan where whoever is idle takes the next of an order."""
    free = [0.0] * gpus
    for index in order:
        heapq.heapreplace(free, free[0] + true[index])
    return max(free)


def handed_out(
    work: Work, believed: Seconds, gpus: int, shares: Sequence[Iterable[int]] | None = None
) -> float:
    """Makespan with nnlc's HandOut; with shares, indices of networks, with one for each of them."""
    shares, end = shares or [range(len(work.true))], 0.0
    taken: set[str] = set()
    jobs = [hand_out_of(work, believed, gpus // len(shares), share, taken) for share in shares]
    half = work.true / HALF_EPOCHS
    events: list[tuple[float, int, int, int, HandOut]] = []  # when, network, half epochs, rank, job

    def go_on(now: float, job: HandOut) -> None:
        while given := job.next():
            network, rank, _ = given
            heapq.heappush(events, (now + half[network.index], network.index, 1, rank, job))

    for job in jobs:
        for rank in range(gpus // len(jobs)):
            job.add_idle(rank, 0)
        go_on(0.0, job)
    while events:
        end, index, done, rank, job = heapq.heappop(events)
        if done < HALF_EPOCHS:
            job.measure(index, half[index])
            following = 2 if done == 1 else HALF_EPOCHS  # later ones are not listened to
            then = end + (following - done) * half[index]
            heapq.heappush(events, (then, index, following, rank, job))
        else:
            job.ended(index)
            job.add_idle(rank, 0)
            go_on(end, job)
    return end


def hand_out_of(
    work: Work, believed: Seconds, gpus: int, indices: Iterable[int], taken: set[str]
) -> HandOut:
    """A real one, in a job without walltime; no file is looked for but others' leases."""
    networks: list[Any] = [
        SimpleNamespace(index=i, images=work.images[i], spec=SimpleNamespace(id=str(i)))
        for i in indices
    ]

    def claim(name: str) -> bool:
        free = name not in taken
        taken.add(name)
        return free

    job: Any = SimpleNamespace(
        work=SimpleNamespace(networks=networks, failed=0, not_whole={}),
        campaign=CAMPAIGN,
        results=SimpleNamespace(table_path=lambda *_: NOWHERE, machines_file=NOWHERE),
        finished=(),
        leases=SimpleNamespace(claim=claim),
        time_left=SimpleNamespace(work_seconds=lambda: inf),
        clock=lambda: 0.0,
        order="longest",
        ranks=gpus,
    )
    seconds = believed.tolist()

    def predict(spec: Any, *_: object) -> float:
        return float(seconds[int(spec.id)])

    with mock.patch("nnlc.ranks.backlog.predict_seconds", predict):
        return HandOut(job, "cuda", (), GpuPacking(dict.fromkeys(range(gpus), 1), {}))


def row_of(site: str, gpus: int, copies: int, seeds: int) -> list[object]:
    """One line of the table."""
    work = work_at(site).times(copies)
    true, bound = work.true, work.bound(gpus)
    ours: list[float] = []
    longest = 0.0
    for error in ERRORS:
        believed = [work.believed(error, seed) for seed in range(seeds)]
        ours.append(max(handed_out(work, seconds, gpus) for seconds in believed))
        for seconds in believed:
            order = np.argsort(-seconds, kind="stable").tolist()
            longest = max(longest, pulled(order, true, gpus))
    shares = min(gpus, len(true))
    others = (
        longest,
        pulled(range(len(true)), true, gpus),
        max(true[gpu::shares].sum() for gpu in range(shares)),
        max(block.sum() for block in np.array_split(true, shares)),
    )
    by = "longest" if bound == true.max() else "all"
    ratios = [f"{seconds / bound:.3f}" for seconds in (*ours, *others)]
    return [site, gpus, len(true), f"{bound / 3600:.1f} h", f"by {by}", *ratios]


def array_row(site: str, gpus: int, jobs: int, seeds: int) -> list[object]:
    """One line of the second table."""
    work = work_at(site)
    bound, everything = work.bound(gpus), range(len(work.true))
    words: list[object] = [site, gpus, jobs]
    for error in ERRORS:
        worst = [0.0, 0.0]
        for believed in (work.believed(error, seed) for seed in range(seeds)):
            dealt_out = split(believed.tolist(), jobs)
            found = (handed_out(work, believed, gpus, s) for s in (dealt_out, [everything] * jobs))
            worst = [max(w, seconds / bound) for w, seconds in zip(worst, found, strict=True)]
        words += [f"{ratio:.3f}" for ratio in worst]
    return words


def copies_for(site: str, gpus: int) -> int:
    """So many that the longest network is not the bound, where a campaign may be that large."""
    work = work_at(site)
    wanted = ceil(gpus * float(work.true.max() / work.true.sum()))
    return min(wanted, MAX_NETWORKS // len(work.true))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--site", choices=[*SIZES], help="(both)")
    parser.add_argument("--gpus", type=int, nargs="+", help="(from 6 or 8 to the whole machine)")
    parser.add_argument("--copies", type=int, help="of the campaign (1, and as many as it takes)")
    parser.add_argument("--seeds", type=int, default=2, help="of each error (%(default)s)")
    arguments = parser.parse_args()
    sites = [arguments.site] if arguments.site else list(SIZES)
    lines: list[tuple[str, int, int, int]] = []
    for site in sites:
        sizes = arguments.gpus or SIZES[site]
        lines += [(site, gpus, arguments.copies or 1, arguments.seeds) for gpus in sizes]
        if not arguments.copies:
            lines += [
                (site, gpus, copies, 1)
                for gpus in sizes
                if (gpus <= COPIED or arguments.gpus) and (copies := copies_for(site, gpus)) > 1
            ]
    print(ROW.format(*COLUMNS, "blocks"))
    with ProcessPoolExecutor(2) as pool:
        for row in pool.map(row_of, *zip(*lines, strict=True)):
            print(ROW.format(*row), flush=True)
        if not arguments.gpus:
            arrays = [(*array, arguments.seeds) for array in ARRAYS if array[0] in sites]
            print("\n" + ARRAY_ROW.format("site", "GPUs", "jobs", *HEADS))
            for row in pool.map(array_row, *zip(*arrays, strict=True)):
                print(ARRAY_ROW.format(*row), flush=True)


if __name__ == "__main__":
    main()
