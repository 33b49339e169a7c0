"""How many trainers a rank keeps, and which networks may share a GPU.

The GPU of a small network waits for its kernels to be launched; others like it fill the gaps. A
large one keeps it busy: it runs alone. Near the end of a GPU's memory cuDNN takes other algorithms
without a word, and with them other bits, so that the trainers of a GPU stay well below it. Each has
a context and its own copy of the images; what is left of the budget is divided into equal parts,
and a network shares only if it fits into one. So no sum needs to be kept while they come and go.
"""

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from nnlc.campaign.campaign import CampaignNetwork
from nnlc.errors import DeviceError
from nnlc.networks import walk_network
from nnlc.networks.cost import GPU
from nnlc.networks.memory import image_bytes, library_bytes, training_bytes
from nnlc.networks.operations import training_work
from nnlc.ranks.idle_slots import Slot
from nnlc.system import messages

MOST_TRAINERS = 8
"""On one GPU, unless the user says otherwise: more add little but contexts."""
BUDGET = 0.8
"""Of a GPU's memory, for all its trainers together."""
LAUNCHES_SHARE = 0.5
"""Of a step's predicted time at least, in a network that is bound by launches."""


@dataclass(frozen=True, slots=True)
class GpuNeed:
    """What a network needs of a GPU."""

    memory_bytes: int
    """Beside what its trainer has for itself."""
    launch_bound: bool
    """Whether its steps wait for launches rather than for arithmetic."""


def predict_need(network: CampaignNetwork) -> GpuNeed:
    """Predicted, for a GPU."""
    spec, images = network.spec, network.images
    walk = walk_network(spec, images)
    in_all = training_bytes(walk, spec, images, "cuda")
    own = in_all - library_bytes("cuda") - image_bytes(images)
    step = training_work(walk, spec)
    launches = step.kernels * GPU.seconds_a_kernel
    return GpuNeed(own, launches >= LAUNCHES_SHARE * GPU.seconds(step))


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuMemory:
    """The memory of a GPU, and what is wanted of it; all in bytes."""

    device_bytes: int
    trainer_bytes: int
    """That each trainer has for itself: its context, and images of all sets."""
    largest_bytes: int
    """Of the network that needs most; idle trainers beside it keep what they have."""

    @property
    def budget(self) -> int:
        return int(BUDGET * self.device_bytes)

    @property
    def most(self) -> int:
        """Trainers that fit: at least one, since a lone one has the GPU to itself."""
        return max(1, (self.budget - self.largest_bytes) // self.trainer_bytes)

    @property
    def best(self) -> int:
        """Trainers that also leave half of the budget for networks."""
        return max(1, min(MOST_TRAINERS, self.most, self.budget // 2 // self.trainer_bytes))

    def part(self, trainers: int) -> int:
        """Bytes that a network may have which shares the GPU of so many trainers."""
        return self.budget // trainers - self.trainer_bytes


def gpu_memory(
    hellos: Mapping[int, messages.Message],
    networks: Sequence[CampaignNetwork],
    needs: Mapping[int, GpuNeed],
) -> GpuMemory:
    """The least that a rank's GPU has, and what these networks want of it."""
    return GpuMemory(
        device_bytes=min(hello["devices"][0]["memory_bytes"] for hello in hellos.values()),
        trainer_bytes=library_bytes("cuda") + sum(map(image_bytes, {n.images for n in networks})),
        largest_bytes=max((needs[n.index].memory_bytes for n in networks), default=0),
    )


@dataclass(frozen=True, slots=True)
class GpuPacking:
    """Who sits where, and which networks may sit together."""

    trainers: Mapping[int, int]
    """By rank."""
    gpus: Mapping[int, Hashable]
    """By rank, what its trainers share; a rank that is left out shares nothing."""
    packable: frozenset[int] = frozenset()
    """Indices of the networks that may run beside each other."""
    too_large: Mapping[int, str] = field(default_factory=dict)
    """By index of networks that no GPU here has the memory for, why."""

    @property
    def number_of_gpus(self) -> int:
        return len({self.gpu_of((rank, 0)) for rank in self.trainers})

    def gpu_of(self, slot: Slot) -> Hashable:
        """What a trainer trains on; slots with the same share it."""
        return self.gpus.get(slot[0], slot)


def pack_gpus(
    hellos: Mapping[int, messages.Message], device: str, networks: Sequence[CampaignNetwork]
) -> GpuPacking:
    """Decide for a whole job.

    Args:
        hellos: by rank, its `hello` message; `trainers` is what the user said, or None.
        device: that the job trains on, "cpu" or "cuda".
        networks: those that wait.

    Raises:
        DeviceError: more trainers on a GPU than fit into its memory.
    """
    if device == "cpu":  # one trainer a core: the user says how many, by ranks or by --trainers
        return GpuPacking({rank: hello["trainers"] or 1 for rank, hello in hellos.items()}, {})
    needs = {n.index: predict_need(n) for n in networks}
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
    """Decide who shares a GPU.

    Args:
        hellos: as for `pack_gpus`.
        memory: of each GPU, for ranks are alike.
        needs: by index, of each network that waits.

    Raises:
        DeviceError: more trainers on a GPU than fit into its memory.
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
    if most > memory.most:
        raise DeviceError(_too_many(most, memory))
    if most == 1:
        return GpuPacking(trainers, {})
    part = memory.part(most)
    packable = (i for i, need in needs.items() if need.launch_bound and need.memory_bytes <= part)
    return GpuPacking(trainers, gpus, frozenset(packable))


def gpu_of_rank(rank: int, hello: messages.Message) -> Hashable:
    """The GPU of a rank: the same for ranks that share one, as far as that can be seen."""
    uuid = hello["devices"][0].get("uuid", "unknown")
    return rank if uuid == "unknown" else (hello["host"], uuid)


def cores_of(hellos: Mapping[int, messages.Message]) -> dict[int, int]:
    """By rank, the cores that it has for itself; ranks that are bound to none divide the node's."""
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
    """Trainers of a rank whose user left it to us: several only where MPS lets them work at once.

    Without it they would take turns, and a GPU in exclusive mode would refuse the second.
    """
    if not hello["devices"][0].get("mps"):
        return 1
    return max(1, min(cores, memory.best // ranks))


def _too_many(trainers: int, memory: GpuMemory) -> str:
    return (
        f"{trainers} trainers do not fit on one GPU: each needs about "
        f"{memory.trainer_bytes / 1e9:.1f} GB, beside the {memory.largest_bytes / 1e9:.1f} GB of "
        f"the largest network, and together they may take {100 * BUDGET:.0f} % of its "
        f"{memory.device_bytes / 1e9:.1f} GB; start at most {memory.most}, by fewer ranks on it or "
        "with --trainers auto"
    )


def _too_large(need: GpuNeed, device_bytes: int) -> str:
    return (
        f"it needs about {need.memory_bytes / 1e9:.1f} GB of memory by prediction, images and "
        f"libraries not counted, and the GPU has {device_bytes / 1e9:.1f} GB: it was not tried; on "
        "a larger GPU 'nnlc retry' lets the next start try it"
    )
