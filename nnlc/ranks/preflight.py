"""What is looked at in a job's first seconds, so that nothing fails or differs at hour eleven."""

import os
import platform
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Mapping
from pathlib import Path

from nnlc.errors import DeviceError
from nnlc.system import messages
from nnlc.system.files import read_regular
from nnlc.wording import some_of

FLAGS = "jsrun -g 1 -c 7; srun --gpus-per-task=1 --cpus-per-task=8"
"""What gives each rank a GPU and cores of its own."""

_MUST_AGREE = ("torch", "cuda", "cudnn", "nnlc")
_NAMED = 6


def describe_host() -> messages.Message:
    """What `hello` says of this rank's place: its host, and how much of it there is for it."""
    known = hasattr(os, "sched_getaffinity")
    node_cores = os.cpu_count() or 1
    cores = len(os.sched_getaffinity(0)) if known else node_cores
    gpus = gpus_of_node()
    return {"host": platform.node(), "cores": cores, "node_cores": node_cores, "node_gpus": gpus}


def gpus_of_node() -> int:
    """GPUs that this node has, whether or not this process was given any: NVIDIA's and AMD's."""
    nvidia = Path("/proc/driver/nvidia/gpus")
    nodes = Path("/sys/class/kfd/kfd/topology/nodes").glob("*/gpu_id")  # 0 for a processor
    try:
        amd = sum(read_regular(path).strip() not in (b"", b"0") for path in nodes)
        return amd or (len(list(nvidia.iterdir())) if nvidia.is_dir() else 0)
    except OSError:
        return 0


def check_ranks(hellos: Mapping[int, messages.Message], device: str) -> None:
    """See that ranks have a device each and are alike, since a table must not depend on its rank.

    Args:
        hellos: by rank, its `hello` message.
        device: that the job trains on, "cpu" or "cuda".

    Raises:
        DeviceError: two ranks have the same GPU, or ranks differ in GPU or software.
    """
    facts = {rank: hello["devices"][0] for rank, hello in sorted(hellos.items())}
    of_device = ("name", "multiprocessors") if device == "cuda" else ("processor",)
    for name in (*_MUST_AGREE, *of_device):
        _refuse_different(hellos, name, {rank: f.get(name) for rank, f in facts.items()})
    variables = {rank: f.get("variables", {}).get(device) or "none" for rank, f in facts.items()}
    _refuse_different(hellos, "variables of the environment", variables)
    if device == "cuda":
        _refuse_shared(hellos, facts)


def warnings(
    hellos: Mapping[int, messages.Message], trainers: Mapping[int, int], device: str
) -> Iterator[str]:
    """What is no reason to stop but worth knowing.

    Args:
        hellos: by rank, its `hello` message.
        trainers: by rank, how many it keeps.
        device: that the job trains on, "cpu" or "cuda".
    """
    for words, ranks in _by_value({r: h["overruled"] for r, h in sorted(hellos.items())}).items():
        if words:
            where = "" if len(ranks) == len(hellos) else f" on {_name_ranks(hellos, ranks)}"
            yield f"trainers{where} do not get these variables, which change tables: {words}"
    for rank, hello in sorted(hellos.items()):
        if hello["cores"] < trainers[rank]:
            yield (
                f"rank {rank} on {hello['host']} has {hello['cores']} cores for {trainers[rank]} "
                f"trainers: give it more ({FLAGS})"
            )
    without = {rank: hello["without_mps"] for rank, hello in hellos.items() if hello["without_mps"]}
    if without and device == "cuda":
        rank = min(without)
        yield (
            f"--mps is without effect on {len(without)} of {len(hellos)} ranks, as on rank {rank} "
            f"on {hellos[rank]['host']}: {without[rank]}"
        )


def report(
    hellos: Mapping[int, messages.Message], trainers: Mapping[int, int], device: str
) -> Iterator[str]:
    """A line a rank: where it is, how many trainers it keeps, and what they train on."""
    for rank, hello in sorted(hellos.items()):
        fact = hello["devices"][0]
        on = f"{fact['name']} {fact.get('uuid', '')}".strip()
        mps = " under MPS" if device == "cuda" and fact.get("mps") else ""
        yield (
            f"rank {rank} on {hello['host']}: {hello['cores']} cores, {trainers[rank]} trainers on "
            f"{on if device == 'cuda' else fact['processor']}{mps}, "
            f"torch {fact['torch']}, nnlc {fact['nnlc']}"
        )


def _refuse_different(
    hellos: Mapping[int, messages.Message], what: str, values: Mapping[int, Hashable]
) -> None:
    groups = _by_value(values)
    if len(groups) > 1:
        found = "; ".join(
            f"{value} on {_name_ranks(hellos, ranks)}" for value, ranks in groups.items()
        )
        raise DeviceError(
            f"the ranks of a job must agree, or a table would depend on its rank; {what}: {found}"
        )


def _by_value(values: Mapping[int, Hashable]) -> dict[Hashable, list[int]]:
    """Return the ranks that have each value."""
    groups: defaultdict[Hashable, list[int]] = defaultdict(list)
    for rank, value in values.items():
        groups[value].append(rank)
    return groups


def _refuse_shared(
    hellos: Mapping[int, messages.Message], facts: Mapping[int, messages.DeviceFacts]
) -> None:
    """Ranks share a GPU only where their node has no other that would idle."""
    users: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for rank, fact in facts.items():
        if fact.get("uuid", "unknown") != "unknown":
            users[hellos[rank]["host"], fact["uuid"]].append(rank)
    in_use = Counter(host for host, _ in users)
    for (host, uuid), ranks in users.items():
        if len(ranks) > 1 and in_use[host] < hellos[ranks[0]]["node_gpus"]:
            raise DeviceError(
                f"ranks {', '.join(map(str, ranks))} on {host} have the same GPU ({uuid}), and "
                f"others of it idle: start one rank a GPU ({FLAGS}); several trainers of one rank "
                "share its GPU with --mps"
            )


def _name_ranks(hellos: Mapping[int, messages.Message], ranks: list[int]) -> str:
    return some_of([f"rank {rank} ({hellos[rank]['host']})" for rank in ranks], _NAMED)
