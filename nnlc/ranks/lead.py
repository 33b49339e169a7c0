"""Start of rank 0: reads the campaign, opens its results folder, and finds the work left."""

import argparse
import os
import shlex
from typing import TYPE_CHECKING

from nnlc.campaign.array_split import networks_of_element
from nnlc.campaign.campaign import Campaign, load_campaign
from nnlc.console import flush_output, say, standard_output, stop_printing
from nnlc.errors import ExitStatus, ResultsError
from nnlc.ranks.agent import Agent
from nnlc.ranks.attempts import Attempts
from nnlc.ranks.backlog import find_unfinished
from nnlc.ranks.gatherer import Gatherer
from nnlc.ranks.job import Job
from nnlc.ranks.leases import Leases
from nnlc.ranks.mpi import OPEN_MPI, launcher_rank
from nnlc.ranks.node_trouble import NodeTrouble
from nnlc.ranks.progress import Progress
from nnlc.ranks.time_left import TimeLeft, seconds_left
from nnlc.results.folder import ResultsFolder
from nnlc.results.folder_costs import read_folder_costs
from nnlc.results.history import read_history
from nnlc.results.inventory import inventory, not_whole_lines
from nnlc.results.journal import Journal, NoJournal
from nnlc.results.paths import results_path
from nnlc.schedulers.site_values import Gpu
from nnlc.system.files import ignored_lines, why_unread
from nnlc.wording import all_of, counted, first_few

if TYPE_CHECKING:
    from nnlc.ranks.notifier import Notifier
    from nnlc.ranks.trial_folder import TrialFolder


def lead(agent: Agent, ranks: int, options: argparse.Namespace) -> "Notifier | TrialFolder | None":
    """Give rank 0's agent a gatherer, or stop all ranks if nothing is left to do.

    Returns:
        What finishes when all ranks have left: it tells the user of this job, if a command is to be
        told, or removes the folder that a preflight has made.

    Raises:
        NnlcError: the user must correct something.
    """
    campaign, results, trial = _opened(options)
    history = read_history(results.journal_folder)
    networks = list(campaign.networks())
    costs_trouble = read_folder_costs(results, networks)
    by_id = {network.spec.id: network for network in networks}
    name = f"campaign {campaign.name}"
    if options.elements > 1:
        networks = networks_of_element(campaign, networks, options.element, options.elements)
        name += f", element {options.element} of {options.elements}"
    notifier = None
    if (command := campaign.run.notify or options.notify) and not options.preflight:
        from nnlc.ranks.notifier import Notifier  # few jobs need it
        from nnlc.results.event_sender import EventSender

        sender = EventSender(command, results, campaign.name, results.ready)
        notifier = Notifier(sender, history.untold)
    found = inventory(results, campaign, networks, history.finishes)
    work = find_unfinished(networks, found, history.failures)
    warnings = [f"warning: {line}" for line in first_few(ignored_lines(results.unusable_entries()))]
    for line in [*warnings, *not_whole_lines(work.not_whole.values(), results.path)]:
        _tell(line)
    if not work.networks and not options.preflight:
        if not work.failed and not work.not_whole:
            _tell(f"{name}: {all_of(work.done, 'table')} in {results.path}")
            agent.stop_all(ExitStatus.DONE)
            return notifier
        _tell(f"{name}: nothing is left to train; {results.path} has {counted(work.done, 'table')}")
        if work.failed:
            _tell(
                f"{counted(work.failed, 'network')} failed: 'nnlc retry "
                f"{shlex.quote(str(results.path))}' lets the "
                "next start try them again"
            )
        agent.stop_all(ExitStatus.DONE_WITH_FAILURES)
        return notifier
    if costs_trouble:
        _tell(f"warning: {costs_trouble}; the networks are counted again")
    leases = Leases(results.leases_folder, results.ready)
    try:
        leases.begin()
    except OSError as problem:
        raise ResultsError(f"{results.leases_folder}: {why_unread(problem, 'written')}") from None
    mixture = None
    if history.finishes:
        from nnlc.results.mixture import mixture_of  # a first start doesn't need it

        mixture = mixture_of(networks, campaign.training, history.finishes, work.tables)
    kind = NoJournal if options.preflight else Journal
    journal = kind(results.journal_folder, results.ready)
    if notifier is not None:
        journal = notifier.journal(results.journal_folder, results.ready, options.notify_as)
    folder, run = results.journal_folder, campaign.run
    site = "" if options.preflight else options.site  # a preflight records nothing
    nodes = NodeTrouble(
        folder, journal, run, site, history.bad_nodes, tells_user=notifier is not None
    )
    nodes.begin()
    if options.begun is not None:
        about = {"job": options.job, "site": options.site, "begun": options.begun}
        journal.write("script", **about, nodes=options.nodes, ranks=ranks)
    log, launcher = standard_output(), launcher_rank(dict(os.environ))
    # Open MPI gives ranks a terminal even if its own output is a file.
    live = log.isatty() and not (launcher and launcher[0] == OPEN_MPI)
    agent.gatherer = Gatherer(
        Job(
            campaign=campaign,
            work=work,
            finished=[(by_id[i], f) for i, f in history.finishes.items() if i in by_id],
            results=results,
            mixture=mixture,
            source=options.campaign,
            images_root=options.images,
            device=options.device,
            gpu=Gpu.from_option(options.gpu) if options.gpu else None,
            ranks=ranks,
            order=options.order,
            of_scheduler=bool(options.job),
            attempts=Attempts(campaign.run.attempts, history.attempts),
            leases=leases,
            time_left=TimeLeft(seconds_left(options.time_left, os.environ), since=options.since),
            nodes=nodes,
            journal=journal,
            last_event_time=history.last_time,
            open_jobs=history.open_jobs,
            progress=Progress(name, campaign.half_epochs, log, work.kept, live=live),
            only_preflight=options.preflight,
        )
    )
    return trial or notifier


def _opened(
    options: argparse.Namespace,
) -> "tuple[Campaign, ResultsFolder, TrialFolder | None]":
    """Return the campaign, its results folder, made or checked, and what a preflight removes."""
    campaign = load_campaign(options.campaign, accept_code=options.accept_code or options.preflight)
    results = ResultsFolder(results_path(options.results, campaign.name))
    campaign = results.resolve(campaign)
    is_first_start, trial = not results.has_campaign, None
    if is_first_start and options.preflight:
        from nnlc.ranks.trial_folder import TrialFolder  # jobs don't need it

        results.check_usable(campaign)
        trial = TrialFolder(results.path)
    if options.accept_code:
        from nnlc.results.accepted_code import accept_code  # few starts need it

        for line in accept_code(results, campaign):
            _tell(line)
    results.open(campaign, any_code=options.preflight)
    if is_first_start:
        from nnlc.campaign.shared_ids import shared_ids  # other starts don't need it

        for line in shared_ids(options.campaign, campaign):
            _tell(line)
    return campaign, results, trial


def _tell(line: str) -> None:
    """Print a line; if that fails, continue without printing."""
    try:
        say(line)
        flush_output()
    except OSError:
        stop_printing(errors=False)
