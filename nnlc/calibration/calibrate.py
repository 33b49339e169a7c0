"""Calibration of a results folder: fits machines to its journal for `nnlc calibrate`."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from math import inf
from statistics import median
from typing import Any

from nnlc.calibration.machine_fit import (
    FEWEST_NETWORKS,
    Errors,
    Sample,
    cross_validated_errors,
    errors,
    errors_of,
    fit_machine,
)
from nnlc.calibration.machines import NOMINAL, FittedMachine, write_machines
from nnlc.campaign.campaign import CampaignNetwork
from nnlc.errors import ResultsError
from nnlc.networks import walk_network
from nnlc.networks.buffers import DeviceKind
from nnlc.networks.cost import Machine, half_epoch_work
from nnlc.networks.memory import library_bytes, memory_bytes
from nnlc.results.folder import ResultsFolder
from nnlc.results.history import Finish, read_history
from nnlc.results.inventory import inventory
from nnlc.system.files import ignored_lines
from nnlc.wording import counted

_SHORTEST_SHARE = 0.1
"""Half epochs shorter than this share of the longest were not trained: the network had diverged."""


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

    @property
    def fitted(self) -> FittedMachine:
        return FittedMachine.of(
            self.machine,
            name=self.device,
            device=self.kind,
            networks=len(self.samples),
            median_error=round(self.cross_validated.median, 4),
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
        }


def calibrate(results: ResultsFolder) -> list[Calibration]:
    """Fit a machine to each model of device with enough networks, and write machines.toml.

    A network counts if its table stands, and is its own.

    Raises:
        ResultsError: there is no results folder, no device has trained enough networks, or the
            file can't be written.
    """
    campaign = results.campaign()
    finishes = read_history(results.journal_folder).finishes
    networks = {n.spec.id: n for n in campaign.networks() if n.spec.id in finishes}
    standing = inventory(results, campaign, list(networks.values()), finishes).standing
    by_device: defaultdict[str, list[tuple[CampaignNetwork, Finish]]] = defaultdict(list)
    for id_, finish in finishes.items():
        if id_ in standing and finish.device and _half_epoch_seconds(finish):
            by_device[finish.device].append((networks[id_], finish))
    enough = {name: of for name, of in sorted(by_device.items()) if len(of) >= FEWEST_NETWORKS}
    if not enough:
        counts = ", ".join(f"{len(of)} on {name}" for name, of in sorted(by_device.items()))
        unread = "".join(f"\n{line}" for line in ignored_lines(results.unusable_entries()))
        raise ResultsError(
            f"{results.journal_folder}: {FEWEST_NETWORKS} networks finished on one kind of device "
            f"are needed to calibrate; there are {counts or 'none'}. Let a job train more of them, "
            f"then ask again{unread}"
        )
    found = [_of_device(name, of) for name, of in enough.items()]
    write_machines(results, [calibration.fitted for calibration in found])
    return found


def calibration_lines(found: Sequence[Calibration], results: ResultsFolder) -> Iterator[str]:
    """Yield the lines that `nnlc calibrate` prints."""
    for calibration in found:
        yield f"{calibration.device}: {counted(len(calibration.samples), 'network')}"
        yield f"  {'error of a half epoch':<34}{'median':>10}{'9 in 10 below':>16}"
        yield _error_line("before, nominal", calibration.before)
        yield _error_line("calibrated, networks not seen", calibration.cross_validated)
        if calibration.memory:
            yield _error_line("peak memory", calibration.memory)
        yield f"  {'constant':<34}{'nominal':>10}{'calibrated':>16}"
        before, after = asdict(calibration.nominal), asdict(calibration.machine)
        for key, rate in after.items():
            yield f"  {key:<34}{_rate(before[key]):>10}{_rate(rate):>16}"
    yield from ignored_lines(results.unusable_entries())
    yield f"{results.machines_file}: the next job, and 'nnlc plan', predict with it"


def _of_device(name: str, of: Sequence[tuple[CampaignNetwork, Finish]]) -> Calibration:
    kind: DeviceKind = "cpu" if of[0][1].multiprocessors is None else "cuda"
    nominal = NOMINAL[kind]
    samples = tuple(_sample(network, _half_epoch_seconds(finish)) for network, finish in of)
    return Calibration(
        device=name,
        kind=kind,
        samples=samples,
        nominal=nominal,
        machine=fit_machine(samples, nominal),
        before=errors(samples, nominal),
        cross_validated=cross_validated_errors(samples, nominal),
        memory=_memory_errors(of, kind),
    )


def _sample(network: CampaignNetwork, seconds: float) -> Sample:
    spec, images = network.spec, network.images
    return Sample(half_epoch_work(walk_network(spec, images), spec, images), seconds)


def _half_epoch_seconds(finish: Finish) -> float:
    """Return the median seconds of the half epochs that were trained; 0 if none is recorded.

    The half epochs after a network has diverged are copied, not trained.
    """
    seconds = [value for value in finish.half_epoch_seconds if 0 < value < inf]
    least = _SHORTEST_SHARE * max(seconds, default=0.0)
    return median(value for value in seconds if value >= least) if seconds else 0.0


def _memory_errors(of: Sequence[tuple[CampaignNetwork, Finish]], kind: DeviceKind) -> Errors | None:
    """Return the errors of predicted peak memory; None if nothing was measured.

    The measured peak is a trainer's whole memory on a CPU, but only torch's allocations on a GPU.
    """
    every_set = {network.images for network, _ in of}  # a trainer keeps all images that it loads
    not_measured = library_bytes(kind) if kind == "cuda" else 0
    ratios = []
    for network, finish in of:
        if finish.peak_memory_bytes and finish.peak_memory_bytes > 0:
            need = memory_bytes(network.spec, network.images, kind, resident=every_set)
            ratios.append((need - not_measured) / finish.peak_memory_bytes)
    return errors_of(ratios) if ratios else None


def _error_line(name: str, found: Errors) -> str:
    return f"  {name:<34}{found.median:>10.1%}{found.nine_in_ten:>16.1%}"


def _rate(rate: float) -> str:
    return "free" if rate == inf else f"{rate:.3g}"


def _rates(machine: Machine) -> dict[str, float | None]:
    return {key: None if rate == inf else rate for key, rate in asdict(machine).items()}
