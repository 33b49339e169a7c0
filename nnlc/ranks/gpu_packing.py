"""GPU packing: the number of trainers of each rank, and the networks that may share a GPU.

While a small network trains, its GPU mostly waits for kernel launches; other small networks can use
that time. A large network keeps the GPU busy and runs alone.

Trainers use only the share `BUDGET` of a GPU's memory: close to the limit cuDNN silently chooses
other algorithms, which changes results. Each trainer has a CUDA context and a copy of the images.
The rest of the budget is divided equally among the trainers, and a network may share the GPU if it
fits into its trainer's part. So any combination of such networks fits.
"""

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from nnlc.campaign.campaign import CampaignNetwork
from nnlc.errors import DeviceError
from nnlc.networks.device_memory import image_bytes, library_bytes
from nnlc.networks.machine import Machine
from nnlc.networks.recipe import TrainingSection
from nnlc.ranks.idle_slots import Slot
from nnlc.ranks.preflight import gpu_of_rank
from nnlc.system import messages

MOST_TRAINERS = 8
"""Most trainers on a GPU unless the user sets their number: more add contexts but little speed."""
BUDGET = 0.8
"""Share of a GPU's memory for all of its trainers together."""
LAUNCHES_SHARE = 0.5
"""Smallest share of launches in the predicted time of a step of a launch-bound network."""


@dataclass(frozen=True, slots=True)
class GpuNeed:
    """Predicted use of a GPU by a network."""

    memory_bytes: int
    """Memory of the network, without its trainer's context and images."""
    launch_bound: bool
    """True if kernel launches take more of a step's time than `LAUNCHES_SHARE`."""


def predict_need(network: CampaignNetwork, settings: TrainingSection, machine: Machine) -> GpuNeed:
    """Predict a network's use of a GPU.

    Args:
        network: the network.
        settings: `[training]` of its campaign.
        machine: speed of the GPU.
    """
    spec, images = network.spec, network.images
    in_all = network.family.memory_bytes(spec, images, settings, "cuda")
    own = in_all - library_bytes("cuda") - image_bytes(images)
    step = network.family.training_work(spec, images, settings, "cuda")
    launches = step.kernels * machine.seconds_a_kernel
    return GpuNeed(own, launches >= LAUNCHES_SHARE * machine.seconds(step))


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuMemory:
    """Memory of a GPU and its use, in bytes."""

    device_bytes: int
    """Memory of the GPU."""
    trainer_bytes: int
    """Memory of a trainer without a network: CUDA context and images of all sets."""
    largest_bytes: int
    """Memory of the largest network, which must fit together with all trainers of the GPU."""

    @property
    def budget(self) -> int:
        return int(BUDGET * self.device_bytes)

    @property
    def most_trainers(self) -> int:
        """Number of trainers that fit; at least 1, since a single one may exceed the budget."""
        return max(1, (self.budget - self.largest_bytes) // self.trainer_bytes)

    @property
    def suggested_trainers(self) -> int:
        """Number of trainers that leaves half of the budget to networks."""
        most = min(MOST_TRAINERS, self.most_trainers)
        return max(1, min(most, self.budget // 2 // self.trainer_bytes))

    def bytes_a_network(self, trainers: int) -> int:
        """Return the most memory of a network that shares the GPU of this many trainers."""
        return self.budget // trainers - self.trainer_bytes


def gpu_memory(
    hellos: Mapping[int, messages.Message],
    networks: Sequence[CampaignNetwork],
    needs: Mapping[int, GpuNeed],
) -> GpuMemory:
    """Return the memory of the smallest GPU, and how much of it these networks use."""
    return GpuMemory(
        device_bytes=min(hello["devices"][0]["memory_bytes"] for hello in hellos.values()),
        trainer_bytes=library_bytes("cuda") + sum(map(image_bytes, {n.images for n in networks})),
        largest_bytes=max((needs[n.index].memory_bytes for n in networks), default=0),
    )


@dataclass(frozen=True, slots=True)
class GpuPacking:
    """Trainers of each rank, and networks that may share a GPU."""

    trainers: Mapping[int, int]
    """Number of trainers of each rank."""
    gpus: Mapping[int, Hashable]
    """GPU of each rank; a rank that is missing here has one device per trainer."""
    packable: frozenset[int] = frozenset()
    """Indices of the networks that may share a GPU with each other."""
    too_large: Mapping[int, str] = field(default_factory=dict)
    """Reasons why networks don't fit on any GPU, by network index."""

    @property
    def number_of_gpus(self) -> int:
        return len({self.gpu_of((rank, 0)) for rank in self.trainers})

    def gpu_of(self, slot: Slot) -> Hashable:
        """Return a key of the GPU on which a slot's trainer works: equal keys mean one GPU."""
        return self.gpus.get(slot[0], slot)


def pack_gpus(
    hellos: Mapping[int, messages.Message],
    device: str,
    networks: Sequence[CampaignNetwork],
    settings: TrainingSection,
    machine: Machine,
) -> GpuPacking:
    """Return the packing of a whole job, after leaving out networks that are too large.

    Args:
        hellos: `hello` message of each rank; its `trainers` is the user's number or None.
        device: "cpu" or "cuda".
        networks: networks to be trained.
        settings: `[training]` of their campaign.
        machine: speed of the device.

    Raises:
        DeviceError: a GPU has more trainers than fit into its memory.
    """
    if device == "cpu":  # the user sets the number, by ranks or --trainers
        return GpuPacking({rank: hello["trainers"] or 1 for rank, hello in hellos.items()}, {})
    needs = {n.index: predict_need(n, settings, machine) for n in networks}
    device_bytes = gpu_memory(hellos, (), needs).device_bytes
    too_large = {
        n.index: _too_large(needs[n.index], device_bytes)
        for n in networks
        if needs[n.index].memory_bytes > device_bytes
    }
    fitting = [n for n in networks if n.index not in too_large]
    packing = pack_trainers(hellos, gpu_memory(hellos, fitting, needs), needs)
    return replace(packing, too_large=too_large)


def pack_trainers(
    hellos: Mapping[int, messages.Message], memory: GpuMemory, needs: Mapping[int, GpuNeed]
) -> GpuPacking:
    """Return the number of trainers of each rank, and the networks that may share a GPU.

    Args:
        hellos: `hello` message of each rank; its `trainers` is the user's number or None.
        memory: memory of every GPU; ranks are alike.
        needs: predicted use of a GPU, by network index.

    Raises:
        DeviceError: a GPU has more trainers than fit into its memory.
    """
    gpus = {rank: gpu_of_rank(rank, hello) for rank, hello in hellos.items()}
    ranks_of = Counter(gpus.values())
    cores = cores_of(hellos)
    trainers = {
        rank: hello["trainers"] or _automatic(hello, ranks_of[gpus[rank]], cores[rank], memory)
        for rank, hello in hellos.items()
    }
    on_gpu: Counter[Hashable] = Counter()
    for rank, count in trainers.items():
        on_gpu[gpus[rank]] += count
    most = max(on_gpu.values())
    if most > memory.most_trainers:
        raise DeviceError(
            f"{most} trainers do not fit on one GPU: each needs about "
            f"{memory.trainer_bytes / 1e9:.1f} GB, the largest network needs "
            f"{memory.largest_bytes / 1e9:.1f} GB, and together they may use {100 * BUDGET:.0f} % "
            f"of the GPU's {memory.device_bytes / 1e9:.1f} GB; start at most "
            f"{memory.most_trainers}, with fewer ranks on the GPU or with --trainers auto"
        )
    if most == 1:
        return GpuPacking(trainers, {})
    limit = memory.bytes_a_network(most)
    packable = (i for i, need in needs.items() if need.launch_bound and need.memory_bytes <= limit)
    return GpuPacking(trainers, gpus, frozenset(packable))


def cores_of(hellos: Mapping[int, messages.Message]) -> dict[int, int]:
    """Return each rank's number of cores; ranks that aren't bound to cores divide their node's."""
    claimed: Counter[str] = Counter()
    ranks_on: Counter[str] = Counter()
    for hello in hellos.values():
        claimed[hello["host"]] += hello["cores"]
        ranks_on[hello["host"]] += 1
    return {
        rank: hello["cores"]
        if claimed[hello["host"]] <= hello["node_cores"]
        else max(1, hello["node_cores"] // ranks_on[hello["host"]])
        for rank, hello in hellos.items()
    }


def _automatic(hello: messages.Message, ranks: int, cores: int, memory: GpuMemory) -> int:
    """Return the number of trainers of a rank for `--trainers auto`: several only under MPS.

    Without MPS the trainers would take turns, and a GPU in exclusive mode would refuse the second.
    """
    if not hello["devices"][0].get("mps"):
        return 1
    return max(1, min(cores, memory.suggested_trainers // ranks))


def _too_large(need: GpuNeed, device_bytes: int) -> str:
    return (
        f"it was not tried: it needs about {need.memory_bytes / 1e9:.1f} GB of memory by "
        "prediction, without images and libraries, and the GPU has "
        f"{device_bytes / 1e9:.1f} GB; on a larger GPU 'nnlc retry' lets the next start try it"
    )
