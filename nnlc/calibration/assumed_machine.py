"""The machine of a GPU that nobody has measured, from table `[gpu]` of a site file."""

import re

from nnlc.networks.machine import Machine, gpu_machine
from nnlc.schedulers.site_values import Gpu

_COPY_SHARE = 0.8
"""Assumed share of the peak memory bandwidth that copies reach."""
_OPERATIONS_A_BYTE = 16
"""Assumed operations per byte of a GPU without memory bandwidth in the site file."""


def assumed_machine(gpu: Gpu) -> Machine:
    """Return a site's GPU from its peaks and the assumed share of them that training reaches."""
    peak = 1e12 * gpu.fp32_teraflops
    gigabytes = gpu.memory_gigabytes_per_second
    return gpu_machine(
        operations_per_second=peak * gpu.efficiency,
        fourier_per_second=gpu.fourier_efficiency and peak * gpu.fourier_efficiency,
        bytes_per_second=_COPY_SHARE
        * (1e9 * gigabytes if gigabytes else peak / _OPERATIONS_A_BYTE),
    )


def is_this_gpu(model: str, device: str) -> bool:
    """Return True if a device's name means a site's GPU.

    The first word with a digit is the model. The other words differ, for example between "NVIDIA
    V100 (SXM2, 16 GB)" and "Tesla V100-SXM2-16GB".
    """
    wanted, there = (re.findall(r"[a-z0-9]+", text.lower()) for text in (model, device))
    names = [word for word in wanted if any(c.isdigit() for c in word)]
    return names[0] in there if names else wanted == there
