"""Progress of a results folder, counted from its tables and its journal."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from nnlc.campaign.campaign import Campaign, CampaignNetwork
from nnlc.results.folder import ResultsFolder, checkpoints_in
from nnlc.results.history import History, Reached, read_history
from nnlc.results.inventory import Entry, State, inventory
from nnlc.results.makers import makers
from nnlc.results.mixture import Mixture, mixture_of
from nnlc.results.open_jobs import networks_under_way, unsaid_ends
from nnlc.results.readable_networks import readable_networks
from nnlc.system.files import ignored_lines
from nnlc.wording import counted


@dataclass(slots=True)
class DatasetStatus:
    """Number of a dataset's networks in each state."""

    done: int = 0
    under_way: int = 0
    waiting: int = 0
    unusable: int = 0
    """Networks whose table is damaged or foreign."""
    failed: int = 0
    rows: int = 0
    """Half epochs of finished tables, of networks under way and of saved ones."""
    stopped: int = 0
    """Number of done networks that the campaign's stop rule ended early."""
    saved: int = 0
    """Half epochs that the stop rule saved."""
    short: int = 0
    """Networks not done whose tables lack the epochs by which the campaign grew."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Network that was given up."""

    reason: str
    attempts: int
    """Number of failed attempts; 0 if unknown."""

    def __str__(self) -> str:
        times = f" after {counted(self.attempts, 'attempt')}" if self.attempts else ""
        return f"failed{times}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Status:
    """Progress of a results folder at one moment."""

    campaign: Campaign
    datasets: dict[str, DatasetStatus]
    failures: dict[str, Failure]
    """Networks that were given up, by ID in the campaign's order."""
    not_whole: dict[str, Entry]
    """Damaged and foreign tables by ID."""
    makers: list[tuple[str, int]]
    """Recorded devices and versions that made tables, each with its number of tables."""
    mixture: Mixture
    """Mixture of arithmetics among the tables."""
    ignored_lines: list[str]
    """Lines on files and folders of jobs that can't be read, and why."""
    unsaid_ends: list[str]
    """Lines on jobs that were killed or lost their node."""
    trouble: str | None
    """Last trouble of a job under way, such as a full disk."""
    networks: list[CampaignNetwork]
    without_code: str | None
    """Line on networks whose family's code can't be used."""
    history: History
    left: dict[str, Reached]
    """Points that the networks under way or waiting have reached, by ID."""


def read_reached(
    results: ResultsFolder,
    campaign: Campaign,
    history: History,
    under_way: Mapping[str, Mapping[str, Any]],
    entries: Mapping[str, Entry],
) -> dict[str, Reached]:
    """Return the points reached by networks under way, or with a checkpoint or kept weights."""
    there = checkpoints_in(results.checkpoints_folder)
    found = {id_: Reached(one.kept) for id_, one in entries.items() if one.kept}
    found |= {i: replace(one, saved=True) for i, one in history.saved.items() if i in there}
    for id_, record in under_way.items():
        now = Reached.from_event(record)
        found[id_] = replace(now, pace=now.pace or found.get(id_, now).pace)
    most = campaign.half_epochs  # a journal may be damaged
    return {i: replace(one, half_epochs=min(one.half_epochs, most)) for i, one in found.items()}


def read_status(results: ResultsFolder) -> Status:
    """Return the progress of a results folder; jobs may run in it meanwhile.

    A network is done if its table exists, whole or stopped. A network in training counts as under
    way, even if it failed before; any other failed network counts as failed until `nnlc retry`.

    Raises:
        ResultsError: this is no results folder.
    """
    campaign = results.campaign()
    history = read_history(results.journal_folder)
    under_way = networks_under_way(results.journal_folder, history.open_jobs)
    left: dict[str, Reached] = {}
    failures: dict[str, Failure] = {}
    finishes = []
    datasets: dict[str, DatasetStatus] = {}
    networks, without_code = readable_networks(results, campaign)
    found = inventory(results, campaign, networks, history.finishes)
    with_tables, not_whole, short = found.with_tables, found.not_whole, found.short
    reached = read_reached(results, campaign, history, under_way, found.entries)
    for network in networks:
        name, id_ = network.images.name, network.spec.id
        status = datasets.setdefault(name, DatasetStatus())
        status.short += id_ in short
        if id_ in with_tables:
            status.done += 1
            rows = with_tables[id_].half_epochs
            status.stopped += with_tables[id_].state is State.STOPPED
            status.saved += campaign.half_epochs - rows
            status.rows += rows
            if id_ in history.finishes:
                finishes.append(history.finishes[id_])
        elif id_ in not_whole:
            status.unusable += 1
        elif id_ in history.failures and id_ not in under_way:
            status.failed += 1
            failures[id_] = Failure(history.failures[id_], history.attempts.get(id_, 0))
        else:
            status.under_way += id_ in under_way
            status.waiting += id_ not in under_way
            left[id_] = reached.get(id_, Reached())
            status.rows += left[id_].half_epochs
    return Status(
        campaign=campaign,
        datasets=datasets,
        failures=failures,
        not_whole=not_whole,
        makers=makers(finishes),
        mixture=mixture_of(networks, campaign.training, history.finishes, with_tables),
        unsaid_ends=unsaid_ends(results.journal_folder, history.open_jobs),
        ignored_lines=ignored_lines(results.unusable_entries()),
        trouble=history.trouble if under_way else None,
        networks=networks,
        without_code=without_code,
        history=history,
        left=left,
    )
