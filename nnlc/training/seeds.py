"""Seeds of all random numbers in training."""

from nnlc.networks import NetworkSpec
from nnlc.networks.draws import derive_seed


def training_seed(spec: NetworkSpec, purpose: str, *where: int) -> int:
    """Return a seed derived from the network's own, of 63 bits, the most that torch takes.

    Args:
        spec: the network.
        purpose: "init" for the weights, "order" for the order of images, "dropout" for the masks.
        where: the epoch for "order", the step for "dropout".
    """
    return derive_seed(purpose, spec.random_seed, *where, bits=63)
