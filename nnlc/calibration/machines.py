"""The files machines.toml: machines that were fitted to the journal of a results folder.

`nnlc calibrate` writes one into the results folder, and one into the user's data folder
($XDG_DATA_HOME/nnlc, by default ~/.local/share/nnlc) for other campaigns on these devices. Later
jobs and `nnlc plan` read both. If neither has a job's device, the job uses what its site file
assumes of the GPU, or else a nominal machine.
"""

import os
from collections.abc import Collection, Sequence
from dataclasses import asdict, fields
from math import inf
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import tomli_w
from pydantic import BaseModel, ConfigDict, Field

from nnlc import __version__
from nnlc.calibration.assumed_machine import assumed_machine, is_this_gpu
from nnlc.errors import ResultsError
from nnlc.networks.machine import CPU, GPU, DeviceKind, Machine
from nnlc.networks.setup_time import SetupTime, assumed_setup
from nnlc.results.folder import ResultsFolder
from nnlc.results.paths import ResultsPaths
from nnlc.schedulers.site_values import Gpu
from nnlc.system.environment import DETERMINISM
from nnlc.system.files import folder_of_user, why_unread, write_atomically
from nnlc.system.newer_format import too_new
from nnlc.system.toml_file import Layers, read_toml, validate

_FORMAT = 5
"""Version of the file's format; 1 has no version of nnlc, 2 no origin of a machine, 4 no set-up."""
_WITH_FOURIER = 4
"""First format with a rate of Fourier convolutions."""
_HEADER = b"# Speeds of devices that trained networks. Written by 'nnlc calibrate'.\n"
TRAINER_THREADS = int(DETERMINISM["OMP_NUM_THREADS"])
"""Threads of each trainer."""
_RATES = {rate.name for rate in fields(Machine)}

NOMINAL: dict[DeviceKind, Machine] = {"cuda": GPU, "cpu": CPU}
"""Machines for predictions of devices that nothing is known of."""

Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class FittedMachine(BaseModel):
    """Entry `[[devices]]` for a model of device; a rate that is left out is infinite."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(min_length=1)]
    """Model of the GPU or CPU, as in the journal."""
    device: DeviceKind
    networks: Annotated[int, Field(ge=1)]
    """Number of networks that the machine was fitted to."""
    median_error: Share
    """Median relative error of cross-validated predictions."""
    threads: Annotated[int, Field(ge=1)] = TRAINER_THREADS
    """Threads of each trainer."""
    campaign: str = ""
    """Campaign of these networks."""
    date: str = ""
    """Date of this campaign's last event."""
    operations_per_second: Rate | None = None
    fourier_per_second: Rate | None = None
    gathered_per_second: Rate | None = None
    comparisons_per_second: Rate | None = None
    values_per_second: Rate | None = None
    narrow_per_second: Rate | None = None
    random_per_second: Rate | None = None
    weights_per_second: Rate | None = None
    seconds_a_kernel: Rate
    setup: SetupTime | None = None
    """Set-up time of a network; None if not measured."""

    @property
    def machine(self) -> Machine:
        rates = self.model_dump(include=_RATES)
        return Machine(**{key: inf if rate is None else rate for key, rate in rates.items()})

    @classmethod
    def of(cls, machine: Machine, **facts: str | float | SetupTime | None) -> "FittedMachine":
        """Return an entry with the rates of a machine.

        Args:
            machine: the machine.
            facts: the other fields, by name.
        """
        rates = {key: rate for key, rate in asdict(machine).items() if rate != inf}
        return cls.model_validate(facts | rates)


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1, 2, 3, 4, 5]
    nnlc: str = ""
    """Version of nnlc that wrote the file."""
    devices: tuple[FittedMachine, ...] = ()


class ChosenMachine(NamedTuple):
    """The machine for predictions on a device."""

    machine: Machine
    fitted: FittedMachine | None
    """Entry of a file that the machine comes from; None if it is assumed."""
    setup: SetupTime
    """Set-up time of a network, measured or assumed."""
    warning: str | None
    """Sentence for the user if a file could not be used."""
    gpu: Gpu | None = None
    """GPU of a site file that the machine comes from."""

    @property
    def origin(self) -> str:
        """Origin of a GPU's speed, in words."""
        if self.fitted:
            return f"the speed of {self.fitted.name} that 'nnlc calibrate' has measured"
        if self.gpu:
            return f"the speed that the site file assumes for {self.gpu.model}"
        return "the speed of a V100, as neither 'nnlc calibrate' nor the site file knows this GPU"


def machine_for(
    results: ResultsFolder, names: Collection[str], device: DeviceKind, gpu: Gpu | None = None
) -> ChosenMachine:
    """Return the machine for predictions on a device, without raising.

    It is the one that was fitted to the device, else the one that a site file assumes, else the
    nominal one.

    Args:
        results: the results folder, which may lack the file or not exist.
        names: models of the job's devices, as trainers report them; the first entry of the files
            with one of these names is used, the results folder's before the user's.
        device: kind of the devices.
        gpu: GPU of the job's site; ignored if it is another model.
    """
    machines, trouble = fitted_machines(results)
    known = (found for found in machines if found.device == device and found.name in names)
    fitted = next(known, None)
    if gpu and not (device == "cuda" and any(is_this_gpu(gpu.model, name) for name in names)):
        gpu = None
    stated = gpu.setup_seconds_a_convolution if gpu else None
    setup = (fitted and fitted.setup) or assumed_setup(" ".join(names), device, stated)
    if fitted:
        return ChosenMachine(fitted.machine, fitted, setup, trouble)
    machine = assumed_machine(gpu) if gpu else NOMINAL[device]
    return ChosenMachine(machine, None, setup, trouble, gpu)


def fitted_machines(results: ResultsFolder) -> tuple[tuple[FittedMachine, ...], str | None]:
    """Return the entries of the results folder's file, then the user's, for trainers' threads.

    If a file can't be read, its entries are missing, and the second value warns the user.
    """
    found, trouble = _read(results.machines_file)
    kept, other_trouble = _read(user_machines_file())
    fitted = tuple(m for m in (*found, *kept) if m.threads == TRAINER_THREADS)
    return fitted, trouble or other_trouble


def user_machines_file() -> Path | None:
    """Return the path of the user's file; None for a user without a home."""
    folder = folder_of_user("XDG_DATA_HOME", ".local/share")
    return ResultsPaths(folder).machines_file if folder else None


def _read(path: Path | None) -> tuple[tuple[FittedMachine, ...], str | None]:
    """Return the entries of a file; if it can't be read, none and a warning for the user."""
    try:
        if path is None or not os.path.lexists(path):
            return (), None
        values = read_toml(path, ResultsError)
        if newer := too_new(path, values.get("format"), _FORMAT, values.get("nnlc")):
            raise ResultsError(newer)
        file = validate(_File, Layers([(path, values)]), ResultsError)
        has_fourier = file.format >= _WITH_FOURIER
        return file.devices if has_fourier else tuple(map(_with_fourier, file.devices)), None
    except (ResultsError, OSError) as problem:
        first_line = str(problem).split("\n", 1)[0]
        return (), f"{first_line}; ignored: run 'nnlc calibrate' for better predictions"


def _with_fourier(found: FittedMachine) -> FittedMachine:
    """Return an entry with a rate of Fourier convolutions in its nominal ratio to direct ones."""
    nominal, rate = NOMINAL[found.device], found.operations_per_second
    ratio = nominal.fourier_per_second / nominal.operations_per_second
    return found.model_copy(update={"fourier_per_second": rate and ratio * rate})


def write_machines(results: ResultsFolder, machines: Sequence[FittedMachine]) -> None:
    """Write the results folder's file atomically.

    Raises:
        ResultsError: it can't be written; an older file stays as it was.
    """
    path = results.machines_file
    try:
        _write(path, machines)
    except OSError as problem:
        raise ResultsError(f"{path}: can't be written: {problem.strerror}") from None


def keep_machines(machines: Sequence[FittedMachine]) -> str:
    """Add machines to the user's file, in place of older ones for their device and threads.

    A file that can't be read is renamed.

    Returns:
        A line for the user: the file, or why nothing was kept.
    """
    path = user_machines_file()
    if path is None:
        return "warning: nothing is kept for other campaigns: you have no home folder"
    before, trouble = _read(path)
    merged = {(m.name, m.device, m.threads): m for m in (*before, *machines)}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(path, list(merged.values()), keep=path.with_suffix(".unread") if trouble else None)
    except OSError as problem:
        why = why_unread(problem, "written")
        return f"warning: nothing is kept for other campaigns: {path}: {why}"
    return f"{path}: kept for other campaigns on these devices"


def _write(path: Path, machines: Sequence[FittedMachine], keep: Path | None = None) -> None:
    devices = [machine.model_dump(exclude_none=True) for machine in machines]
    text = tomli_w.dumps({"format": _FORMAT, "nnlc": __version__, "devices": devices})
    write_atomically(path, _HEADER + text.encode(), keep=keep)
