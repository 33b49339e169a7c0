"""Messages between ranks: by MPI under a launcher, within the process otherwise.

Only this module imports mpi4py. No call blocks or spins, since trainers need all cores: sends do
not wait, and the agent sleeps between two polls. Messages to one rank are collected and sent as
one MPI message, one line each.
"""

import os
import time
from typing import Any

from nnlc.errors import LaunchError
from nnlc.system import messages

# Environment variables in which each launcher gives rank, number of ranks and rank on the node.
# PMI_* come from Hydra (MPICH, Intel MPI) and HPE Cray, JSM_* from jsrun, PALS_* from HPE Cray.
OPEN_MPI = "Open MPI's mpirun"
_LAUNCHERS = {
    OPEN_MPI: (
        "OMPI_COMM_WORLD_RANK",
        "OMPI_COMM_WORLD_SIZE",
        "OMPI_COMM_WORLD_LOCAL_RANK",
    ),
    "jsrun": ("JSM_NAMESPACE_RANK", "JSM_NAMESPACE_SIZE", "JSM_NAMESPACE_LOCAL_RANK"),
    "PALS": ("PALS_RANKID", "PMI_SIZE", "PALS_LOCAL_RANKID"),
    "mpirun": ("PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID"),
    "srun": ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID"),
}

TAG = 1
LEAVE_SECONDS = 20.0
"""Time that all ranks have to reach the final barrier."""
SHORTEST_SLEEP_SECONDS = 0.001
"""Sleep between two polls for messages just after one was sent or received."""
LONGEST_SLEEP_SECONDS = 0.032
"""Sleep between two polls on rank 0 after a longer silence: each poll takes processor time from
trainers."""
LONGEST_SLEEP_OF_OTHERS_SECONDS = 0.064
"""Sleep between two polls on other ranks after a longer silence: rank 0 only answers messages."""
SINGLE_RANK_SLEEP_SECONDS = 0.5
"""Longest sleep of a single rank: its trainers' messages wake it earlier."""
MOST_AT_ONCE = 64
"""MPI messages that a rank receives before it attends to its own trainers and signals again."""


class Link:
    """Connection of this process to all ranks of its job, itself included.

    By itself it is the link of a job's only rank: messages stay in the process.
    """

    rank, ranks, local_rank = 0, 1, 0
    launcher: str | None = None
    """Program that started this rank, such as "srun"; None without one."""
    longest_sleep_seconds = SINGLE_RANK_SLEEP_SECONDS

    def __init__(self) -> None:
        self._waiting: dict[int, list[bytes]] = {}
        self._pause = 0.0

    def send(self, rank: int, message: messages.Message) -> None:
        """Queue a message for the next `flush`."""
        self.send_line(rank, messages.encode(message))

    def send_line(self, rank: int, line: bytes) -> None:
        """Queue an encoded message for the next `flush`."""
        self._waiting.setdefault(rank, []).append(line)

    def pause(self) -> float:
        """Return the seconds to sleep before the next poll; they double while nothing happens."""
        pause = 0.0 if self.rank in self._waiting else self._pause
        self._pause = min(max(2 * self._pause, SHORTEST_SLEEP_SECONDS), self.longest_sleep_seconds)
        return pause

    def flush(self) -> None:
        """Send the queued messages to other ranks, without waiting."""

    def receive(self) -> list[tuple[int, list[messages.Message]]]:
        """Return the sender and content of at most `MOST_AT_ONCE` received MPI messages."""
        lines = self._waiting.pop(self.rank, [])
        return [(self.rank, messages.decode_batch(b"".join(lines)))] if lines else []

    def leave(self, status: int) -> None:
        """Wait until every rank has called this, as its last call."""

    def abort(self, status: int) -> None:
        """End all ranks immediately with this exit status."""
        os._exit(status)


class MpiLink(Link):
    """Link of one rank among several, by mpi4py; messages are bytes, never pickles."""

    def __init__(self, mpi: Any, local_rank: int, launcher: str) -> None:
        super().__init__()
        self._mpi = mpi
        self._world = mpi.COMM_WORLD
        self.rank, self.ranks = self._world.rank, self._world.size
        self.longest_sleep_seconds = (
            LONGEST_SLEEP_OF_OTHERS_SECONDS if self.rank else LONGEST_SLEEP_SECONDS
        )
        self.local_rank, self.launcher = local_rank, launcher
        self._sends: list[tuple[Any, bytes]] = []

    def flush(self) -> None:
        for rank in self._waiting.keys() - {self.rank}:
            content = b"".join(self._waiting.pop(rank))  # kept below: MPI may read it later
            request = self._world.Isend([content, self._mpi.BYTE], dest=rank, tag=TAG)
            self._sends.append((request, content))
            self._pause = 0.0

    def receive(self) -> list[tuple[int, list[messages.Message]]]:
        self._sends = [(r, c) for r, c in self._sends if not r.Test()]
        found = super().receive()
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
                self.abort(status)  # a rank is dead or hangs
            self.receive()  # lets the other ranks complete their last sends
            time.sleep(self.pause())

    def abort(self, status: int) -> None:
        self._world.Abort(status)


def launcher_rank(environment: dict[str, str]) -> tuple[str, int, int, int] | None:
    """Return launcher, rank, number of ranks and rank on the node; None without a launcher."""
    for launcher, (rank, size, local) in _LAUNCHERS.items():
        try:
            found = int(environment[rank]), int(environment[size])
        except (KeyError, ValueError):
            continue
        # Slurm's PMI sets no rank on the node for MPICH.
        node_rank = environment.get(local) or environment.get("SLURM_LOCALID", "")
        return launcher, *found, int(node_rank) if node_rank.isdigit() else found[0]
    return None


def connect() -> Link:
    """Return this rank's link: `Link` without a launcher or with one rank, else `MpiLink`.

    Raises:
        LaunchError: a launcher started several ranks, but mpi4py is missing or sees another number.
    """
    told = launcher_rank(dict(os.environ))
    if told is None or told[2] == 1:
        alone = Link()
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
