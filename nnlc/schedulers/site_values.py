"""Values and tables of a site file: words, lines, counts; `[gpu]`, `[[bins]]`, `[notice]`."""

import math
import re
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
)

from nnlc.errors import SiteError
from nnlc.system.one_line import check_line

_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")


def check_word(text: str) -> str:
    """Return the text itself, if it needs no quotes in a directive.

    Raises:
        ValueError: the text has other characters.
    """
    if not is_word(text):
        raise ValueError(
            "a directive takes letters, digits, dots, dashes, plus signs and underscores, "
            f"the first a letter or digit; found {text!r}"
        )
    return text


def is_word(text: str) -> bool:
    """Return True if a text needs no quotes in a directive."""
    return bool(_WORD.fullmatch(text))


def _check_program(text: str) -> str:
    if "/" in text and not text.startswith("/"):
        raise ValueError("must be an absolute path, or a name that setup lines make known")
    return text


MOST = 10_000_000
"""Largest count of anything: nodes, minutes, elements."""
Count = Annotated[int, Field(ge=1, le=MOST)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(gt=0, le=1)]
Word = Annotated[str, AfterValidator(check_word)]
Line = Annotated[str, AfterValidator(check_line)]
Program = Annotated[Line, AfterValidator(_check_program)]


class Gpu(BaseModel):
    """`[gpu]`: the GPU of each rank."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: Line
    """Name of the GPU, such as NVIDIA A100."""
    fp32_teraflops: Positive
    """Peak speed in full precision (fp32), in teraflops, as the manufacturer states it."""
    efficiency: Share = 0.35
    """Assumed share of the peak that training reaches, until a journal of the site has measured
    times; Fourier convolutions have a share of their own."""
    fourier_efficiency: Share | None = None
    """Assumed share of the peak that Fourier convolutions reach; if left out, six sevenths of
    efficiency: 0.3 where it is 0.35."""
    memory_gigabytes: Positive
    """Memory in GB."""
    memory_gigabytes_per_second: Positive | None = None
    """Peak bandwidth of its memory in GB/s, as the manufacturer states it; if left out, in
    proportion to fp32_teraflops."""
    setup_seconds_a_convolution: NotNegative | None = None
    """Assumed seconds to set up each convolution of a network, in each job that trains it, until a
    journal of the site has measured times; if left out, 6 on AMD's GPUs, where MIOpen compiles
    kernels for each shape, else 0.1."""

    @property
    def option(self) -> str:
        """Value of the worker's option `--gpu`: this table as JSON."""
        return self.model_dump_json(exclude_defaults=True)

    @classmethod
    def from_option(cls, text: str) -> "Gpu":
        """Return the GPU of the worker's option `--gpu`.

        Raises:
            SiteError: the text is not what `option` returns.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as problem:
            first = problem.errors(include_url=False)[0]
            where = ".".join(map(str, first["loc"]))
            raise SiteError(
                f"--gpu {text}: {f'key {where}: ' if where else ''}{first['msg']}; it must be "
                "table [gpu] of a site file as JSON, as 'nnlc render' writes it; or leave it out: "
                "only predicted times depend on it"
            ) from None


class Bin(BaseModel):
    """`[[bins]]`: longest walltime of jobs of some sizes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    nodes: tuple[Count, Count]
    """Lowest and highest number of nodes of these jobs."""
    hours: Annotated[float, Field(ge=1 / 60, le=MOST / 60)]
    """Longest walltime of these jobs, in hours."""
    queue: Word | None = None
    """Queue of these jobs; default: the site file's `queue`. `nnlc plan` chooses among all."""

    @property
    def minutes(self) -> int:
        """Longest walltime of these jobs, in whole minutes; 4.1 hours are 246."""
        return math.floor(60 * self.hours + 1e-6)

    @field_validator("nodes")
    @classmethod
    def _in_order(cls, nodes: tuple[int, int]) -> tuple[int, int]:
        if nodes[0] > nodes[1]:
            raise ValueError("must be [lowest, highest]")
        return nodes


class QueueLimits(BaseModel):
    """`[queues.NAME]`: what is different in a queue that `bins` name."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_running_jobs: Count | None = None
    """Most jobs of a user that run at a time; default: the site's."""
    max_queued_jobs: Count | None = None
    """Most jobs of a user in the queue; default: the site's."""
    charge_factor: Positive | None = None
    """Charge for an hour of a node; default: the site's."""
    only_on_request: Line | None = None
    """Reason for which `nnlc plan` takes this queue only with --queue, such as "no production"."""


class Notice(BaseModel):
    """`[notice]`: the warning before the walltime is over."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    signal: Literal["URG", "USR1", "USR2", "TERM", "INT"] = "URG"
    """Signal of the warning; programs ignore URG unless they know it."""
    minutes: Count = 3
    """Minutes before the end; networks are saved within seconds, Slurm may warn a minute early."""
