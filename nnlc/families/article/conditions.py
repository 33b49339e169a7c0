"""Conditions of a training: the circumstances that choose how its layers are computed."""

from typing import TYPE_CHECKING, Literal, NamedTuple

from nnlc.networks.machine import DeviceKind

if TYPE_CHECKING:
    from nnlc.families.article.spec import NetworkSpec
    from nnlc.networks.recipe import Convolutions, TrainingSection


class Conditions(NamedTuple):
    """Circumstances that choose how layers are computed; measured time is none of them."""

    batch: int
    """Number of images in a step."""
    device: DeviceKind
    convolutions: "Convolutions"
    """Setting `training.convolutions` of the campaign."""
    pooling: Literal["max", "average"] = "max"
    """Setting `training.pooling` of the campaign."""


def conditions_of(
    spec: "NetworkSpec", settings: "TrainingSection", device: DeviceKind
) -> Conditions:
    """Return the conditions under which a network trains.

    Args:
        spec: the network.
        settings: `[training]` of its campaign.
        device: kind of the device that it trains on.
    """
    return Conditions(spec.batch_size, device, settings.convolutions, settings.pooling)
