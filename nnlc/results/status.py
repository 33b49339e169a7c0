"""How far a results folder is: counted from its tables, with the journal's word on the rest."""

from dataclasses import dataclass

from nnlc.results.folder import ResultsFolder
from nnlc.results.history import makers, read_history
from nnlc.results.inventory import Entry, State, inventory
from nnlc.results.journal import read_progress
from nnlc.results.mixture import Mixture, mixture_of
from nnlc.results.open_jobs import unsaid_ends
from nnlc.system.files import ignored_lines
from nnlc.wording import counted


@dataclass(slots=True)
class DatasetStatus:
    """Networks of one dataset by how far they are."""

    done: int = 0
    under_way: int = 0
    waiting: int = 0
    not_whole: int = 0
    """Networks in whose table's place stands something else."""
    failed: int = 0
    rows: int = 0
    """Half epochs recorded so far, finished tables and networks under way together."""
    stopped: int = 0
    """Of those done, how many the campaign's stop rule ended early."""
    saved: int = 0
    """Half epochs that these were not trained for."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A network that was given up."""

    reason: str
    attempts: int
    """How many ended badly; 0 where that isn't known."""

    def __str__(self) -> str:
        times = f" after {counted(self.attempts, 'attempt')}" if self.attempts else ""
        return f"failed{times}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Status:
    """A results folder at one moment."""

    campaign: str
    half_epochs: int
    stop: str | None
    """The campaign's stop rule."""
    datasets: dict[str, DatasetStatus]
    failures: dict[str, Failure]
    """By ID, in the campaign's order."""
    not_whole: dict[str, Entry]
    """By ID: what stands in the place of tables and is none."""
    makers: list[tuple[str, int]]
    """The devices and versions that the standing tables come from, as far as the journal knows."""
    mixture: Mixture
    """Whether they come from one arithmetic."""
    ignored_lines: list[str]
    """What stands in the place of files of jobs and is none, and why."""
    unsaid_ends: list[str]
    """Of jobs that were killed or lost their node, in words."""
    trouble: str | None
    """What a job that is under way reported last, such as a disk that is full."""


def read_status(results: ResultsFolder) -> Status:
    """Count; safe while a job runs. A network is done when its table stands, and is whole.

    One under way is so whatever became of it before, and one that failed stays so until `retry`.

    Raises:
        ResultsError: no results folder.
    """
    campaign = results.campaign()
    running = read_progress(results.journal_folder)
    history = read_history(results.journal_folder)
    failures: dict[str, Failure] = {}
    finishes = []
    datasets: dict[str, DatasetStatus] = {}
    networks = list(campaign.networks())
    found = inventory(results, campaign, networks, history.finishes)
    standing, not_whole = found.standing, found.not_whole
    for network in networks:
        name, id_ = network.images.name, network.spec.id
        status = datasets.setdefault(name, DatasetStatus())
        if id_ in standing:
            status.done += 1
            rows = standing[id_].half_epochs
            status.stopped += standing[id_].state is State.STOPPED
            status.saved += campaign.half_epochs - rows
            status.rows += rows
            if id_ in history.finishes:
                finishes.append(history.finishes[id_])
        elif id_ in not_whole:
            status.not_whole += 1
        elif id_ in running:
            status.under_way += 1
            status.rows += max(0, min(running[id_]["half_epochs"], campaign.half_epochs))
        elif id_ in history.failures:
            status.failed += 1
            failures[id_] = Failure(history.failures[id_], history.attempts.get(id_, 0))
        else:
            status.waiting += 1
    return Status(
        campaign=campaign.name,
        half_epochs=campaign.half_epochs,
        stop=campaign.stop,
        datasets=datasets,
        failures=failures,
        not_whole=not_whole,
        makers=makers(finishes),
        mixture=mixture_of(networks, campaign.training, history.finishes, standing),
        unsaid_ends=unsaid_ends(
            results.journal_folder,
            history.open_jobs,
            [n.spec.id for n in networks if n.spec.id not in standing],
        ),
        ignored_lines=ignored_lines(results.unusable_entries()),
        trouble=history.trouble if running else None,
    )
