"""Networks whose bits changed when nnlc began to choose the ways of convolutions."""

from functools import cache

from nnlc.families.article.conditions import Conditions
from nnlc.families.article.convolution_plan import plan_convolution
from nnlc.families.article.geometry import walk_network
from nnlc.families.article.spec import NetworkSpec
from nnlc.networks.image_sets import ImageSet
from nnlc.networks.machine import DeviceKind


@cache  # pages and `status` ask often, for all networks of a campaign
def has_other_ways(spec: NetworkSpec, images: ImageSet, device: str) -> bool:
    """Return True if any convolution is computed otherwise than with `convolutions = "direct"`."""
    kind: DeviceKind = "cuda" if device == "cuda" else "cpu"
    return any(
        plan_convolution(layer, Conditions(spec.batch_size, kind, "auto"))
        != plan_convolution(layer, Conditions(spec.batch_size, kind, "direct"))
        for layer in walk_network(spec, images).layers
        if layer.kind == "convolution"
    )
