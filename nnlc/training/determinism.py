"""Torch settings that make a step's bits a function of its inputs; set before a device starts."""

import os

import torch

from nnlc.errors import DeviceError
from nnlc.system.environment import fixed, in_words, overruled


def make_deterministic() -> None:
    """Set torch's deterministic settings for this process.

    Raises:
        DeviceError: an environment variable is missing that must be set before Python starts, or
            a variable is set that must not be.
    """
    for name, value in fixed({"miopen"} if torch.version.hip else ()).items():
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
    # `use_deterministic_algorithms` does the same, but loads the compiler to configure it too.
    torch.set_deterministic_debug_mode("error")
    # Filling new memory costs time and changes nothing: the loop reads only what it wrote.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    # cuDNN's benchmark may choose other algorithms in each process.
    torch.backends.cudnn.benchmark = False
    # No TF32.
    torch.backends.fp32_precision = "ieee"  # type: ignore[attr-defined]
    torch.backends.cuda.matmul.fp32_precision = "ieee"
    torch.backends.cudnn.conv.fp32_precision = "ieee"  # type: ignore[attr-defined]


def fp32_precision() -> str:
    """Return torch's precision of fp32 products and convolutions: "ieee" is full precision."""
    backends = torch.backends
    convolutions = backends.cudnn.conv.fp32_precision  # type: ignore[attr-defined]
    whole = backends.fp32_precision  # type: ignore[attr-defined]
    found = {whole, backends.cuda.matmul.fp32_precision, convolutions}
    return "ieee" if found == {"ieee"} else ", ".join(sorted(found - {"ieee"}))
