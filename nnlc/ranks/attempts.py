"""How often networks ended badly, and whether that tells of the network or of its rank."""

from collections.abc import Mapping
from dataclasses import dataclass

FAULTY_AFTER = 3
"""So many different networks in a row that end before their first half epoch: the rank is sick."""
LAST_RANK_FAULTY_AFTER = 10
"""The same for the last rank: without it the job ends, so it is given more chances."""

OUT_OF_MEMORY_WORDS = ("out of memory", "SIGKILL", "ALLOC_FAILED", "unable to find an engine")
"""Words of a bad end that a large network has on every device: the kernel's, cuBLAS's, cuDNN's."""


def is_out_of_memory(reason: str) -> bool:
    """Return whether a bad end was for want of memory."""
    return any(word in reason for word in OUT_OF_MEMORY_WORDS)


@dataclass(frozen=True, slots=True)
class FailedAttempt:
    """What a bad end comes to."""

    attempts: int
    """How many of this network ended badly, this one included."""
    final: bool
    """Whether it is given up."""


class Attempts:
    """Counts bad ends of networks.

    Args:
        limit: after so many a network is given up.
        before: by ID, how many there were in earlier jobs.
    """

    def __init__(self, limit: int, before: Mapping[str, int]) -> None:
        self._limit = limit
        self._counts = dict(before)
        self._streaks: dict[int, list[str]] = {}

    def count(self, id: str) -> int:
        """Bad ends so far."""
        return self._counts.get(id, 0)

    def record_failure(self, id: str, rank: int, *, suspicious: bool) -> FailedAttempt:
        """A network ended badly on a rank.

        Args:
            suspicious: it ended before its first half epoch, and not for want of memory, as
                every network does on a broken device.
        """
        attempts = self._counts[id] = self.count(id) + 1
        streak = self._streaks.setdefault(rank, [])
        if suspicious and id not in streak:
            streak.append(id)
        return FailedAttempt(attempts, attempts >= self._limit)

    def record_success(self, rank: int) -> None:
        """A rank finished a half epoch."""
        self._streaks.pop(rank, None)

    def faulty(self, rank: int, *, last: bool) -> list[str]:
        """The networks that tell of a sick rank; empty if it is well.

        Args:
            last: no other rank is at work. Unless it is, each is given an attempt back.
        """
        streak = self._streaks.get(rank, [])
        if len(streak) < (LAST_RANK_FAULTY_AFTER if last else FAULTY_AFTER):
            return []
        self._streaks.pop(rank)
        if not last:  # else nobody could tell the rank's fault from theirs, for ever
            for network in streak:
                self._counts[network] -= 1
        return streak
