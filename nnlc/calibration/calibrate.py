"""Calibration for `nnlc calibrate`: machines fitted to a results folder's journal.

A machine is the speed of one model of device: see `nnlc.networks.machine`.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from math import inf
from statistics import median
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from nnlc.calibration.machines import NOMINAL, TRAINER_THREADS, FittedMachine, write_machines
from nnlc.campaign.campaign import CampaignNetwork
from nnlc.console import say_aside
from nnlc.errors import ResultsError
from nnlc.networks.device_memory import unmeasured_bytes
from nnlc.networks.machine import DeviceKind, Machine
from nnlc.networks.recipe import TrainingSection
from nnlc.networks.setup_time import SetupTime, fit_setup
from nnlc.networks.work import Work
from nnlc.results.folder import ResultsFolder
from nnlc.results.folder_costs import check_counted, read_folder_costs
from nnlc.results.history import Finish, read_history
from nnlc.results.inventory import inventory
from nnlc.results.readable_networks import readable_networks
from nnlc.system.extras import require_extra
from nnlc.system.files import ignored_lines
from nnlc.wording import counted

FEWEST_NETWORKS = 10
"""Minimum number of networks for a fit."""
FOLDS = 10
"""Folds of the cross-validation."""
_USUAL_DEVIATION = 0.15
"""Deviation of the logarithm beyond which a network counts as an outlier."""
_PRIOR_WEIGHT = 0.15
"""Weight of the prior on the logarithm of one rate's factor; a network has the weight 1."""
_MAX_LOG_FACTOR = 7.0
"""Greatest logarithm of a factor: e^7 is about 1,100."""
_SHORTEST_SHARE = 0.1
"""Half epochs shorter than this share of the longest were not trained: the network had diverged."""

Array: TypeAlias = npt.NDArray[np.float64]


class Sample(NamedTuple):
    """Work and measured seconds of a half epoch of one network."""

    work: Work
    seconds: float


class Errors(NamedTuple):
    """Relative errors of predictions, as shares of the measured values."""

    median: float
    nine_in_ten: float
    """Ninth decile: nine in ten errors are smaller."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """A machine fitted to one model of device, and the errors of its predictions."""

    device: str
    kind: DeviceKind
    samples: tuple[Sample, ...]
    nominal: Machine
    machine: Machine
    before: Errors
    """Errors of the nominal machine."""
    cross_validated: Errors
    """Errors of machines that were fitted without the networks that they predict."""
    memory: Errors | None
    """Errors of predicted peak memory; None if the journal has no measurements."""
    setup: SetupTime | None = None
    """Set-up time of a network; None if the journal has too few measurements."""
    threads: int = TRAINER_THREADS
    campaign: str = ""
    date: str = ""

    @property
    def fitted(self) -> FittedMachine:
        return FittedMachine.of(
            self.machine,
            setup=self.setup,
            name=self.device,
            device=self.kind,
            networks=len(self.samples),
            median_error=round(self.cross_validated.median, 4),
            threads=self.threads,
            campaign=self.campaign,
            date=self.date,
        )

    def to_json(self) -> dict[str, Any]:
        """Return all figures by name; infinite rates are None."""
        return {
            "device": self.device,
            "networks": len(self.samples),
            "nominal": _rates(self.nominal),
            "calibrated": _rates(self.machine),
            "error_before": self.before._asdict(),
            "error_unseen": self.cross_validated._asdict(),
            "error_memory": self.memory._asdict() if self.memory else None,
            "setup": asdict(self.setup) if self.setup else None,
        }


def calibrate(results: ResultsFolder) -> list[Calibration]:
    """Fit a machine to each model of device with enough networks, and write machines.toml.

    Only networks whose own table is undamaged are used.

    Raises:
        ResultsError: there is no results folder, no device has trained enough networks, or the
            file can't be written.
        UnknownCostError: costs of networks must be counted first.
    """
    campaign = results.campaign()
    history = read_history(results.journal_folder)
    finishes, date = history.finishes, (history.last_time or "")[:10]
    readable, warning = readable_networks(results, campaign)
    if warning:
        say_aside(f"warning: {warning}")
    drawn = [n for n in readable if n.spec.id in finishes]
    standing = inventory(results, campaign, drawn, finishes).with_tables
    networks = {n.spec.id: n for n in drawn if n.spec.id in standing}
    costed = list(networks.values())
    check_counted(costed, read_folder_costs(results, costed), within=results)
    by_device: defaultdict[str, list[tuple[CampaignNetwork, Finish]]] = defaultdict(list)
    for id_, finish in finishes.items():
        if id_ in standing and finish.device and _half_epoch_seconds(finish):
            by_device[finish.device].append((networks[id_], finish))
    enough = {
        k: trained for k, trained in sorted(by_device.items()) if len(trained) >= FEWEST_NETWORKS
    }
    if not enough:
        counts = ", ".join(
            f"{len(trained)} on {name}" for name, trained in sorted(by_device.items())
        )
        unread = "".join(f"\n{line}" for line in ignored_lines(results.unusable_entries()))
        raise ResultsError(
            f"{results.journal_folder}: {FEWEST_NETWORKS} networks finished on one model of "
            f"device are needed to calibrate; there are {counts or 'none'}. Train more networks, "
            f"then run 'nnlc calibrate' again{unread}"
        )
    found = [
        replace(
            _calibrate_device(name, trained, campaign.training), campaign=campaign.name, date=date
        )
        for name, trained in enough.items()
    ]
    write_machines(results, [calibration.fitted for calibration in found])
    return found


def calibration_lines(found: Sequence[Calibration], results: ResultsFolder) -> Iterator[str]:
    """Yield the lines that `nnlc calibrate` prints."""
    for calibration in found:
        yield f"{calibration.device}: {counted(len(calibration.samples), 'network')}"
        yield f"  {'error of a half epoch':<34}{'median':>10}{'9 in 10 below':>16}"
        yield _error_line("before, nominal", calibration.before)
        yield _error_line("calibrated, unseen networks", calibration.cross_validated)
        if calibration.memory:
            yield _error_line("peak memory", calibration.memory)
        yield f"  {'constant':<34}{'nominal':>10}{'calibrated':>16}"
        before, after = asdict(calibration.nominal), asdict(calibration.machine)
        for key, rate in after.items():
            yield f"  {key:<34}{_rate(before[key]):>10}{_rate(rate):>16}"
        if calibration.setup:
            yield f"  {calibration.setup.words}"
    yield from ignored_lines(results.unusable_entries())
    yield f"{results.machines_file}: the next job and 'nnlc plan' use these constants"


def _calibrate_device(
    name: str, trained: Sequence[tuple[CampaignNetwork, Finish]], settings: TrainingSection
) -> Calibration:
    kind: DeviceKind = "cpu" if trained[0][1].multiprocessors is None else "cuda"
    samples, ratios = [], []
    every_set = {n.images for n, _ in trained}  # a trainer keeps all images that it loads
    for n, finish in trained:
        own = finish.settings_as_trained(n.spec, n.images, settings, kind)
        work = n.family.half_epoch_work(n.spec, n.images, own, kind)
        samples.append(Sample(work, _half_epoch_seconds(finish)))
        peak = finish.peak_reserved_bytes if kind == "cuda" else finish.peak_memory_bytes
        if peak and peak > 0:
            need = n.family.memory_bytes(n.spec, n.images, own, kind, resident=every_set)
            ratios.append((need - unmeasured_bytes(kind)) / peak)
    memory = errors_of(ratios) if ratios else None
    setup = fit_setup(
        (n.family.convolutions(n.spec, n.images), finish.setup_seconds) for n, finish in trained
    )
    found = replace(calibration_of(name, kind, samples), memory=memory, setup=setup)
    threads = trained[-1][1].settings.get("threads", "")
    return replace(found, threads=int(threads)) if threads.isdecimal() else found


def calibration_of(name: str, kind: DeviceKind, samples: Sequence[Sample]) -> Calibration:
    """Return the calibration of a device from samples of its work, without memory."""
    nominal = NOMINAL[kind]
    return Calibration(
        device=name,
        kind=kind,
        samples=tuple(samples),
        nominal=nominal,
        machine=fit_machine(samples, nominal),
        before=errors(samples, nominal),
        cross_validated=cross_validated_errors(samples, nominal),
        memory=None,
    )


def _half_epoch_seconds(finish: Finish) -> float:
    """Return the median seconds of the half epochs that were trained; 0 if none is recorded.

    The half epochs after a network has diverged are copied, not trained.
    """
    seconds = [value for value in finish.half_epoch_seconds if 0 < value < inf]
    least = _SHORTEST_SHARE * max(seconds, default=0.0)
    return median(value for value in seconds if value >= least) if seconds else 0.0


def _error_line(name: str, found: Errors) -> str:
    return f"  {name:<34}{found.median:>10.1%}{found.nine_in_ten:>16.1%}"


def _rate(rate: float) -> str:
    return "free" if rate == inf else f"{rate:.3g}"


def _rates(machine: Machine) -> dict[str, float | None]:
    return {key: None if rate == inf else rate for key, rate in asdict(machine).items()}


def fit_machine(samples: Sequence[Sample], nominal: Machine) -> Machine:
    """Return the machine that fits these samples best; the result is deterministic.

    The fit is robust least squares on the logarithm of predicted over measured seconds, so that
    small and large networks count alike and outliers count little. A fitted rate is the nominal
    rate × one factor for all rates × a factor of this rate. The first factor is free; a weak prior
    pulls the others towards 1, so that ten networks already give a useful machine.

    The rate of Fourier convolutions also gets the factor of direct ones: without a sample of it,
    the ratio of both stays nominal. Rates that are infinite on the nominal machine stay infinite.

    Args:
        samples: at least one, all with positive seconds.
        nominal: the nominal machine of the same kind of device.

    Raises:
        MissingExtraError: SciPy is not installed.
    """
    require_extra("fit", "a fit of predicted to measured times")
    from scipy.optimize import least_squares  # slow to load

    work = np.array([sample.work for sample in samples], float)
    measured = np.array([sample.seconds for sample in samples])
    unit_seconds = np.array(nominal.unit_seconds)
    has_rate = unit_seconds > 0
    work, start = work[:, has_rate], np.log(unit_seconds[has_rate])
    factors = np.eye(len(unit_seconds))
    factors[Work._fields.index("fourier"), Work._fields.index("operations")] = 1
    factors = factors[np.ix_(has_rate, has_rate)]

    def fitted(parameters: Array) -> Array:
        return np.asarray(np.exp(start + parameters[0] + factors @ parameters[1:]))

    def residuals(parameters: Array) -> Array:
        ratios = work @ fitted(parameters) / measured
        return np.concatenate([np.log(ratios), _PRIOR_WEIGHT * parameters[1:]])

    found = least_squares(
        residuals,
        np.zeros(1 + len(start)),
        bounds=(-_MAX_LOG_FACTOR, _MAX_LOG_FACTOR),
        loss="soft_l1",
        f_scale=_USUAL_DEVIATION,
    )
    unit_seconds[has_rate] = fitted(found.x)
    return Machine.from_unit_seconds(Work(*map(float, unit_seconds)))


def errors(samples: Sequence[Sample], machine: Machine) -> Errors:
    """Return the errors of a machine's predictions."""
    return errors_of([machine.seconds(work) / seconds for work, seconds in samples])


def cross_validated_errors(samples: Sequence[Sample], nominal: Machine) -> Errors:
    """Return the errors of predictions for each fold by a machine fitted to the other folds."""
    folds = min(FOLDS, len(samples))
    ratios: list[float] = []
    for fold in range(folds):
        others = [s for i, s in enumerate(samples) if i % folds != fold]
        machine = fit_machine(others, nominal) if others else nominal
        ratios += [machine.seconds(s.work) / s.seconds for s in samples[fold::folds]]
    return errors_of(ratios)


def errors_of(ratios: Sequence[float]) -> Errors:
    """Return the errors of the ratios predicted / measured."""
    off = np.abs(np.array(ratios) - 1)
    return Errors(float(np.median(off)), float(np.quantile(off, 0.9)))
