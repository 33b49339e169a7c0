"""Checks in a job's first seconds that its ranks are alike and have the devices they need."""

import os
import platform
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping

from nnlc.errors import DeviceError, NodeError
from nnlc.system import messages
from nnlc.system.environment import in_words
from nnlc.system.hardware import gpus_of_node
from nnlc.wording import counted, some_of

FLAGS = (
    "jsrun -g 1 -c 7; srun --gpus-per-task=1 --cpus-per-task=8; "
    "mpiexec -ppn 4 --depth=8 --cpu-bind=depth"
)
"""Launcher options that give each rank its own GPU and cores."""

_GIVE = f"have the launcher give one to each rank ({FLAGS})"
_MUST_AGREE = ("torch", "cuda", "hip", "cudnn", "nnlc")
_NAMED = 6
_VISIBLE = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES")
"""Variables that choose the GPUs that a process sees."""


def describe_host() -> messages.Message:
    """Return host, cores, GPUs and variables that hide GPUs, for this rank's "hello" message."""
    known = hasattr(os, "sched_getaffinity")
    node_cores = os.cpu_count() or 1
    cores = len(os.sched_getaffinity(0)) if known else node_cores
    return {
        "host": platform.node(),
        "node": node_name(),
        "cores": cores,
        "node_cores": node_cores,
        "node_gpus": gpus_of_node(),
        "visible": in_words({name: os.environ[name] for name in _VISIBLE if name in os.environ}),
    }


def node_name() -> str:
    """Return the name of this node in its scheduler's words, which Slurm tells its ranks."""
    return os.environ.get("SLURMD_NODENAME") or platform.node()


def gpu_of_rank(rank: int, hello: messages.Message) -> Hashable:
    """Return a key of a rank's GPU, equal for ranks that share it.

    Some drivers give all GPUs the same UUID or none, so the PCI bus ID tells them apart. MIG
    instances of a GPU have the same PCI bus ID, so the UUID counts too.
    """
    device = hello["devices"][0]
    pci, uuid = device.get("pci"), device.get("uuid", "unknown")
    return rank if pci is None and uuid == "unknown" else (hello["host"], pci, uuid)


def choose_device(asked: str, hellos: Mapping[int, messages.Message], site: str = "") -> str:
    """Return "cuda" or "cpu", from what the user asked for and which ranks see GPUs.

    It is the same on all ranks, since tables depend on it.

    Args:
        asked: "auto", "cpu" or "cuda".
        hellos: `hello` message of each rank.
        site: site of the job's script, whose file has the device; empty without one.

    Raises:
        DeviceError: a rank's GPU can't be used; or some rank sees no GPU, although the user asked
            for one, other ranks see one or its node has some.
    """
    if asked == "cpu":
        return "cpu"
    cpu = (
        f'write device = "cpu" into the site file of {site}' if site else "start with --device cpu"
    )
    _refuse_unusable(asked, hellos, cpu)
    blind = [rank for rank, hello in sorted(hellos.items()) if not hello["devices"][0]["gpus"]]
    if not blind:
        return "cuda"
    if len(blind) == len(hellos):
        withheld = _why_no_gpu(hellos)
        if asked == "auto" and not withheld:
            return "cpu"
        seen = " with ".join(filter(None, ["no rank sees a GPU", hellos[blind[0]]["visible"]]))
        asks = f'device = "cuda" of site {site}' if site else "--device cuda"
        reason = withheld or f"{seen}, but {asks} asks for one: {_GIVE}"
        raise DeviceError(f"{reason}, or {cpu}")
    places = some_of([f"{rank} on {hellos[rank]['host']}" for rank in blind], 8)
    problem = (
        f"{len(blind)} of {len(hellos)} ranks see no GPU where others do (rank {places}): "
        f"start one rank per GPU ({FLAGS}), or, to use none, {cpu}"
    )
    raise _of_nodes(problem, blind, hellos)


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
    for words, ranks in by_value({r: h["overruled"] for r, h in sorted(hellos.items())}).items():
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
        on = " ".join(filter(None, [fact["name"], fact.get("pci"), fact.get("uuid")]))
        mps = " under MPS" if device == "cuda" and fact.get("mps") else ""
        yield (
            f"rank {rank} on {hello['host']}: {counted(hello['cores'], 'core')}, "
            f"{counted(trainers[rank], 'trainer')} on "
            f"{on if device == 'cuda' else fact['processor']}{mps}, "
            f"torch {fact['torch']}, nnlc {fact['nnlc']}"
        )


def _why_no_gpu(hellos: Mapping[int, messages.Message]) -> str | None:
    """Return why no rank sees a GPU, with advice, if that looks like a mistake; else None."""
    for rank, hello in sorted(hellos.items()):
        if hello["node_gpus"]:
            fact = hello["devices"][0]
            has = f"{hello['host']} has {counted(hello['node_gpus'], 'GPU')}, but rank {rank} there"
            if fact["cuda"] is None and not fact.get("hip"):
                return (
                    f"{has} has torch {fact['torch']}, which was built without CUDA and ROCm: "
                    "install one with it (pytorch.org)"
                )
            if hello["visible"]:
                return (
                    f"{has} sees none with {hello['visible']}: {_GIVE}, and let that variable name "
                    "GPUs that the rank may use, or remove it"
                )
            return f"{has} was given none: {_GIVE}"
        if hello["launcher"] == "jsrun":
            return f"jsrun gives its ranks no GPU and only one core by default: {_GIVE}"
    return None


def _refuse_unusable(asked: str, hellos: Mapping[int, messages.Message], cpu: str) -> None:
    """Raise an error if a rank has a GPU that its trainers can't use.

    Trouble of CUDA where no GPU is known, as with a stub of its library, is none for "auto".
    """
    reasons = {
        rank: fact["unusable"]
        for rank, hello in sorted(hellos.items())
        for fact in hello["devices"]
        if fact.get("unusable") and (fact["gpus"] or hello["node_gpus"] or asked == "cuda")
    }
    if reasons:
        rank, *others = reasons
        those = f", and {counted(len(others), 'more rank')} theirs" if others else ""
        problem = (
            f"rank {rank} on {hellos[rank]['host']} can't use its GPU{those}: {reasons[rank]}; to "
            f"train on processors, {cpu}"
        )
        raise _of_nodes(problem, reasons, hellos)


def _of_nodes(
    problem: str, ranks: Iterable[int], hellos: Mapping[int, messages.Message]
) -> DeviceError:
    """Return an error of the nodes of some ranks; not of theirs if no rank of a node is fine."""
    bad = {hellos[rank]["node"] for rank in ranks}
    fine = {hello["node"] for rank, hello in hellos.items() if rank not in {*ranks}} - bad
    return NodeError(problem, sorted(bad)) if fine else DeviceError(problem)


def _refuse_different(
    hellos: Mapping[int, messages.Message], what: str, values: Mapping[int, Hashable]
) -> None:
    groups = by_value(values)
    if len(groups) > 1:
        found = "; ".join(
            f"{value} on {_name_ranks(hellos, ranks)}" for value, ranks in groups.items()
        )
        raise DeviceError(
            f"the ranks of a job must agree, or a table would depend on its rank; {what}: {found}"
        )


def by_value(values: Mapping[int, Hashable]) -> dict[Hashable, list[int]]:
    """Return the ranks with each value."""
    groups: defaultdict[Hashable, list[int]] = defaultdict(list)
    for rank, value in values.items():
        groups[value].append(rank)
    return groups


def _refuse_shared(
    hellos: Mapping[int, messages.Message], facts: Mapping[int, messages.DeviceFacts]
) -> None:
    """Raise an error if ranks share a GPU while another of their node is unused."""
    names = {rank: fact.get("pci") or fact.get("uuid") for rank, fact in facts.items()}
    in_use = Counter(host for host, _ in {(hellos[r]["host"], name) for r, name in names.items()})
    for ranks in by_value({rank: gpu_of_rank(rank, hellos[rank]) for rank in facts}).values():
        hello, fact = hellos[ranks[0]], facts[ranks[0]]
        host = hello["host"]
        if len(ranks) > 1 and in_use[host] < max(hello["node_gpus"], fact["gpus"]):
            raise DeviceError(
                f"ranks {', '.join(map(str, ranks))} on {host} have the same GPU "
                f"({names[ranks[0]]}), while other GPUs of {host} are idle: start one rank per GPU "
                f"({FLAGS}); to run several trainers on a GPU, use --mps"
            )


def _name_ranks(hellos: Mapping[int, messages.Message], ranks: list[int]) -> str:
    return some_of([f"rank {rank} ({hellos[rank]['host']})" for rank in ranks], _NAMED)
