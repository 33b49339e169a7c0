"""Switches that make a step's bits a function of its inputs. Set before any device starts."""

import os

import torch

from nnlc.errors import DeviceError
from nnlc.system.environment import DETERMINISM, in_words, overruled


def make_deterministic() -> None:
    """Set torch's switches for this process.

    Raises:
        DeviceError: the environment lacks a switch that must be set before Python starts, or has
            a variable that must not be.
    """
    for name, value in DETERMINISM.items():
        if os.environ.get(name) != value:
            raise DeviceError(
                f"{name}={value} is not set: start trainers through 'python -m nnlc.worker', which "
                "sets it before Python starts"
            )
    if wrong := overruled(os.environ):
        raise DeviceError(
            f"{in_words(wrong)} must not be set: start trainers through 'python -m nnlc.worker', "
            "which removes it before Python starts"
        )
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    # Filling fresh memory costs time and changes nothing: the loop reads only what it wrote.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    # The benchmark's choice of algorithm differs from process to process.
    torch.backends.cudnn.benchmark = False
    _use_full_precision()


def fp32_precision() -> str:
    """Return torch's setting for products and convolutions in fp32: "ieee" is in full."""
    backends = torch.backends
    if hasattr(backends, "fp32_precision"):
        convolutions = backends.cudnn.conv.fp32_precision  # type: ignore[attr-defined]
        found = {backends.fp32_precision, backends.cuda.matmul.fp32_precision, convolutions}
    else:
        allowed = backends.cuda.matmul.allow_tf32 or backends.cudnn.allow_tf32
        found = {"tf32" if allowed else "ieee"}
    return "ieee" if found == {"ieee"} else ", ".join(sorted(found - {"ieee"}))


def _use_full_precision() -> None:
    """fp32 in full: no TF32. From torch 2.9 on only the new settings, which may not be mixed."""
    if hasattr(torch.backends, "fp32_precision"):
        torch.backends.fp32_precision = "ieee"
        torch.backends.cuda.matmul.fp32_precision = "ieee"
        torch.backends.cudnn.conv.fp32_precision = "ieee"  # type: ignore[attr-defined]
    else:
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
