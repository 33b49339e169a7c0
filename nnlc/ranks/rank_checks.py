"""Checks that trainers make before a job's first network: images, folder, GPUs, own modules."""

from collections.abc import Container, Mapping

from nnlc.errors import FamilyError, NodeError
from nnlc.ranks.job import Job
from nnlc.ranks.preflight import by_value, gpu_of_rank
from nnlc.system import messages


class RankChecks:
    """Checks by one rank of each host, which sees images and folder, and by one of each GPU.

    One rank checks what is the same for all: networks that have a checkpoint, and modules of a
    sample of the networks, if the family is the user's own.

    Args:
        job: the job.
        hellos: `hello` message of each rank.
        device: "cpu" or "cuda".
        too_large: indices of networks that don't fit into the memory of any device.

    Attributes:
        messages: "check" messages by rank.
    """

    def __init__(
        self,
        job: Job,
        hellos: Mapping[int, messages.Message],
        device: str,
        too_large: Container[int],
    ) -> None:
        mark = str(job.results.make_mark(job.leases.token).absolute())
        self._hellos = dict(sorted(hellos.items()))
        self.messages: dict[int, messages.Message] = {}
        for first, *_ in by_value({r: h["host"] for r, h in self._hellos.items()}).values():
            self.messages[first] = {"kind": "check", "trainer": 0, "mark": mark}
        self.messages[min(self.messages)]["networks"] = job.begun_networks(device, too_large)
        if job.campaign.family is not None:
            sample = job.sample_to_check(device, too_large)
            self.messages[min(self.messages)]["sample"] = sample
            for rank in self._hellos:  # each must have loaded the family
                self.messages.setdefault(rank, {"kind": "check", "trainer": 0})
        gpus = by_value({r: gpu_of_rank(r, h) for r, h in self._hellos.items()})
        for first, *_ in gpus.values() if device == "cuda" else ():
            known = self.messages.setdefault(first, {"kind": "check", "trainer": 0})
            known["trains_twice"] = True
        self._missing = set(self.messages)

    @property
    def passed(self) -> bool:
        """True once all ranks have passed their checks."""
        return not self._missing

    def note(self, rank: int, checked: messages.Message, job: Job) -> None:
        """Note that a rank has made its checks.

        Raises:
            NodeError: its GPU did not pass.
            FamilyError: a module of the user's own family did not pass.
        """
        if (problem := checked.get("device_problem")) is not None:
            hello = self._hellos[rank]
            fact = hello["devices"][0]
            known = [f"{key.upper()} {fact[key]}" for key in ("pci", "uuid") if fact.get(key)]
            raise NodeError(
                f"rank {rank} on {hello['host']}: its GPU, {', '.join([fact['name'], *known])}, "
                f"did not pass its check: {problem}; look up its memory errors ('nvidia-smi -q -d "
                "ECC', 'rocm-smi --showrasinfo') and give the job another node; if all GPUs of "
                "this kind do the same, please report it",
                [hello["node"]],
            )
        if (seconds := checked.get("device_seconds")) is not None:
            job.journal.write("check", rank=rank, seconds=seconds)
        for line in checked.get("failing", ()):
            job.progress.message(f"warning: {line}")
        if (refused := checked.get("refused")) and (family := job.campaign.family) is not None:
            hint = f"correct its code; 'nnlc check-family {family.name}' tells more before a job"
            raise FamilyError("\n".join([*refused, hint]))
        self._missing.discard(rank)
