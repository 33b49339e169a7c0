"""The link between ranks: MPI under a launcher, nothing at all without one.

The only file that imports mpi4py. No call here blocks or spins: messages are sent without
waiting and looked for between two short sleeps, since a busy core is a core stolen from a trainer.
What is to be sent to a rank is collected and goes as one MPI message, a line a message of ours.
"""

import os
import time
from abc import ABC, abstractmethod
from typing import Any

from nnlc.errors import LaunchError
from nnlc.system import messages

# Variables in which launchers tell a process its rank, the number of ranks and its rank on the
# node. Hydra's are those of mpich and Intel MPI, JSM's those of jsrun, PALS's those of HPE Cray.
OPEN_MPI = "Open MPI's mpirun"
_LAUNCHERS = {
    OPEN_MPI: (
        "OMPI_COMM_WORLD_RANK",
        "OMPI_COMM_WORLD_SIZE",
        "OMPI_COMM_WORLD_LOCAL_RANK",
    ),
    "jsrun": ("JSM_NAMESPACE_RANK", "JSM_NAMESPACE_SIZE", "JSM_NAMESPACE_LOCAL_RANK"),
    "PALS": ("PALS_RANKID", "PALS_SIZE", "PALS_LOCAL_RANKID"),
    "mpirun": ("PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID"),
    "srun": ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID"),
}

TAG = 1
LEAVE_SECONDS = 20.0
"""For every rank to reach the end, once all were told to."""
SHORTEST_SLEEP_SECONDS = 0.001
"""Sleep between two looks for messages of other ranks, just after one came or went."""
LONGEST_SLEEP_SECONDS = 0.032
"""The same when all has been silent for a while: each look takes some of a trainer's core."""
LONGEST_SLEEP_OF_OTHERS_SECONDS = 0.064
"""The same on the other ranks: rank 0 is asked at any time, but only answers."""
SINGLE_RANK_SLEEP_SECONDS = 0.5
"""The same where there are no others: trainers wake the agent by themselves."""
MOST_AT_ONCE = 64
"""So many MPI messages are taken before a rank looks at its own trainers and signals again."""


class Link(ABC):
    """This process's place among the ranks, and the messages between them."""

    rank: int
    ranks: int
    local_rank: int
    launcher: str | None = None
    """What started this process."""
    longest_sleep_seconds: float

    def __init__(self) -> None:
        self._waiting: dict[int, list[bytes]] = {}
        self._pause = 0.0

    def send(self, rank: int, message: messages.Message) -> None:
        """Have a message sent by the next `flush`."""
        self.send_line(rank, messages.encode(message))

    def send_line(self, rank: int, line: bytes) -> None:
        """The same for the line of a message."""
        self._waiting.setdefault(rank, []).append(line)

    def pause(self) -> float:
        """Seconds to sleep before the next look, the more the longer nothing came or went."""
        pause = 0.0 if self.rank in self._waiting else self._pause
        self._pause = min(max(2 * self._pause, SHORTEST_SLEEP_SECONDS), self.longest_sleep_seconds)
        return pause

    @abstractmethod
    def flush(self) -> None:
        """Send what was collected, without waiting."""

    @abstractmethod
    def receive(self) -> list[tuple[int, list[messages.Message]]]:
        """What has come, with the rank that sent it; all of it but in a flood."""

    @abstractmethod
    def leave(self, status: int) -> None:
        """Wait, asleep, until every rank leaves with this status: the last call."""

    @abstractmethod
    def abort(self, status: int) -> None:
        """End all ranks at once."""

    def _own_messages(self) -> list[tuple[int, list[messages.Message]]]:
        """What this rank has for itself."""
        lines = self._waiting.pop(self.rank, [])
        return [(self.rank, messages.decode_batch(b"".join(lines)))] if lines else []


class SingleRank(Link):
    """The only rank; messages to itself stay here."""

    rank, ranks, local_rank = 0, 1, 0
    longest_sleep_seconds = SINGLE_RANK_SLEEP_SECONDS

    def flush(self) -> None:
        pass

    def receive(self) -> list[tuple[int, list[messages.Message]]]:
        return self._own_messages()

    def leave(self, status: int) -> None:
        pass

    def abort(self, status: int) -> None:
        os._exit(status)


class MpiLink(Link):
    """One rank of several, over mpi4py; messages are bytes, never pickles."""

    def __init__(self, mpi: Any, local_rank: int, launcher: str) -> None:
        super().__init__()
        self._mpi = mpi
        self._world = mpi.COMM_WORLD
        self.rank, self.ranks = self._world.rank, self._world.size
        self.longest_sleep_seconds = (
            LONGEST_SLEEP_OF_OTHERS_SECONDS if self.rank else LONGEST_SLEEP_SECONDS
        )
        self.local_rank, self.launcher = local_rank, launcher
        self._under_way: list[tuple[Any, bytes]] = []

    def flush(self) -> None:
        for rank in self._waiting.keys() - {self.rank}:
            content = b"".join(self._waiting.pop(rank))  # kept until sent: MPI reads it later
            request = self._world.Isend([content, self._mpi.BYTE], dest=rank, tag=TAG)
            self._under_way.append((request, content))
            self._pause = 0.0

    def receive(self) -> list[tuple[int, list[messages.Message]]]:
        self._under_way = [(r, c) for r, c in self._under_way if not r.Test()]
        found = self._own_messages()
        status = self._mpi.Status()
        while len(found) < MOST_AT_ONCE:
            if not self._world.Iprobe(source=self._mpi.ANY_SOURCE, tag=TAG, status=status):
                break
            content = bytearray(status.Get_count(self._mpi.BYTE))
            source = status.Get_source()
            self._world.Recv([content, self._mpi.BYTE], source=source, tag=TAG)
            found.append((source, messages.decode_batch(content)))
        if found:
            self._pause = 0.0
        return found

    def leave(self, status: int) -> None:
        self.flush()
        everyone = self._world.Ibarrier()
        deadline = time.monotonic() + LEAVE_SECONDS
        while not everyone.Test():
            if time.monotonic() > deadline:
                self.abort(status)  # a rank is gone, or can't end
            self.receive()  # so that nobody's last message is left half sent
            time.sleep(self.pause())

    def abort(self, status: int) -> None:
        self._world.Abort(status)


def launcher_rank(environment: dict[str, str]) -> tuple[str, int, int, int] | None:
    """Launcher, rank, number of ranks and local rank as the environment tells; None without one."""
    for launcher, (rank, size, local) in _LAUNCHERS.items():
        try:
            found = int(environment[rank]), int(environment[size])
        except (KeyError, ValueError):
            continue
        # Slurm's own PMI tells mpich no rank on the node.
        node_rank = environment.get(local) or environment.get("SLURM_LOCALID", "")
        return launcher, *found, int(node_rank) if node_rank.isdigit() else found[0]
    return None


def connect() -> Link:
    """Join the other ranks, or be the only one where no launcher started this process.

    Raises:
        LaunchError: a launcher started several ranks that can't find each other.
    """
    told = launcher_rank(dict(os.environ))
    if told is None or told[2] == 1:
        alone = SingleRank()
        alone.launcher = told[0] if told else None
        return alone
    launcher, _, size, local_rank = told
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as problem:
        raise LaunchError(
            f"{launcher} started {size} ranks, but mpi4py can't be used here ({problem}); install "
            "it with pip install 'nnlc[mpi]', on a cluster against the site's MPI, or start one "
            "rank without the launcher"
        ) from None
    if MPI.COMM_WORLD.size != size:
        raise LaunchError(
            f"{launcher} started {size} ranks, but mpi4py sees {MPI.COMM_WORLD.size}: it is built "
            f"for another MPI ({MPI.Get_library_version().strip().splitlines()[0]}); use that "
            "MPI's own mpirun, or srun --mpi=pmi2"
        )
    return MpiLink(MPI, local_rank, launcher)
