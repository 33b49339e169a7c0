"""The seeds of all that is random while a network trains."""

from nnlc.networks import NetworkSpec
from nnlc.networks.draws import derive_seed


def training_seed(spec: NetworkSpec, purpose: str, *where: int) -> int:
    """A seed of 63 bits, as large as torch takes them, from the network's own.

    Args:
        spec: the network.
        purpose: "init" for the weights, "order" for that of the images, "dropout" for the masks.
        where: the epoch of an order, the step of masks.
    """
    return derive_seed(purpose, spec.random_seed, *where, bits=63)
