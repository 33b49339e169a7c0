"""Plan of a campaign on this machine, without a scheduler: training time, makespan, uncertainty.

The speed comes from what 'nnlc calibrate' has learned on this model of device, or else from a probe
of some seconds. The uncertainty of a sum of predicted seconds has three parts:

    error of each network    the fit's deviation; it evens out in a sum
    error of the fit         the deviation / √networks; if the machine was fitted to another
                             campaign, the whole deviation
    error of the day         10%, an assumption: clock rate, other programs
"""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from math import exp, sqrt
from pathlib import Path

from nnlc.calibration.machines import NOMINAL, FittedMachine, machine_for
from nnlc.calibration.probe import LATE_SECONDS, SECONDS, Probe, probe
from nnlc.campaign.campaign import load_campaign
from nnlc.console import say_aside
from nnlc.errors import SiteError
from nnlc.launching.forecast import CampaignForecast, forecast_on, not_whole_words, nothing_to_plan
from nnlc.launching.limits import PlanRequest, check_request
from nnlc.launching.plan_text import as_gigabytes, as_time, images_words, labelled_lines
from nnlc.launching.replay import JobShape, replay
from nnlc.networks.machine import DeviceKind
from nnlc.networks.setup_time import SetupTime
from nnlc.results.folder import ResultsFolder
from nnlc.results.paths import results_path
from nnlc.schedulers.site import Site
from nnlc.system.extras import require_extra
from nnlc.system.hardware import core_count, gpu_names, main_memory_bytes, processor_name
from nnlc.wording import counted

_DAY = 0.1
_DEVIATION_OF_MEDIAN = 1.48
"""Standard deviation over median absolute error, of normally distributed errors."""
_NINE_IN_TEN = 1.645
"""Standard deviations on either side of the mean that 90% of all values are within."""
# Measured on two quiet cores: mpirun, Python and MPI; and torch, if no probe has loaded it.
_LAUNCH_SECONDS, _TORCH_SECONDS = 1.0, 0.7


@dataclass(frozen=True, slots=True, kw_only=True)
class MachinePlan:
    """Predicted cost of a campaign on this machine."""

    forecast: CampaignForecast
    ranks: int
    fitted: FittedMachine
    probe: Probe | None
    """Origin of the fitted machine; None if it comes from 'nnlc calibrate'."""
    trouble: str | None
    """Reason why a file of fitted machines can't be read."""
    command: str

    @property
    def training_seconds(self) -> float:
        """Seconds of all networks, summed, with their set-up."""
        return self.forecast.seconds_left

    @property
    def start_seconds(self) -> float:
        """Seconds until the first step."""
        return _LAUNCH_SECONDS + (self.probe.start_seconds if self.probe else _TORCH_SECONDS)

    @property
    def makespan_seconds(self) -> float:
        """Seconds from the start of the command to the last table."""
        seconds = (f.seconds_with_setup for f in self.forecast.left)
        work = sorted((max(1, round(1000 * each)) for each in seconds), reverse=True)
        shape = JobShape(ranks=self.ranks, work_ms=None, start_ms=0, leave_ms=0)
        return self.start_seconds + replay([work], shape).makespan_ms / 1000

    @property
    def factor(self) -> float:
        """Factor by which nine in ten outcomes are at most above or below the prediction."""
        deviation = _DEVIATION_OF_MEDIAN * self.fitted.median_error
        squares = sum(f.seconds**2 for f in self.forecast.left)
        own = deviation * sqrt(squares) / self.training_seconds
        is_same = self.fitted.campaign in ("", self.forecast.campaign.name)
        of_fit = deviation / sqrt(self.fitted.networks) if is_same else deviation
        return exp(_NINE_IN_TEN * sqrt(own**2 + of_fit**2 + _DAY**2))


def plans_this_machine(site: Site) -> bool:
    """Return True if a site has no scheduler and does not describe a GPU."""
    return not site.scheduler.has_queue and site.gpu is None


def plan_machine(
    campaign: str,
    site: Site,
    request: PlanRequest,
    *,
    ranks: int | None = None,
    results: Path | None = None,
    images: Path | None = None,
    python: str | None = None,
) -> MachinePlan:
    """Return the plan of a campaign on this machine.

    Args:
        campaign: name or file of the campaign.
        site: a local site.
        request: values that only a scheduler could use, which are refused.
        ranks: number of ranks; default: one for each GPU, else one for each core.
        results: results folder; default: results/<campaign>.
        images: image folder, for the command.
        python: the Python to run, for the command.

    Raises:
        NnlcError: the user must correct something, or the probe failed.
        MissingExtraError: a probe is needed, and its libraries are not installed.
    """
    loaded = load_campaign(campaign, accept_code=True)
    folder = ResultsFolder(results_path(results, loaded.name))
    gpus = [] if site.device == "cpu" else gpu_names()
    if site.device == "cuda" and not gpus:
        raise SiteError(
            f'site {site.name} has device = "cuda", and this machine has no GPU: plan on a machine '
            "with its GPU, or write table [gpu] into the site file"
        )
    names = gpus or [processor_name()]
    kind: DeviceKind = "cuda" if gpus else "cpu"
    known, probed = machine_for(folder, names, kind), None
    forecast = forecast_on(NOMINAL[kind], known.setup, kind, loaded, folder, names.__contains__)
    if not forecast.left:
        raise nothing_to_plan(forecast)
    check_request(request, site, len(forecast.left))
    most = len(gpus) or core_count()
    ranks = ranks or most
    if ranks > most:
        what = counted(most, "GPU" if gpus else "core")
        raise SiteError(
            f"--ranks: this machine has {what} for {ranks} ranks; the nearest possible is --ranks "
            f"{most}"
        )
    fitted = known.fitted
    if fitted is None:
        what = "a plan for this machine, which 'nnlc calibrate' has not measured yet,"
        require_extra("train", what, "torch", "scipy")
        say_aside(
            f"timing steps of the campaign's networks for {SECONDS:g} s after torch is loaded"
        )
        pairs = [(f.network, f.seconds) for f in forecast.left]
        probed = probe(forecast.campaign, pairs, min(ranks, len(pairs)), kind)
        fitted = probed.calibration.fitted
    is_here = [fitted.name].__contains__
    words = ["mpirun", "-np", str(ranks), python or "python", "-m", "nnlc.worker", campaign]
    folders = {"--results": results, "--images": images}
    words += [word for key, path in folders.items() if path for word in (key, str(path))]
    return MachinePlan(
        forecast=forecast_on(fitted.machine, known.setup, fitted.device, loaded, folder, is_here),
        ranks=ranks,
        fitted=fitted,
        probe=probed,
        trouble=known.warning,
        command=shlex.join(words),
    )


def machine_plan_lines(plan: MachinePlan) -> Iterator[str]:
    """Yield the lines that `nnlc plan` prints for this machine."""
    yield f"campaign {plan.forecast.campaign.name} on this machine: {plan.fitted.name}"
    yield from labelled_lines(_facts(plan))
    yield plan.command


def _facts(plan: MachinePlan) -> Iterator[tuple[str, str]]:
    forecast, left, factor = plan.forecast, plan.forecast.left, plan.factor
    longest, start = max(left, key=lambda f: f.seconds_with_setup), plan.start_seconds
    yield (
        "networks",
        f"{len(left):,} to train, {forecast.done:,} done, {forecast.failed:,} failed"
        f"{not_whole_words(forecast)}",
    )
    yield (
        "training time" if plan.fitted.device == "cpu" else "GPU time",
        f"{_range(plan.training_seconds, factor)}, summed over the networks; the longest network "
        f"{as_time(longest.seconds_with_setup)}: {longest.network.spec.id}",
    )
    yield (
        "makespan",
        f"{_range(plan.makespan_seconds, factor, start)} with {counted(plan.ranks, 'rank')}, "
        f"{as_time(start)} of it until the first step",
    )
    if images := images_words(forecast):
        yield "images", images
    if plan.fitted.device == "cpu":
        sizes = sorted((f.memory_bytes for f in left), reverse=True)
        total, room = sum(sizes[: plan.ranks]), main_memory_bytes()
        yield (
            "memory" if total <= room else "WARNING",
            f"the largest network needs about {as_gigabytes(sizes[0])}, with images and libraries; "
            f"all ranks at most {as_gigabytes(total)} of this machine's {as_gigabytes(room)}",
        )
    yield "based on", _basis(plan)
    if plan.probe and plan.probe.too_slow:
        number = counted(plan.probe.too_slow, "network was", "networks were")
        yield (
            "WARNING",
            f"{number} still in the first steps after {LATE_SECONDS:g} s, though with few images, "
            "and not timed: the prediction may be far too low",
        )
    if plan.trouble:
        yield "WARNING", plan.trouble
    stop = ", time saved by the stop rule" if forecast.campaign.stop else ""
    yield (
        "not counted",
        "other programs' load, work done on running networks, time saved by networks that diverge"
        + stop,
    )


def _basis(plan: MachinePlan) -> str:
    fitted, measured = plan.fitted, plan.forecast.measured
    networks = counted(fitted.networks, "network")
    if plan.probe:
        basis = f"a probe of {plan.probe.seconds:.0f} s, which timed steps of {networks}"
    else:
        campaign = f"of campaign {fitted.campaign}" if fitted.campaign else "of this campaign"
        day = f" on {fitted.date}" if fitted.date else ""
        basis = f"{networks} {campaign}, measured on this device by 'nnlc calibrate'{day}"
    basis += f"; predictions of unseen networks were off by {fitted.median_error:.0%} in the median"
    if measured:
        basis += (
            f"; {counted(measured.networks, 'network')} finished here took {measured.ratio:.3g} "
            "times as long, and all predictions are scaled by this factor"
        )
    if plan.forecast.setup != SetupTime():
        basis += f"; {plan.forecast.setup.words}"
    return f"{basis}. Nine in ten outcomes are expected within the ranges"


def _range(seconds: float, factor: float, fixed: float = 0.0) -> str:
    """Return a prediction with its range; `fixed` seconds of it are certain."""
    low, high = (fixed + (seconds - fixed) * by for by in (1 / factor, factor))
    return f"{as_time(seconds)} ({as_time(low)} to {as_time(high)})"
