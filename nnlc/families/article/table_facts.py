"""Facts of the article's networks that readers of tables show."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from nnlc.families.article.geometry import walk_network
from nnlc.networks.image_sets import ImageSet

REMARK = "fc_dropout_rate may be above 0 where no fully connected layer has dropout."


def depth(values: Mapping[str, Any]) -> int:
    """Return the number of convolutions of a network with this metadata."""
    return len(values["conv_kernels"])


def size(values: Mapping[str, Any], images: ImageSet) -> tuple[int, int]:
    """Return the parameters of a network with this metadata, and multiply-adds of one image.

    Raises:
        SpecError: the network does not fit these images.
    """
    # The same attributes as those of a `NetworkSpec`, which takes longer to make.
    spec: Any = SimpleNamespace(**values)
    walk = walk_network(spec, images)
    return walk.parameters, walk.multiply_adds
