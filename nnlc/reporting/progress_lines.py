"""Lines on a campaign's progress: saved networks, last event, and training time left."""

from collections.abc import Mapping, Sequence

from nnlc.calibration.training_left import training_left
from nnlc.campaign.campaign import Campaign, CampaignNetwork
from nnlc.results.folder import ResultsFolder
from nnlc.results.history import History, Reached
from nnlc.results.open_jobs import running_jobs
from nnlc.wording import counted, duration, some_of

_NAMED = 3
"""Most saved networks that are named."""


def progress_lines(
    results: ResultsFolder,
    campaign: Campaign,
    networks: Sequence[CampaignNetwork],
    history: History,
    left: Mapping[str, Reached],
    saved: Mapping[str, Reached],
) -> list[str]:
    """Return lines on what a campaign has left, for the terminal and the page.

    Args:
        results: the folder.
        campaign: its campaign.
        networks: networks of the campaign.
        history: history of the folder.
        left: points that networks have reached that are waiting or in training, by ID.
        saved: points in the checkpoints of those that are waiting, by ID.
    """
    lines = []
    if saved:
        points = [f"{id_} {_point(reached)}" for id_, reached in saved.items()]
        many = counted(len(saved), "network is", "networks are")
        lines.append(f"{many} saved in the middle: {some_of(points, _NAMED)}")
    if history.last_event:
        lines.append(f"last event, {history.last_event}")
    if not left:
        return [*lines, "nothing is left to train"]
    running = running_jobs(results.journal_folder, history.open_jobs)
    if not running:
        lines.append("no job is running")
    trainers = sum(job.trainers for job in running) or history.jobs.trainers
    seconds = training_left(results, campaign, networks, history, left, trainers)
    if seconds is not None:
        time = f"about {duration(seconds)} of training left with {counted(trainers, 'trainer')}"
        lines.append(time if running else f"{time}, as the last job had")
    return lines


def _point(reached: Reached) -> str:
    if not reached.half_epochs:
        return "in its first half epoch"
    return f"at epoch {reached.half_epochs / 2:g}"
