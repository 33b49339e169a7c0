"""Makespan of nnlc's hand-out of networks over its lower bound: `python benchmarks/schedule.py`.

Simulates the article's campaign, event by event, on up to tens of thousands of GPUs: nnlc's own
`HandOut` hands out the 6,000 networks, and gets the seconds of their first half epochs as in a job.
A network's true seconds are those that `nnlc plan` predicts for the site's GPU. The estimates that
determine the order are wrong by a random factor for each network (log-uniform) or each image set.

    bound       the larger of all seconds / GPUs, and the seconds of the longest network
    nnlc        HandOut: longest expected first, with estimates corrected by measured seconds
    longest     longest estimate first, without correction
    first come  the campaign's order, the next network to the first idle GPU
    turns       the campaign's order, dealt to the GPUs by turns beforehand
    blocks      equal blocks of the campaign's order, assigned to the GPUs beforehand

Figures are makespan / bound, for the worst seed; nnlc's for each kind of error, "longest" for the
worst of all errors. From about 150 GPUs on, the longest network is the bound and the order matters
little. Therefore larger campaigns are simulated too: copies of this one, each with its own errors,
as many as make the number of GPUs the bound, up to a campaign's limit of a million networks.
Not simulated: starts, saves, and the walltime of jobs.

The second table divides the GPUs between the jobs of an array. Each job has either a share of the
campaign (`--elements`), split beforehand by the estimates, or all of it, shared by leases.
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

import numpy as np
from numpy.typing import NDArray

from nnlc.calibration.machines import ChosenMachine
from nnlc.campaign.array_split import split
from nnlc.campaign.campaign import load_campaign
from nnlc.launching.forecast import forecast_campaign
from nnlc.networks import ImageSet
from nnlc.networks.machine import GPU
from nnlc.networks.setup_time import SetupTime
from nnlc.networks.specification import MAX_NETWORKS
from nnlc.ranks.gpu_packing import GpuPacking
from nnlc.ranks.handout import HandOut
from nnlc.results.folder import ResultsFolder
from nnlc.schedulers.site import load_site

CAMPAIGN = load_campaign("paper")
HALF_EPOCHS = CAMPAIGN.half_epochs
SIZES = {
    "summit": (6, 24, 96, 384, 1536, 6144, 27648),
    "frontier": (8, 24, 96, 384, 1536, 6144, 37000),
}
COPIED = 96
"""Most GPUs for which copies of the campaign are simulated by default."""
ARRAYS = (("summit", 24, 4), ("summit", 6, 6), ("frontier", 24, 3), ("frontier", 8, 8))
"""Site, number of GPUs, and number of jobs that divide them equally."""
ERRORS = ("1.25x", "2x", "sets 2x", "sets 10x")
OWN_ERROR = 1.25
"""Error of each network in addition to that of its image set."""
COLUMNS = ("site", "GPUs", "networks", "bound", "", *ERRORS, "longest", "first come", "turns")
ROW = "{:9}{:>6}{:>9}{:>9} {:9}" + 4 * "{:>9}" + "{:>9}{:>12}{:>7}{:>8}"
ARRAY_ROW = "{:9}{:>6}{:>6}" + 4 * "{:>17}{:>8}"
HEADS = [word for error in ERRORS for word in (f"{error}: shares", "leases")]
NOWHERE = Path(__file__).parent / "no results"

Seconds = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Work:
    """Networks' image sets, true seconds, and seconds on the nominal device."""

    images: Sequence[ImageSet]
    true: Seconds
    nominal: Seconds

    def times(self, copies: int) -> "Work":
        """Return `copies` copies of all networks."""
        true, nominal = (np.tile(seconds, copies) for seconds in (self.true, self.nominal))
        return Work(list(self.images) * copies, true, nominal)

    def bound(self, gpus: int) -> float:
        """Return the lower bound of the makespan in seconds."""
        return float(max(self.true.sum() / gpus, self.true.max()))

    def estimates(self, error: str, seed: int) -> Seconds:
        """Return estimated seconds with random errors."""
        random = np.random.default_rng(seed)
        factor = float(error.split()[-1].rstrip("x"))
        by_sets = error.startswith("sets")
        own = log(OWN_ERROR if by_sets else factor)
        wrong = np.exp(random.uniform(-own, own, len(self.true)))
        if by_sets:  # too long for some sets and too short for others, which changes the order
            names = random.permutation(sorted({images.name for images in self.images}))
            tilt = {name: factor ** (1 - 2 * (place % 2)) for place, name in enumerate(names)}
            wrong *= [tilt[images.name] for images in self.images]
        return np.asarray(self.nominal * wrong)


@cache
def work_at(site: str) -> Work:
    """Return the article's campaign with its seconds at a site."""
    forecast = forecast_campaign(CAMPAIGN, load_site(site), ResultsFolder(NOWHERE))
    networks = forecast.networks
    true, nominal = ([getattr(n, s) for n in networks] for s in ("seconds", "nominal_seconds"))
    return Work([n.network.images for n in networks], np.array(true), np.array(nominal))


def makespan_of_order(order: Iterable[int], true: Seconds, gpus: int) -> float:
    """Return the makespan if each idle GPU takes the next network of an order."""
    free = [0.0] * gpus
    for index in order:
        heapq.heapreplace(free, free[0] + true[index])
    return max(free)


def makespan_of_handout(
    work: Work, estimates: Seconds, gpus: int, shares: Sequence[Iterable[int]] | None = None
) -> float:
    """Return the makespan with nnlc's HandOut: one for all, or one for each share of networks."""
    shares, end = shares or [range(len(work.true))], 0.0
    taken: set[str] = set()
    jobs = [make_handout(work, estimates, gpus // len(shares), share, taken) for share in shares]
    half = work.true / HALF_EPOCHS
    events: list[tuple[float, int, int, int, HandOut]] = []  # when, network, half epochs, rank, job

    def start_next(now: float, job: HandOut) -> None:
        while given := job.next():
            network, rank, _ = given
            heapq.heappush(events, (now + half[network.index], network.index, 1, rank, job))

    for job in jobs:
        for rank in range(gpus // len(jobs)):
            job.add_idle(rank, 0)
        start_next(0.0, job)
    while events:
        end, index, done, rank, job = heapq.heappop(events)
        if done < HALF_EPOCHS:
            job.measure(index, half[index])
            following = 2 if done == 1 else HALF_EPOCHS  # HandOut ignores later ones
            then = end + (following - done) * half[index]
            heapq.heappush(events, (then, index, following, rank, job))
        else:
            job.ended(index)
            job.add_idle(rank, 0)
            start_next(end, job)
    return end


def make_handout(
    work: Work, estimates: Seconds, gpus: int, indices: Iterable[int], taken: set[str]
) -> HandOut:
    """Return a real HandOut of a job without walltime, which reads no files."""
    networks: list[Any] = [
        SimpleNamespace(index=i, images=work.images[i], spec=SimpleNamespace(id=str(i)))
        for i in indices
    ]

    def claim(name: str) -> bool:
        free = name not in taken
        taken.add(name)
        return free

    job: Any = SimpleNamespace(
        work=SimpleNamespace(networks=networks, failed=0, not_whole={}, kept={}),
        campaign=CAMPAIGN,
        results=SimpleNamespace(table_path=lambda *_: NOWHERE, machines_file=NOWHERE),
        finished=(),
        leases=SimpleNamespace(claim=claim),
        time_left=SimpleNamespace(work_seconds=lambda: inf),
        clock=lambda: 0.0,
        order="longest",
        ranks=gpus,
    )
    seconds = estimates.tolist()

    def predict(spec: Any, *_: object) -> float:
        return float(seconds[int(spec.id)])

    family = SimpleNamespace(predict_seconds=predict, convolutions=lambda *_: 0)
    for network in networks:
        network.family = family
    packing = GpuPacking(dict.fromkeys(range(gpus), 1), {})
    return HandOut(job, "cuda", (), packing, ChosenMachine(GPU, None, SetupTime(), None))


def row_of(site: str, gpus: int, copies: int, seeds: int) -> list[object]:
    """Return one line of the table."""
    work = work_at(site).times(copies)
    true, bound = work.true, work.bound(gpus)
    ours: list[float] = []
    longest = 0.0
    for error in ERRORS:
        estimates = [work.estimates(error, seed) for seed in range(seeds)]
        ours.append(max(makespan_of_handout(work, seconds, gpus) for seconds in estimates))
        for seconds in estimates:
            order = np.argsort(-seconds, kind="stable").tolist()
            longest = max(longest, makespan_of_order(order, true, gpus))
    shares = min(gpus, len(true))
    others = (
        longest,
        makespan_of_order(range(len(true)), true, gpus),
        max(true[gpu::shares].sum() for gpu in range(shares)),
        max(block.sum() for block in np.array_split(true, shares)),
    )
    by = "longest" if bound == true.max() else "all"
    ratios = [f"{seconds / bound:.3f}" for seconds in (*ours, *others)]
    return [site, gpus, len(true), f"{bound / 3600:.1f} h", f"by {by}", *ratios]


def array_row(site: str, gpus: int, jobs: int, seeds: int) -> list[object]:
    """Return one line of the second table."""
    work = work_at(site)
    bound, everything = work.bound(gpus), range(len(work.true))
    words: list[object] = [site, gpus, jobs]
    for error in ERRORS:
        worst = [0.0, 0.0]
        for estimates in (work.estimates(error, seed) for seed in range(seeds)):
            dealt_out = split(estimates.tolist(), jobs)
            found = (
                makespan_of_handout(work, estimates, gpus, s)
                for s in (dealt_out, [everything] * jobs)
            )
            worst = [max(w, seconds / bound) for w, seconds in zip(worst, found, strict=True)]
        words += [f"{ratio:.3f}" for ratio in worst]
    return words


def copies_for(site: str, gpus: int) -> int:
    """Return how many copies make the number of GPUs the bound, within a campaign's limit."""
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
