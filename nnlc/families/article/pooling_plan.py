"""Choice between two ways of max pooling: one pass, or a pass along rows and one along columns.

Both give the same bits.
"""

from nnlc.families.article.buffers import INDEX_BYTES
from nnlc.families.article.conditions import Conditions
from nnlc.families.article.layer import Layer
from nnlc.networks.device_memory import VALUE_BYTES

PASS_COST = 15
"""Cost of an output of one of two passes, beyond its comparisons, in comparisons.

`python benchmarks/pooling.py` found it: in two samples of 100 layers, drawn from the article's
campaign by their cost, it gave the least time in sum, and no layer became slower."""
_BLOCK_BYTES = 2**20
"""Temporary bytes for which both passes take several images at once: they fit into caches."""


def pools_in_two_passes(layer: Layer, conditions: Conditions) -> bool:
    """Return True if a pooling is computed in two passes: on CPUs, where windows are large.

    One pass makes k² comparisons for each of O² outputs. Two passes make k for each of W·O outputs
    of the first and O² of the second, where W is the input's width. Assumption: GPUs gain nothing,
    as comparisons in windows take 0.3% of their predicted time for the article's campaign.
    """
    kernel, width, outputs = layer.kernel, layer.input[1], layer.output[1]
    is_faster = outputs * kernel**2 > (width + outputs) * (kernel + PASS_COST)
    return is_faster and conditions.device == "cpu" and conditions.pooling == "max"


def images_in_block(layer: Layer) -> int:
    """Return the number of images that go through both passes at a time."""
    return max(1, _BLOCK_BYTES // _bytes_between(layer))


def bytes_in_block(layer: Layer, conditions: Conditions) -> int:
    """Return the temporary bytes of both passes; 0 for one pass."""
    images = min(images_in_block(layer), conditions.batch)
    return images * _bytes_between(layer) if pools_in_two_passes(layer, conditions) else 0


def _bytes_between(layer: Layer) -> int:
    """Return the bytes of an image's rows, and of the winners that each pass finds."""
    channels, width, outputs = *layer.input[:2], layer.output[1]
    rows = (VALUE_BYTES + INDEX_BYTES) * width * outputs
    return channels * (rows + INDEX_BYTES * outputs**2)
