"""What is looked at in a job's first seconds, so that nothing fails or differs at hour eleven."""

import os
from collections import defaultdict
from collections.abc import Hashable, Iterator, Mapping
from pathlib import Path

from nnlc import wire
from nnlc.errors import DeviceError

FLAGS = "jsrun -g 1 -c 7; srun --gpus-per-task=1 --cpus-per-task=8"
"""What gives each rank a GPU and cores of its own."""

_MUST_AGREE = ("torch", "cuda", "cudnn", "nnlc")
_NAMED = 6


def gpus_of_node() -> int:
    """GPUs that this node has, whether or not this process was given any: NVIDIA's and AMD's."""
    nvidia = Path("/proc/driver/nvidia/gpus")
    nodes = Path("/sys/class/kfd/kfd/topology/nodes").glob("*/gpu_id")  # 0 for a processor
    try:
        amd = sum(path.read_text().strip() not in ("", "0") for path in nodes)
        return amd or (len(list(nvidia.iterdir())) if nvidia.is_dir() else 0)
    except OSError:
        return 0


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def examine(hellos: Mapping[int, wire.Message], device: str) -> list[str]:
    """See that ranks have a device each and are alike, since a table must not depend on its rank.

    Args:
        hellos: by rank, its `hello` message.
        device: that the job trains on, "cpu" or "cuda".

    Returns:
        What is no reason to stop but worth knowing.

    Raises:
        DeviceError: two ranks have the same GPU, or ranks differ in GPU or software.
    """
    facts = {rank: hello["devices"][0] for rank, hello in sorted(hellos.items())}
    for name in _MUST_AGREE:
        _refuse_different(hellos, name, {rank: f.get(name) for rank, f in facts.items()})
    key = "name" if device == "cuda" else "processor"
    _refuse_different(hellos, key, {rank: fact.get(key) for rank, fact in facts.items()})
    if device == "cuda":
        _refuse_shared(hellos, facts)
    return [
        f"rank {rank} on {hello['host']} has {hello['cores']} cores for "
        f"{len(hello['devices'])} trainers: give it more ({FLAGS})"
        for rank, hello in sorted(hellos.items())
        if hello["cores"] < len(hello["devices"])
    ]


def report(hellos: Mapping[int, wire.Message], device: str) -> Iterator[str]:
    """A line a rank: where it is and what it trains on."""
    for rank, hello in sorted(hellos.items()):
        fact = hello["devices"][0]
        on = f"{fact['name']} {fact.get('uuid', '')}".strip()
        yield (
            f"rank {rank} on {hello['host']}: {hello['cores']} cores, "
            f"{len(hello['devices'])} trainers on {on if device == 'cuda' else fact['processor']}, "
            f"torch {fact['torch']}, nnlc {fact['nnlc']}"
        )


def _refuse_different(
    hellos: Mapping[int, wire.Message], what: str, values: Mapping[int, Hashable]
) -> None:
    groups: defaultdict[Hashable, list[int]] = defaultdict(list)
    for rank, value in values.items():
        groups[value].append(rank)
    if len(groups) > 1:
        found = "; ".join(f"{value} on {_some(hellos, ranks)}" for value, ranks in groups.items())
        raise DeviceError(
            f"the ranks of a job must agree, or a table would depend on its rank; {what}: {found}"
        )


def _refuse_shared(
    hellos: Mapping[int, wire.Message], facts: Mapping[int, wire.DeviceFacts]
) -> None:
    users: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for rank, fact in facts.items():
        if fact.get("uuid", "unknown") != "unknown":
            users[hellos[rank]["host"], fact["uuid"]].append(rank)
    shared = {gpu: ranks for gpu, ranks in users.items() if len(ranks) > 1}
    if shared:
        (host, uuid), ranks = next(iter(shared.items()))
        raise DeviceError(
            f"ranks {', '.join(map(str, ranks))} on {host} have the same GPU ({uuid}): start one "
            f"rank a GPU ({FLAGS}); several trainers of one rank share its GPU with --trainers N"
        )


def _some(hellos: Mapping[int, wire.Message], ranks: list[int]) -> str:
    named = ", ".join(f"rank {rank} ({hellos[rank]['host']})" for rank in ranks[:_NAMED])
    more = f" and {len(ranks) - _NAMED} more" if len(ranks) > _NAMED else ""
    return named + more
