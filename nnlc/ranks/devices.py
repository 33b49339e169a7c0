"""Which kind of device a job trains on: the same for every rank, or the tables would differ."""

from collections.abc import Mapping

from nnlc import wire
from nnlc.errors import DeviceError


def choose_device(asked: str, hellos: Mapping[int, wire.Message]) -> str:
    """`cuda` or `cpu`, from what the user asked for and what every rank's trainers see.

    Args:
        asked: "auto", "cpu" or "cuda".
        hellos: by rank, its `hello` message.

    Raises:
        DeviceError: a GPU was asked for, or is there for some ranks, and others see none.
    """
    if asked == "cpu":
        return "cpu"
    blind = [rank for rank, hello in sorted(hellos.items()) if not hello["devices"][0]["gpus"]]
    if not blind:
        return "cuda"
    if len(blind) == len(hellos):
        if asked == "auto":
            return "cpu"
        raise DeviceError(
            "no rank sees a GPU, but --device cuda asks for one: start with --device cpu or auto, "
            "or have the launcher give GPUs (jsrun -g 1 -c 7; srun --gpus-per-task=1)"
        )
    places = ", ".join(f"{rank} on {hellos[rank]['host']}" for rank in blind[:8])
    more = f" and {len(blind) - 8} more" if len(blind) > 8 else ""
    raise DeviceError(
        f"{len(blind)} of {len(hellos)} ranks see no GPU where others do (rank {places}{more}): "
        "start one rank a GPU (jsrun -g 1 -c 7; srun --gpus-per-task=1), or all with --device cpu"
    )
