"""Checks in a job's first seconds that its ranks are alike and have the devices they need."""

import os
import platform
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Mapping
from pathlib import Path

from nnlc.errors import DeviceError
from nnlc.system import messages
from nnlc.system.files import read_regular
from nnlc.wording import counted, some_of

FLAGS = "jsrun -g 1 -c 7; srun --gpus-per-task=1 --cpus-per-task=8"
"""Launcher options that give each rank its own GPU and cores."""

_MUST_AGREE = ("torch", "cuda", "hip", "cudnn", "nnlc")
_NAMED = 6


def describe_host() -> messages.Message:
    """Return host, cores and GPUs of this rank for its "hello" message."""
    known = hasattr(os, "sched_getaffinity")
    node_cores = os.cpu_count() or 1
    cores = len(os.sched_getaffinity(0)) if known else node_cores
    gpus = gpus_of_node()
    return {"host": platform.node(), "cores": cores, "node_cores": node_cores, "node_gpus": gpus}


def gpus_of_node() -> int:
    """Return the number of NVIDIA or AMD GPUs of this node, those not visible here included."""
    nvidia = Path("/proc/driver/nvidia/gpus")
    nodes = Path("/sys/class/kfd/kfd/topology/nodes").glob("*/gpu_id")  # 0 for a processor
    try:
        amd = sum(read_regular(path).strip() not in (b"", b"0") for path in nodes)
        return amd or (len(list(nvidia.iterdir())) if nvidia.is_dir() else 0)
    except OSError:
        return 0


def choose_device(asked: str, hellos: Mapping[int, messages.Message]) -> str:
    """Return "cuda" or "cpu", from what the user asked for and which ranks see GPUs.

    It is the same on all ranks, since tables depend on it.

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


def check_ranks(hellos: Mapping[int, messages.Message], device: str) -> None:
    """Check that ranks use all GPUs, and are alike: a table must not depend on its rank.

    Args:
        hellos: `hello` message of each rank.
        device: "cpu" or "cuda".

    Raises:
        DeviceError: ranks differ in device, software or environment, or two ranks have the same
            GPU while another of their node is unused.
    """
    facts = {rank: hello["devices"][0] for rank, hello in sorted(hellos.items())}
    on_gpu = ("name", "architecture", "multiprocessors")
    of_device = on_gpu if device == "cuda" else ("processor",)
    for name in (*_MUST_AGREE, *of_device):
        _refuse_different(hellos, name, {rank: f.get(name) for rank, f in facts.items()})
    variables = {rank: f.get("variables", {}).get(device) or "none" for rank, f in facts.items()}
    _refuse_different(hellos, "variables of the environment", variables)
    if device == "cuda":
        _refuse_shared(hellos, facts)


def warnings(
    hellos: Mapping[int, messages.Message], trainers: Mapping[int, int], device: str
) -> Iterator[str]:
    """Yield warnings: removed environment variables, too few cores, and MPS without effect.

    Args:
        hellos: `hello` message of each rank.
        trainers: number of trainers of each rank.
        device: "cpu" or "cuda".
    """
    for words, ranks in _by_value({r: h["overruled"] for r, h in sorted(hellos.items())}).items():
        if words:
            where = "" if len(ranks) == len(hellos) else f" on {_name_ranks(hellos, ranks)}"
            yield f"trainers{where} do not get these variables, which change tables: {words}"
    for rank, hello in sorted(hellos.items()):
        if hello["cores"] < trainers[rank]:
            yield (
                f"rank {rank} on {hello['host']} has {hello['cores']} cores for {trainers[rank]} "
                f"trainers: give the rank more cores ({FLAGS})"
            )
    without = {rank: hello["without_mps"] for rank, hello in hellos.items() if hello["without_mps"]}
    if without and device == "cuda":
        rank = min(without)
        yield (
            f"--mps has no effect on {len(without)} of {len(hellos)} ranks, such as rank {rank} "
            f"on {hellos[rank]['host']}: {without[rank]}"
        )


def report(
    hellos: Mapping[int, messages.Message], trainers: Mapping[int, int], device: str
) -> Iterator[str]:
    """Yield a line for each rank: host, cores, trainers, device and software."""
    for rank, hello in sorted(hellos.items()):
        fact = hello["devices"][0]
        on = f"{fact['name']} {fact.get('uuid', '')}".strip()
        mps = " under MPS" if device == "cuda" and fact.get("mps") else ""
        yield (
            f"rank {rank} on {hello['host']}: {counted(hello['cores'], 'core')}, "
            f"{counted(trainers[rank], 'trainer')} on "
            f"{on if device == 'cuda' else fact['processor']}{mps}, "
            f"torch {fact['torch']}, nnlc {fact['nnlc']}"
        )


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
    """Return the ranks with each value."""
    groups: defaultdict[Hashable, list[int]] = defaultdict(list)
    for rank, value in values.items():
        groups[value].append(rank)
    return groups


def _refuse_shared(
    hellos: Mapping[int, messages.Message], facts: Mapping[int, messages.DeviceFacts]
) -> None:
    """Raise an error if ranks share a GPU while another of their node is unused."""
    users: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for rank, fact in facts.items():
        if fact.get("uuid", "unknown") != "unknown":
            users[hellos[rank]["host"], fact["uuid"]].append(rank)
    in_use = Counter(host for host, _ in users)
    for (host, uuid), ranks in users.items():
        if len(ranks) > 1 and in_use[host] < hellos[ranks[0]]["node_gpus"]:
            raise DeviceError(
                f"ranks {', '.join(map(str, ranks))} on {host} have the same GPU ({uuid}), while "
                f"other GPUs of {host} are idle: start one rank per GPU ({FLAGS}); to run several "
                "trainers on a GPU, use --mps"
            )


def _name_ranks(hellos: Mapping[int, messages.Message], ranks: list[int]) -> str:
    return some_of([f"rank {rank} ({hellos[rank]['host']})" for rank in ranks], _NAMED)
