"""All schedulers that nnlc knows, by their names in a site file."""

from collections.abc import Mapping
from importlib import import_module

from nnlc.errors import SchedulerError
from nnlc.schedulers.scheduler import Queue, Scheduler
from nnlc.system.shipped import shipped_folder

SCHEDULERS: dict[str, Scheduler] = {
    name: import_module(f"nnlc.schedulers.{name}").SCHEDULER
    for path in sorted(shipped_folder("launch").glob("*.sh.j2"))
    if (name := path.name.removesuffix(".sh.j2")) != "base"
}
"""Scheduler of each template in `launch/`, from the module of the same name."""


def scheduler_named(name: object) -> Scheduler:
    """Return a scheduler by its name.

    Raises:
        ValueError: the name is unknown; the message lists the known ones.
    """
    found = SCHEDULERS.get(name) if isinstance(name, str) else None
    if found is None:
        known = ", ".join(SCHEDULERS)
        raise ValueError(f"must be one of {known}; docs/extending.md says how to add one")
    return found


def queue_named(name: str) -> Queue:
    """Return a scheduler with a queue by its name.

    Raises:
        SchedulerError: the name is unknown; the message lists the known ones.
    """
    found = SCHEDULERS.get(name)
    if not isinstance(found, Queue):
        known = ", ".join(queue.name for queue in queues())
        raise SchedulerError(
            f"{name!r} is no scheduler with a queue that this nnlc knows; known: {known}"
        )
    return found


def element_of(environment: Mapping[str, str], elements: int) -> int:
    """Return this job's element of a job array, from 0, from its scheduler's variables.

    Raises:
        ValueError: no scheduler sets an index, or the index is ambiguous or out of range.
    """
    for scheduler in SCHEDULERS.values():
        if (element := scheduler.element(environment, elements)) is not None:
            return element
    raise ValueError("--elements needs --element I if no scheduler sets an index")


def seconds_left(environment: Mapping[str, str]) -> float | None:
    """Return the seconds until this job ends, from its scheduler's variables, or None."""
    found = (each.seconds_left(environment) for each in SCHEDULERS.values())
    return next((seconds for seconds in found if seconds is not None), None)


def queues() -> list[Queue]:
    """Return the schedulers with a queue."""
    return [each for each in SCHEDULERS.values() if isinstance(each, Queue)]
