"""How far a results folder is: counted from its tables, with the journal's word on the rest."""

from dataclasses import dataclass

from nnlc.journal import read_events, read_progress
from nnlc.results import ResultsFolder


@dataclass(slots=True)
class DatasetStatus:
    """Networks of one dataset by how far they are."""

    done: int = 0
    under_way: int = 0
    waiting: int = 0
    failed: int = 0
    rows: int = 0
    """Half epochs recorded so far, finished tables and networks under way together."""


@dataclass(frozen=True, slots=True)
class Status:
    """A results folder at one moment."""

    campaign: str
    half_epochs: int
    datasets: dict[str, DatasetStatus]
    failures: dict[str, str]
    """By ID, the reason."""


def read_status(results: ResultsFolder) -> Status:
    """Count; safe while a job runs. A network is done when its table stands.

    Raises:
        ResultsError: no results folder.
    """
    campaign = results.campaign()
    running = read_progress(results.journal_folder)
    failures = _failures(results)
    datasets: dict[str, DatasetStatus] = {}
    names: dict[str, set[str]] = {}
    for network in campaign.networks():
        name, id_ = network.images.name, network.spec.id
        if name not in names:
            folder = results.models_folder(network.images)
            names[name] = {path.stem for path in folder.glob("*.txt")}
        status = datasets.setdefault(name, DatasetStatus())
        if id_ in names[name]:
            failures.pop(id_, None)
            status.done += 1
            status.rows += campaign.half_epochs
        elif id_ in running:
            failures.pop(id_, None)
            status.under_way += 1
            status.rows += running[id_]["half_epochs"]
        elif id_ in failures:
            status.failed += 1
        else:
            status.waiting += 1
    return Status(campaign.name, campaign.half_epochs, datasets, failures)


def _failures(results: ResultsFolder) -> dict[str, str]:
    """Networks whose last word in the journal is a failure."""
    failures: dict[str, str] = {}
    for event in read_events(results.journal_folder):
        network = str(event.get("id"))
        if event["event"] == "failure":
            failures[network] = str(event.get("reason"))
        elif event["event"] in ("start", "finish"):
            failures.pop(network, None)
    return failures
