"""Choice of the job's kind of device, which is the same on all ranks since tables depend on it."""

from collections.abc import Mapping

from nnlc.errors import DeviceError
from nnlc.ranks.preflight import FLAGS
from nnlc.system import messages
from nnlc.wording import some_of


def choose_device(asked: str, hellos: Mapping[int, messages.Message]) -> str:
    """Return "cuda" or "cpu", from what the user asked for and which ranks see GPUs.

    Args:
        asked: "auto", "cpu" or "cuda".
        hellos: `hello` message of each rank.

    Raises:
        DeviceError: some rank sees no GPU, although the user asked for one, other ranks see one
            or its node has some.
    """
    if asked == "cpu":
        return "cpu"
    blind = [rank for rank, hello in sorted(hellos.items()) if not hello["devices"][0]["gpus"]]
    if not blind:
        return "cuda"
    if len(blind) == len(hellos):
        withheld = _why_no_gpu(hellos)
        if asked == "auto" and not withheld:
            return "cpu"
        reason = withheld or "no rank sees a GPU, but --device cuda asks for one"
        raise DeviceError(
            f"{reason}: have the launcher give one to each rank ({FLAGS}), or start with "
            "--device cpu"
        )
    places = some_of([f"{rank} on {hellos[rank]['host']}" for rank in blind], 8)
    raise DeviceError(
        f"{len(blind)} of {len(hellos)} ranks see no GPU where others do (rank {places}): "
        f"start one rank per GPU ({FLAGS}), or all with --device cpu"
    )


def device_names(hellos: Mapping[int, messages.Message], device: str) -> set[str]:
    """Return the names of all ranks' GPUs or processors, as in the journal."""
    facts = [facts for hello in hellos.values() for facts in hello["devices"]]
    if device == "cuda":
        return {one["name"] for one in facts}
    return {one["processor"].rpartition(", ")[0] for one in facts}  # without instruction sets


def _why_no_gpu(hellos: Mapping[int, messages.Message]) -> str | None:
    """Return why no rank sees a GPU if that looks like a mistake in the job's script, or None."""
    for rank, hello in sorted(hellos.items()):
        if hello["node_gpus"]:
            return (
                f"{hello['host']} has {hello['node_gpus']} GPUs, but rank {rank} there was given "
                "none"
            )
        if hello["launcher"] == "jsrun":
            return "jsrun gives its ranks no GPU and only one core by default"
    return None
