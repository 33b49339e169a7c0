"""Needs of a plan besides node-hours: images to stage, disk, and memory on the GPU."""

from collections.abc import Iterator
from dataclasses import dataclass

from nnlc.campaign.dataset_section import DatasetSection
from nnlc.launching.forecast import CampaignForecast, Forecast, NetworkForecast
from nnlc.launching.plan import Plan
from nnlc.networks import ImageSet
from nnlc.networks.device_memory import VALUE_BYTES
from nnlc.networks.image_sets import KNOWN, comes_with_nnlc
from nnlc.networks.optimizers import optimizer_of

# Measured on the campaign `paper`: 6,306 bytes per table of 80 rows.
_TABLE_BYTES = 900
_ROW_BYTES = 68
_GENERATIONS = 3
"""Most checkpoints of a network: the newest, its predecessor, and another being written."""


@dataclass(frozen=True, slots=True)
class Disk:
    """Sizes in the results folder, in bytes."""

    tables: int
    """Tables of all networks that are still to be trained."""
    checkpoints: int
    """Checkpoints if all ranks of all elements train the largest networks."""
    weights: int
    """Weights that the campaign keeps."""


def images_to_stage(forecast: CampaignForecast) -> Iterator[tuple[str, int]]:
    """Yield the image sets of the networks that are left, each with its megabytes.

    Sets that come with nnlc are left out, as are files of the user, which are read where they are.
    """
    left = {f.network.images.name for f in forecast.left}
    for name, images in forecast.campaign.image_sets().items():
        section = forecast.campaign.datasets[name]
        if name in left and section.npz is None and not comes_with_nnlc(name):
            yield name, _megabytes(images, section)


def disk(plan: Plan) -> Disk:
    """Return the sizes in the results folder while the plan runs."""
    left, chosen = plan.forecast.left, plan.chosen
    rows = plan.forecast.campaign.half_epochs
    at_once = chosen.elements * chosen.replay.shape.ranks
    keep = plan.forecast.campaign.run.keep
    best = [VALUE_BYTES * f.parameters if keep == "best" else 0 for f in left]
    saved = [_checkpoint_bytes(f) for f in left]
    largest = sorted(map(sum, zip(saved, best, strict=True)), reverse=True)[:at_once]
    return Disk(
        tables=len(left) * (_TABLE_BYTES + _ROW_BYTES * rows),
        checkpoints=_GENERATIONS * sum(largest),
        weights=sum(saved if keep == "final" else best),
    )


def too_large(forecast: Forecast) -> list[NetworkForecast]:
    """Return the networks that need more memory than the GPU has, the largest first."""
    room = 1e9 * forecast.gpu.memory_gigabytes
    found = [f for f in forecast.left if f.memory_bytes > room]
    return sorted(found, key=lambda f: -f.memory_bytes)


def _checkpoint_bytes(forecast: NetworkForecast) -> int:
    """Return the bytes of a network's weights and of its optimizer's state."""
    spec = forecast.network.spec
    return VALUE_BYTES * (1 + optimizer_of(spec).kept_values(spec)) * forecast.parameters


def _megabytes(images: ImageSet, section: DatasetSection) -> int:
    known = KNOWN[images.name]
    _, more = known.splits.get(section.train or known.default_split, (0, 0))
    return known.megabytes + more
