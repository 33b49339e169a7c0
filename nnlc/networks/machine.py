"""Speed of a device: rates from which the seconds of counted work are predicted.

    seconds of a step = sum over the fields of `Work` (count / the machine's rate for that field)

`nnlc calibrate` fits a machine to the seconds in a journal.
"""

from dataclasses import astuple, dataclass, fields
from math import inf
from typing import Literal

from nnlc.networks.work import Work

DeviceKind = Literal["cuda", "cpu"]

FOURIER_SHARE = 6 / 7
"""Speed of Fourier convolutions over that of direct ones on a GPU, an assumption.

Where direct convolutions reach 35% of the fp32 peak, Fourier convolutions reach 30%. In `paper`,
70% of their operations are products of matrices with hundreds of rows and columns, for which GPUs'
libraries reach more than half of the peak; the others read and write more."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """Speed of a device: a rate for each field of `Work`, in the same order.

    An infinite rate means that the device spends no time on that field.
    """

    operations_per_second: float
    fourier_per_second: float
    gathered_per_second: float
    comparisons_per_second: float
    values_per_second: float
    narrow_per_second: float
    random_per_second: float
    weights_per_second: float
    seconds_a_kernel: float

    @property
    def unit_seconds(self) -> Work:
        """Seconds per unit of each field of `Work`."""
        *rates, seconds_a_kernel = astuple(self)
        return Work._make([*(1 / rate for rate in rates), seconds_a_kernel])

    @classmethod
    def from_unit_seconds(cls, unit_seconds: Work) -> "Machine":
        """Return the machine with these seconds per unit of each field of `Work`."""
        rates = [1 / seconds if seconds else inf for seconds in unit_seconds[:-1]]
        names = [field.name for field in fields(cls)]
        return cls(**dict(zip(names, [*rates, unit_seconds.kernels], strict=True)))

    def seconds(self, work: Work) -> float:
        """Return the predicted seconds of some work."""
        return sum(unit * count for unit, count in zip(self.unit_seconds, work, strict=True))


def gpu_machine(
    *,
    operations_per_second: float,
    bytes_per_second: float,
    fourier_per_second: float | None = None,
) -> Machine:
    """Return the machine of a GPU, estimated from a few of its rates.

    Assumptions: convolutions copy no values into windows; a random number costs as much as writing
    it; a comparison takes four instructions; a kernel of a captured step takes 3 µs.

    Args:
        operations_per_second: rate that training reaches, not the peak.
        bytes_per_second: rate that copies within the GPU's memory reach.
        fourier_per_second: rate that Fourier convolutions reach; default: `FOURIER_SHARE` of
            operations_per_second.
    """
    values_per_second = bytes_per_second / 4
    return Machine(
        operations_per_second=operations_per_second,
        fourier_per_second=fourier_per_second or FOURIER_SHARE * operations_per_second,
        gathered_per_second=inf,
        comparisons_per_second=operations_per_second / (4 * 8),
        values_per_second=values_per_second,
        narrow_per_second=inf,
        random_per_second=values_per_second,
        weights_per_second=values_per_second,
        seconds_a_kernel=3e-6,
    )


GPU = gpu_machine(operations_per_second=7.85e12, bytes_per_second=7.2e11)
"""Nominal GPU, a V100 at 50% of its fp32 peak (15.7 TFLOP/s) and 80% of its 900 GB/s.

By `FOURIER_SHARE`, Fourier convolutions reach 43% of the peak."""
# Measured on one core with AVX2, an EPYC of the third generation: `python benchmarks/cost.py`. The
# rate of Fourier convolutions is 0.49 times that of direct ones, as measured on one with AVX-512.
CPU = Machine(
    operations_per_second=9.5e10,
    fourier_per_second=4.7e10,
    gathered_per_second=6.8e8,
    comparisons_per_second=8.4e8,
    values_per_second=2.2e9,
    narrow_per_second=7.8e10,
    random_per_second=7.6e8,
    weights_per_second=3.1e9,
    seconds_a_kernel=4.4e-5,
)
