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
"""One scheduler for each template in `launch/`: the module of the same name has it."""


def scheduler_named(name: object) -> Scheduler:
    """Return a scheduler by its name.

    Raises:
        ValueError: there is none of this name; the text names the known ones.
    """
    found = SCHEDULERS.get(name) if isinstance(name, str) else None
    if found is None:
        known = ", ".join(SCHEDULERS)
        raise ValueError(f"must be one of {known}; docs/extending.md says how to add one")
    return found


def queue_named(name: str) -> Queue:
    """Return a scheduler with a queue by its name.

    Raises:
        SchedulerError: there is none of this name; the text names the known ones.
    """
    found = SCHEDULERS.get(name)
    if not isinstance(found, Queue):
        known = ", ".join(queue.name for queue in queues())
        raise SchedulerError(f"{name!r} is no scheduler that this nnlc can ask; known: {known}")
    return found


def element_of(environment: Mapping[str, str], elements: int) -> int:
    """Return which element of a job array this job is, from 0, as its scheduler tells it.

    Raises:
        ValueError: none tells it, or the index stands for more than one element, or for none.
    """
    for scheduler in SCHEDULERS.values():
        if (element := scheduler.element(environment, elements)) is not None:
            return element
    raise ValueError("--elements needs --element I where no scheduler tells it")


def seconds_left(environment: Mapping[str, str]) -> float | None:
    """Return the seconds until this job ends, as its scheduler tells it; None if none does."""
    found = (each.seconds_left(environment) for each in SCHEDULERS.values())
    return next((seconds for seconds in found if seconds is not None), None)


def queues() -> list[Queue]:
    """Return the schedulers that have commands."""
    return [each for each in SCHEDULERS.values() if isinstance(each, Queue)]
