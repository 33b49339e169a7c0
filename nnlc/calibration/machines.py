"""machines.toml in a results folder: the machines that were fitted to its journal.

`nnlc calibrate` writes it; the jobs that begin later, and `nnlc plan`, read it. Deleting it costs
nothing but the better prediction.
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
from nnlc.results.paths import ResultsFolder
from nnlc.system.files import write_atomically
from nnlc.system.newer_format import too_new
from nnlc.system.toml_file import Layers, read_toml, validate

_FORMAT = 2
"""1, of 0.1.0, did not say which nnlc had written it."""
_HEADER = b"# What networks take on the devices of this folder. Written by 'nnlc calibrate'.\n"

NOMINAL: dict[DeviceKind, Machine] = {"cuda": GPU, "cpu": CPU}
"""What is predicted with until something is fitted."""

Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class FittedMachine(BaseModel):
    """`[[devices]]`: one kind of device. A rate that is left out is infinite: free there."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(min_length=1)]
    """As the journal has it: the model of a GPU or processor."""
    device: DeviceKind
    networks: Annotated[int, Field(ge=1)]
    """That it was fitted to."""
    median_error: Share
    """Of predictions of networks that the fit had not seen."""
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
        """With the rates of a machine.

        Args:
            machine: the rates.
            facts: the fields that are no rates, by name.
        """
        rates = {key: rate for key, rate in asdict(machine).items() if rate != inf}
        return cls.model_validate(facts | rates)


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1, 2]
    nnlc: str = ""
    """The version that has written it."""
    devices: tuple[FittedMachine, ...] = ()


class Known(NamedTuple):
    """The machine to predict with."""

    machine: Machine
    fitted: FittedMachine | None
    """What it comes from, if it is not the nominal one."""
    trouble: str | None
    """Why the file could not be used, in a sentence for the user."""


def machine_for(results: ResultsFolder, names: Container[str], device: DeviceKind) -> Known:
    """The machine that was fitted to a device, or else the nominal one. Nothing is raised.

    Args:
        results: the folder; one without the file, or one that isn't there, knows no device.
        names: of the devices, as trainers say them; where there are several, any of them.
        device: what kind they are.
    """
    machines, trouble = fitted_machines(results)
    known = (found for found in machines if found.device == device and found.name in names)
    fitted = next(known, None)
    return Known(fitted.machine if fitted else NOMINAL[device], fitted, trouble)


def fitted_machines(results: ResultsFolder) -> tuple[tuple[FittedMachine, ...], str | None]:
    """All that the file has, and why it could not be read, if so: then there are none."""
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
        return (), f"{first_line}; passed over: predictions are nominal until 'nnlc calibrate'"


def write_machines(results: ResultsFolder, machines: Sequence[FittedMachine]) -> None:
    """Write the file, whole.

    Raises:
        ResultsError: it can't be written; one that was there still stands.
    """
    devices = [machine.model_dump(exclude_none=True) for machine in machines]
    text = tomli_w.dumps({"format": _FORMAT, "nnlc": __version__, "devices": devices})
    try:
        write_atomically(results.machines_file, _HEADER + text.encode())
    except OSError as problem:
        raise ResultsError(
            f"{results.machines_file}: can't be written: {problem.strerror}"
        ) from None
