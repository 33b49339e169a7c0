"""The link between ranks: MPI under a launcher, nothing at all without one.

The only file that imports mpi4py. No call here blocks or spins: messages are sent without
waiting and looked for between two short sleeps, since a busy core is a core stolen from a trainer.
"""

import os
import sys
import time
from abc import ABC, abstractmethod
from collections import deque
from typing import Any

from nnlc import wire
from nnlc.errors import LaunchError

# Variables in which launchers tell a process its rank, the number of ranks and its rank on the
# node. Hydra's are those of mpich and Intel MPI, JSM's those of jsrun, PALS's those of HPE Cray.
_LAUNCHERS = {
    "Open MPI's mpirun": (
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
PART_SECONDS = 20.0
"""For every rank to reach the end, once all were told to."""
MESSAGE_SECONDS = 0.004
"""Sleep between two looks for messages of other ranks."""
ALONE_SECONDS = 0.5
"""The same where there are none: trainers wake the agent by themselves."""


class Link(ABC):
    """This process's place among the ranks, and the messages between them."""

    rank: int
    ranks: int
    local_rank: int
    launcher: str | None = None
    """What started this process."""
    poll_seconds: float

    @abstractmethod
    def send(self, rank: int, message: wire.Message) -> None:
        """Send without waiting."""

    @abstractmethod
    def receive(self) -> list[tuple[int, wire.Message]]:
        """Every message that has come, with the rank that sent it."""

    @abstractmethod
    def leave(self, status: int) -> None:
        """Wait, asleep, until every rank leaves with this status: the last call."""

    @abstractmethod
    def abort(self, status: int) -> None:
        """End all ranks at once."""


class Alone(Link):
    """The only rank; messages to itself stay here."""

    rank, ranks, local_rank = 0, 1, 0
    poll_seconds = ALONE_SECONDS

    def __init__(self) -> None:
        self._own: deque[tuple[int, wire.Message]] = deque()

    def send(self, rank: int, message: wire.Message) -> None:
        self._own.append((rank, message))

    def receive(self) -> list[tuple[int, wire.Message]]:
        messages = list(self._own)
        self._own.clear()
        return messages

    def leave(self, status: int) -> None:
        pass

    def abort(self, status: int) -> None:
        os._exit(status)


class Mpi(Link):
    """One rank of several, over mpi4py; messages are bytes, never pickles."""

    poll_seconds = MESSAGE_SECONDS

    def __init__(self, mpi: Any, local_rank: int, launcher: str) -> None:
        self._mpi = mpi
        self._world = mpi.COMM_WORLD
        self.rank, self.ranks = self._world.rank, self._world.size
        self.local_rank, self.launcher = local_rank, launcher
        self._own: deque[tuple[int, wire.Message]] = deque()
        self._under_way: list[tuple[Any, bytes]] = []

    def send(self, rank: int, message: wire.Message) -> None:
        if rank == self.rank:
            self._own.append((rank, message))
            return
        content = wire.encode(message)  # kept until sent: MPI reads it later
        request = self._world.Isend([content, self._mpi.BYTE], dest=rank, tag=TAG)
        self._under_way.append((request, content))

    def receive(self) -> list[tuple[int, wire.Message]]:
        self._under_way = [(r, c) for r, c in self._under_way if not r.Test()]
        messages = list(self._own)
        self._own.clear()
        status = self._mpi.Status()
        while self._world.Iprobe(source=self._mpi.ANY_SOURCE, tag=TAG, status=status):
            content = bytearray(status.Get_count(self._mpi.BYTE))
            source = status.Get_source()
            self._world.Recv([content, self._mpi.BYTE], source=source, tag=TAG)
            messages.append((source, wire.decode(bytes(content))))
        return messages

    def leave(self, status: int) -> None:
        everyone = self._world.Ibarrier()
        deadline = time.monotonic() + PART_SECONDS
        while not everyone.Test():
            if time.monotonic() > deadline:
                self.abort(status)  # a rank is gone, or can't end
            self.receive()  # so that nobody's last message is left half sent
            time.sleep(self.poll_seconds)

    def abort(self, status: int) -> None:
        sys.stderr.flush()
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
        alone = Alone()
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
    return Mpi(MPI, local_rank, launcher)
