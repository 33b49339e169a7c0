"""Counts of failed attempts, to distinguish networks that can't be trained from faulty ranks."""

from collections.abc import Mapping
from dataclasses import dataclass

FAULTY_AFTER = 3
"""A rank is faulty if this many different networks in a row fail before their first half epoch."""
LAST_RANK_FAULTY_AFTER = 10
"""`FAULTY_AFTER` for the last rank: larger, since the job ends without that rank."""

OUT_OF_MEMORY_WORDS = ("out of memory", "SIGKILL", "ALLOC_FAILED", "unable to find an engine")
"""Words by which torch, Linux, cuBLAS and cuDNN report a lack of memory."""


def is_out_of_memory(reason: str) -> bool:
    """Return True if an attempt failed for lack of memory."""
    return any(word in reason for word in OUT_OF_MEMORY_WORDS)


@dataclass(frozen=True, slots=True)
class FailedAttempt:
    """Consequence of a failed attempt."""

    attempts: int
    """Number of failed attempts at the network, this one included."""
    final: bool
    """True if the network is given up."""


class Attempts:
    """Number of failed attempts of each network, and networks that failed in a row on each rank.

    Args:
        limit: number of failed attempts after which a network is given up.
        before: number of failed attempts in earlier jobs, by network ID.
    """

    def __init__(self, limit: int, before: Mapping[str, int]) -> None:
        self._limit = limit
        self._counts = dict(before)
        self._streaks: dict[int, list[str]] = {}
        self._bugs: set[str] = set()

    def count(self, id: str) -> int:
        """Return the number of failed attempts at a network."""
        return self._counts.get(id, 0)

    def record_failure(
        self, id: str, rank: int, *, suspicious: bool, certain: bool = False
    ) -> FailedAttempt:
        """Count a failed attempt at a network on a rank.

        Args:
            suspicious: True if the attempt may be the rank's fault: it failed before its first
                half epoch, and not for lack of memory.
            certain: True if all further attempts would fail, as by the user's own code.
        """
        attempts = self._counts[id] = self.count(id) + 1
        streak = self._streaks.setdefault(rank, [])
        if suspicious and id not in streak:
            streak.append(id)
        return FailedAttempt(attempts, certain or attempts >= self._limit)

    def is_new_bug(self, traceback: str) -> bool:
        """Return True if no earlier traceback was of the same place."""
        place = traceback.rpartition("\n")[0]  # the text may differ for each network
        is_new = place not in self._bugs
        self._bugs.add(place)
        return is_new

    def record_success(self, rank: int) -> None:
        """Note that a rank has finished a half epoch."""
        self._streaks.pop(rank, None)

    def faulty(self, rank: int, *, last: bool) -> list[str]:
        """Return the networks whose failures in a row show that a rank is faulty, or none.

        These failures then no longer count against the networks, unless the rank is the last.

        Args:
            last: True if all other ranks are retired.
        """
        streak = self._streaks.get(rank, [])
        if len(streak) < (LAST_RANK_FAULTY_AFTER if last else FAULTY_AFTER):
            return []
        self._streaks.pop(rank)
        if not last:  # on the last rank networks must reach their limit, or the job never ends
            for network in streak:
                self._counts[network] -= 1
        return streak
