"""Networks of the article's campaign on the bundled images, for checks of a GPU."""

import hashlib
import shutil
import subprocess
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
from convolution_layers import convolutions

from nnlc.campaign.campaign import CampaignNetwork, TrainingSection, load_campaign
from nnlc.campaign.dataset_section import DatasetSection
from nnlc.networks import KNOWN_IMAGE_SETS, ImageSet
from nnlc.training.determinism import make_deterministic
from nnlc.training.device_info import free_memory
from nnlc.training.gpu_stream import enter_stream
from nnlc.training.loaded_images import Images, load_images
from nnlc.training.loop import HalfEpochLoop
from nnlc.training.pixels import DeviceImages
from nnlc.training.training_steps import WARM_STEPS

GPU = torch.device("cuda", 0)
PAPER = tuple(load_campaign("paper").networks())
"""Networks of the article's campaign. This and the next take a second to make, once for all checks:
their processes are forked from one that has loaded this module."""
CONVOLUTIONS = convolutions(PAPER)
"""Their distinct convolutions, with each one's share of all direct operations."""


def begin() -> None:
    """Set up a check's process like that of a trainer."""
    make_deterministic()
    torch.cuda.set_device(GPU)
    enter_stream(GPU)


def told_by_tool(*facts: str) -> dict[str, str]:
    """Return facts of the GPU that only NVIDIA's tool tells; none if that is missing."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return {}
    which = f"--id=GPU-{torch.cuda.get_device_properties(GPU).uuid}"
    words = [program, which, f"--query-gpu={','.join(facts)}", "--format=csv,noheader"]
    told = subprocess.run(words, capture_output=True, text=True, timeout=20, check=False)  # noqa: S603
    values = told.stdout.strip().split(", ")
    return dict(zip(facts, values, strict=True)) if len(values) == len(facts) else {}


def with_steps(of: CampaignNetwork, train: int, validation: int) -> CampaignNetwork:
    """Return a network of whose half epoch so many steps of each kind are replayed graphs."""
    b = of.spec.batch_size
    sizes = {
        "train_images": 2 * b * (WARM_STEPS + train),
        "validation_images": b * (WARM_STEPS + validation),
    }
    return replace(of, images=replace(of.images, **sizes))


def images_like(of: ImageSet) -> Images:
    """Return the bundled images, repeated to the number, width and channels of an image set."""
    whole = _bundled()

    def repeat(pixels: np.ndarray, labels: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        chosen = np.arange(count) % len(pixels)
        margin = (0, of.width - pixels.shape[2])
        padded = np.pad(pixels[:, 0], ((0, 0), margin, margin))
        # Each channel is another image.
        channels = [padded[(chosen + channel) % len(pixels)] for channel in range(of.channels)]
        return np.stack(channels, axis=1), labels[chosen]

    return Images(
        *repeat(whole.train_images, whole.train_labels, of.train_images),
        *repeat(whole.validation_images, whole.validation_labels, of.validation_images),
    )


@cache
def _bundled() -> Images:
    section = DatasetSection(networks_per_depth=1)
    return load_images(KNOWN_IMAGE_SETS["F-MNIST-sample"], section, Path("unused"))


def train(
    of: CampaignNetwork,
    settings: TrainingSection,
    half_epochs: int,
    *,
    graphs: bool = True,
) -> str:
    """Train a network on the GPU; return a digest of its rows' and weights' bits.

    Raises:
        UncapturedError: steps can't be captured; then this process can't be used any more.
    """
    images = DeviceImages(images_like(of.images), settings, GPU)
    loop = HalfEpochLoop(
        of.family, of.spec, of.images, images, settings, half_epochs / 2, graphs=graphs
    )
    rows = [(r.train_loss.hex(), r.val_loss.hex(), r.val_accuracy_percent) for r in loop]
    digest = hashlib.sha256(repr(rows).encode())
    for values in loop.network.state_dict().values():
        digest.update(values.cpu().numpy().tobytes())
    del loop, images
    free_memory(GPU)
    return digest.hexdigest()
