"""The file machines.toml of a results folder: machines that were fitted to its journal.

`nnlc calibrate` writes it; later jobs and `nnlc plan` read it. Without the file, predictions use
nominal machines.
"""

import os
from collections.abc import Container, Sequence
from dataclasses import asdict
from math import inf
from typing import Annotated, Literal, NamedTuple

import tomli_w
from pydantic import BaseModel, ConfigDict, Field

from nnlc import __version__
from nnlc.errors import ResultsError
from nnlc.networks.buffers import DeviceKind
from nnlc.networks.cost import CPU, GPU, Machine
from nnlc.results.folder import ResultsFolder
from nnlc.system.files import write_atomically
from nnlc.system.newer_format import too_new
from nnlc.system.toml_file import Layers, read_toml, validate

_FORMAT = 2
"""Version of the file's format; 1, written by 0.1.0, has no version of nnlc."""
_HEADER = (
    b"# Speeds of the devices that trained this folder's networks. Written by 'nnlc calibrate'.\n"
)

NOMINAL: dict[DeviceKind, Machine] = {"cuda": GPU, "cpu": CPU}
"""Machines for predictions until one is fitted."""

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
    operations_per_second: Rate | None = None
    gathered_per_second: Rate | None = None
    comparisons_per_second: Rate | None = None
    values_per_second: Rate | None = None
    narrow_per_second: Rate | None = None
    random_per_second: Rate | None = None
    weights_per_second: Rate | None = None
    seconds_a_kernel: Rate

    @property
    def machine(self) -> Machine:
        rates = self.model_dump(exclude={"name", "device", "networks", "median_error"})
        return Machine(**{key: inf if rate is None else rate for key, rate in rates.items()})

    @classmethod
    def of(cls, machine: Machine, **facts: str | float) -> "FittedMachine":
        """Return an entry with the rates of a machine.

        Args:
            machine: the machine.
            facts: the other fields, by name.
        """
        rates = {key: rate for key, rate in asdict(machine).items() if rate != inf}
        return cls.model_validate(facts | rates)


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1, 2]
    nnlc: str = ""
    """Version of nnlc that wrote the file."""
    devices: tuple[FittedMachine, ...] = ()


class ChosenMachine(NamedTuple):
    """The machine for predictions on a device."""

    machine: Machine
    fitted: FittedMachine | None
    """Entry of machines.toml that the machine comes from; None for a nominal machine."""
    warning: str | None
    """Sentence for the user if the file could not be used."""


def machine_for(results: ResultsFolder, names: Container[str], device: DeviceKind) -> ChosenMachine:
    """Return the machine that was fitted to a device, or else the nominal one, without raising.

    Args:
        results: the results folder, which may lack the file or not exist.
        names: models of the job's devices, as trainers report them; the first entry of the file
            with one of these names is used.
        device: kind of the devices.
    """
    machines, trouble = fitted_machines(results)
    known = (found for found in machines if found.device == device and found.name in names)
    fitted = next(known, None)
    return ChosenMachine(fitted.machine if fitted else NOMINAL[device], fitted, trouble)


def fitted_machines(results: ResultsFolder) -> tuple[tuple[FittedMachine, ...], str | None]:
    """Return all entries of the file; if it can't be read, none and a warning for the user."""
    path = results.machines_file
    try:
        if not os.path.lexists(path):
            return (), None
        values = read_toml(path, ResultsError)
        if newer := too_new(path, values.get("format"), _FORMAT, values.get("nnlc")):
            raise ResultsError(newer)
        return validate(_File, Layers([(path, values)]), ResultsError).devices, None
    except (ResultsError, OSError) as problem:
        first_line = str(problem).split("\n", 1)[0]
        return (), f"{first_line}; ignored: run 'nnlc calibrate' for better predictions"


def write_machines(results: ResultsFolder, machines: Sequence[FittedMachine]) -> None:
    """Write the file atomically.

    Raises:
        ResultsError: it can't be written; an older file stays as it was.
    """
    devices = [machine.model_dump(exclude_none=True) for machine in machines]
    text = tomli_w.dumps({"format": _FORMAT, "nnlc": __version__, "devices": devices})
    try:
        write_atomically(results.machines_file, _HEADER + text.encode())
    except OSError as problem:
        raise ResultsError(
            f"{results.machines_file}: can't be written: {problem.strerror}"
        ) from None
