"""`nnlc upgrade`: report what this nnlc can use of a results folder, and adapt campaign.toml."""

import shlex
from collections.abc import Iterator
from pathlib import Path

from nnlc import __version__
from nnlc.campaign.campaign import Campaign, CampaignNetwork
from nnlc.errors import FamilyError, NnlcError, ResultsError
from nnlc.families.arithmetic import (
    CHANGES,
    arithmetic_settings,
    is_kept,
    numbered_changes,
    version,
    with_new_choices,
)
from nnlc.families.registry import OtherCodeError, check_same_code, completed, naming_folder
from nnlc.results.accepted_code import failed_words, note_acceptance
from nnlc.results.campaign_file import FORMAT, FORMATS, Written
from nnlc.results.folder import ResultsFolder, checkpoints_in
from nnlc.results.history import History, read_history
from nnlc.results.inventory import Inventory, inventory, not_whole_lines
from nnlc.results.journal import read_events
from nnlc.results.mixture import mixture_of
from nnlc.results.open_jobs import running_jobs
from nnlc.results.readable_networks import readable_networks
from nnlc.system.files import ignored_lines
from nnlc.upgrading.outlook import Foreign, Outlook, in_hours
from nnlc.upgrading.queued import QueuedScripts, Standard, judge_queue
from nnlc.verification.verify_trainer import TrainingFailed, TrainingProcess
from nnlc.wording import counted, first_few


def upgrade(
    results: ResultsFolder,
    *,
    dry_run: bool = False,
    new_arithmetic: bool = False,
    accept_code: bool = False,
) -> Iterator[str]:
    """Report which tables, checkpoints and jobs this nnlc can use; rewrite campaign.toml if needed.

    Tables, checkpoints and the journal are never changed.

    Args:
        results: the folder.
        dry_run: True to rewrite nothing.
        new_arithmetic: True to train the networks without a table in the newest arithmetic, as in
            a new campaign, instead of the arithmetic that the campaign has kept.
        accept_code: True to go on with the code that the campaign's family has now.

    Yields:
        Lines for the user.

    Raises:
        ResultsError: this is no results folder, a newer nnlc has written its campaign.toml, or
            campaign.toml was edited; or campaign.toml must be rewritten, but a job runs in the
            folder, a queued job could not use the new file, or a table is damaged or foreign.
    """
    written = results.written()
    history = read_history(results.journal_folder)
    campaign = written.campaign
    if new_arithmetic:
        campaign = campaign.model_copy(update={"training": with_new_choices(campaign.training)})
    campaign, refusal = _with_code(results, campaign, accept_code=accept_code, dry_run=dry_run)
    other_code = campaign.family != written.campaign.family
    networks, warning = (
        readable_networks(results, campaign) if dry_run else (list(campaign.networks()), None)
    )
    tables = inventory(results, campaign, networks, history.finishes)
    done = tables.with_tables
    left = [n for n in networks if n.spec.id not in done]
    yield (
        f"{results.path}: campaign.toml is of nnlc {written.nnlc}; this is nnlc {__version__}, "
        f"arithmetic {version()}"
    )
    if warning:
        yield f"warning: {warning}"
    yield from _table_lines(campaign, networks, tables, history, results.path)
    device = _last_device(results)
    if warning:
        yield "checkpoints: can't be looked at without the family's code"
    else:
        yield from _checkpoint_lines(results, campaign, left, device)
    yield from _setting_lines(campaign, left, device or "cpu")
    todo = list(_to_rewrite(written, campaign))
    now = Standard(results, written.campaign, FORMATS[written.format])
    then = Standard(results, campaign, FORMATS[FORMAT]) if todo else now
    queued = judge_queue(now, then)
    yield from queued.lines()
    yield from ignored_lines(results.unusable_entries())
    if not todo:
        yield "to rewrite: nothing"
        return
    yield (
        f"to rewrite: {results.campaign_file}: {', '.join(todo)}; nnlc before {then.oldest} can't "
        "use the folder afterwards"
    )
    if dry_run and other_code and history.failures:
        yield f"  {failed_words(len(history.failures))}"
    obstacle = refusal or why_not_now(results, written, queued, "upgrade")
    if tables.not_whole and not obstacle:
        obstacle = (
            "not every table is whole (above): if campaign.toml was edited, put the old file back, "
            "else 'nnlc retry' first"
        )
    if dry_run:
        yield from [f"  not now: {obstacle}"] if obstacle else []
    elif obstacle:
        raise ResultsError(f"{results.path}: {obstacle}. Nothing was changed")
    else:
        results.rewrite(campaign)
        yield "rewritten"
        if other_code:
            yield from note_acceptance(results, campaign, written.campaign)


def _with_code(
    results: ResultsFolder, campaign: Campaign, *, accept_code: bool, dry_run: bool
) -> tuple[Campaign, str]:
    """Return a campaign with the code that its family has now, and why it can't be gone on with.

    Raises:
        FamilyError: that code can't be gone on with, and this is no dry run.
    """
    if campaign.family is None:
        return campaign, ""
    try:
        now = completed(campaign.family)
        with naming_folder(results.path):
            check_same_code(campaign.family, now)
    except OtherCodeError as problem:
        if not (accept_code or dry_run):
            raise
        refusal = "" if accept_code else str(problem)
        return campaign.model_copy(update={"family": now}), refusal
    except FamilyError as problem:
        if accept_code or not dry_run:
            raise
        return campaign, str(problem)
    return campaign, ""


def _table_lines(
    campaign: Campaign,
    networks: list[CampaignNetwork],
    tables: Inventory,
    history: History,
    path: Path,
) -> Iterator[str]:
    done = tables.with_tables
    goes_on = (
        f", and {counted(len(tables.short), 'network goes', 'networks go')} on from a shorter one"
    )
    more = goes_on if tables.short else ""
    yield f"tables: {len(done):,} of {len(networks):,} stay valid{more}"
    mixture = mixture_of(networks, campaign.training, history.finishes, done)
    if mixture.words:
        yield f"  {mixture.words}"
    yield from (f"  {line}" for line in not_whole_lines(tables.not_whole.values(), path))


def _checkpoint_lines(
    results: ResultsFolder, campaign: Campaign, left: list[CampaignNetwork], device: str | None
) -> Iterator[str]:
    """Yield lines on the networks with checkpoints: how many continue, and how many start again."""
    there = checkpoints_in(results.checkpoints_folder)
    begun = [n for n in left if n.spec.id in there]
    unread = results.strange_checkpoints()
    yield from ignored_lines(unread)
    if not begun:
        yield f"checkpoints: none{' that can be read' if unread else ''}"
        return
    try:
        process = TrainingProcess(campaign, Path("images"), "cuda", threads=1)
        try:
            kind = device or process.device
            asked = [network.on(kind).to_json() for network in begun]
            outlook = Outlook.of(process.look_at(asked, results.checkpoints_folder))
        finally:
            process.close()
    except TrainingFailed as problem:
        raise NnlcError(f"checkpoints can't be looked at: {problem}") from None
    apart = [_on_its_device(each, alike=kind == process.device) for each in outlook.foreign]
    pairs = zip(outlook.foreign, apart, strict=True)
    elsewhere = Outlook(0, tuple(each for each, one in pairs if not one.differences))
    lost = Outlook(0, tuple(each for each in apart if each.differences))
    yield f"checkpoints: {counted(outlook.go_on, 'network continues', 'networks continue')}"
    if elsewhere.foreign:
        where = ("continues where it was made", "continue where they were made")
        number = counted(len(elsewhere.foreign), *where)
        yield f"  {number}, not here: {elsewhere.reasons()}"
    if lost.foreign:
        number = counted(len(lost.foreign), "network starts again", "networks start again")
        yield f"  {number}, and {in_hours(lost.seconds)} of training are lost: {lost.reasons()}"
        yield from first_few(
            lost.foreign, write=lambda each: f"    {each.path}: {in_hours(each.seconds)}"
        )


def _on_its_device(foreign: Foreign, *, alike: bool) -> Foreign:
    """Return a checkpoint with only the differences that remain on the device that wrote it."""
    parts = ("device.",) if alike else ("device.", "versions.cu", "settings.")
    kept = [each for each in foreign.differences if not each[0].startswith(parts)]
    return foreign._replace(differences=tuple(kept))


def _last_device(results: ResultsFolder) -> str | None:
    """Return the kind of device of the last job, "cpu" or "cuda"; None if not recorded."""
    device = None
    for event in read_events(results.journal_folder, {"job"}):
        device = event.get("device")
    return device if device in ("cpu", "cuda") else None


def _setting_lines(campaign: Campaign, left: list[CampaignNetwork], device: str) -> Iterator[str]:
    """Yield a line per change of arithmetic: networks that it touches, and a setting to undo it."""
    if not CHANGES:
        yield "settings: none is needed, as no bit has changed since nnlc 0.1.0"
        return
    yield "settings:"
    for number, change in numbered_changes():
        settings = campaign.training
        touched = sum(change.touches(n.spec, n.images, settings, device) for n in left)
        whom = f"{touched:,} of the {counted(len(left), 'network')} left"
        about = f"  arithmetic {number} (nnlc {change.release}: {change.what}) touches {whom}"
        if change.keeps is None:
            yield f"{about}; no setting keeps their old bits"
            continue
        name, old = change.keeps
        value = getattr(settings, name)
        if is_kept(number, settings):
            yield f'{about}; training.{name} = "{value}" keeps their old bits'
        elif not touched:
            yield about
        else:
            yield f'{about}; training.{name} is "{value}"; "{old}" would have kept their old bits'


def _to_rewrite(written: Written, campaign: Campaign) -> Iterator[str]:
    """Yield, in words, each value that must change in campaign.toml."""
    if written.format < FORMAT:
        yield f"format {written.format} becomes {FORMAT}"
    for name in sorted(arithmetic_settings()):
        before, now = (getattr(c.training, name) for c in (written.campaign, campaign))
        if before != now:
            yield f'training.{name} = "{before}" becomes "{now}"'
    if campaign.family != written.campaign.family:
        yield "the code of the family becomes the present one"


def why_not_now(
    results: ResultsFolder, written: Written, queued: QueuedScripts, command: str
) -> str | None:
    """Return why a command may not rewrite campaign.toml now; None if it may.

    A job runs in the folder, or a queued job would no longer fit.
    """
    # Read again: looking at checkpoints and tables may have taken minutes.
    journal = results.journal_folder
    for job in running_jobs(journal, read_history(journal).open_jobs):
        return f"{job.words} is at work there; let it end, then {command}"
    if queued.hindered:
        return (
            f"{'; '.join(first_few(queued.hindered))}; let them end, or 'nnlc cancel "
            f"{shlex.quote(str(results.path))}' ends them all; then {command}, and submit again"
        )
    return None if results.written() == written else f"campaign.toml was rewritten; {command} again"
