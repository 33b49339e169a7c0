"""Lines on a campaign's progress: saved networks, last event, and training time left."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from heapq import heapreplace
from math import inf

from nnlc.calibration.machines import machine_for
from nnlc.calibration.speed_correction import Kind, SpeedCorrection, size_class
from nnlc.campaign.campaign import Campaign, CampaignNetwork
from nnlc.families.network_family import NetworkFamily
from nnlc.networks import ImageSet, Specification
from nnlc.networks.machine import DeviceKind
from nnlc.networks.recipe import TrainingSection
from nnlc.networks.work import Work
from nnlc.results.folder import ResultsFolder
from nnlc.results.folder_costs import read_folder_costs, uncounted
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
    *,
    in_queue: bool = False,
) -> list[str]:
    """Return lines on a campaign.

    Args:
        results: the folder.
        campaign: its campaign.
        networks: networks of the campaign.
        history: content of its journal.
        left: points that networks without a table have reached.
        in_queue: True if the scheduler has a job of the folder, or may have one.
    """
    lines = []
    if saved := {id_: reached for id_, reached in left.items() if reached.saved}:
        points = [f"{id_} {reached.words}" for id_, reached in saved.items()]
        many = counted(len(saved), "network is", "networks are")
        lines.append(f"{many} saved in the middle: {some_of(points, _NAMED)}")
    if history.last_event:
        lines.append(f"last event, {history.last_event}")
    if not left:
        return [*lines, "nothing is left to train"]
    running = running_jobs(results.journal_folder, history.open_jobs)
    trainers = sum(job.trainers for job in running) or history.jobs.trainers
    seconds = training_left(results, campaign, networks, history, left, trainers)
    if not running:
        none = "no rank of a job in the queue has reported yet"
        lines.append(none if in_queue else "no job is running")
    if seconds is not None:
        time = f"about {duration(seconds)} of training left with {counted(trainers, 'trainer')}"
        lines.append(time if running else f"{time}, as the last job had")
    return lines


def training_left(
    results: ResultsFolder,
    campaign: Campaign,
    networks: Sequence[CampaignNetwork],
    history: History,
    left: Mapping[str, Reached],
    trainers: int,
) -> float | None:
    """Return the seconds that trainers need for the rest of a campaign, without pauses.

    None if costs are unknown, or if the folder has neither measurements nor a fitted machine.
    """
    times = training_times(results, campaign, networks, history, left) if trainers else None
    if times is None:
        return None
    ends = [0.0] * min(trainers, len(times.left))  # a journal may be damaged
    for seconds in sorted(times.left, reverse=True):  # jobs train the longest network first
        heapreplace(ends, ends[0] + seconds)
    return max(ends) if max(ends) < inf else None


@dataclass(frozen=True, slots=True)
class TrainingTimes:
    """Seconds of training of a campaign's networks, by one trainer each."""

    left: list[float]
    """Seconds left of each network without a table."""
    measured: float
    """Seconds of the networks with a table, on the devices of the last job."""
    predicted: float
    """Prediction for the same networks, without their measurements."""


def training_times(
    results: ResultsFolder,
    campaign: Campaign,
    networks: Sequence[CampaignNetwork],
    history: History,
    left: Mapping[str, Reached],
) -> TrainingTimes | None:
    """Return measured and predicted times of training.

    A network with measured half epochs keeps its pace. Others are predicted, and corrected by all
    measured networks. None if costs are unknown, or if the folder has neither measurements nor a
    fitted machine.
    """
    read_folder_costs(results, networks)
    if uncounted(networks):
        return None
    half_epochs, names = campaign.half_epochs, history.jobs.device_names
    device = history.jobs.device or "cuda"
    known = machine_for(results, names, device)
    done = {
        id_: finish.seconds_of_all(half_epochs) or 0.0
        for id_, finish in history.finishes.items()
        if finish.device in names
    }
    totals = done | {id_: half_epochs * one.pace for id_, one in left.items() if one.pace}
    if not (totals or known.fitted):
        return None
    correction = SpeedCorrection()
    predicted: dict[str, tuple[Kind, float]] = {}
    for network in networks:
        id_, images = network.spec.id, network.images
        if id_ in left or id_ in totals:
            own = campaign.training
            if id_ not in left and (finish := history.finishes.get(id_)):
                own = finish.settings_as_trained(network.spec, images, own, device)
            work = _half_epoch_work(network.family, network.spec, images, own, device)
            seconds = known.machine.seconds(work.times(half_epochs))
            predicted[id_] = kind, _ = Kind(images.name, size_class(seconds)), seconds
            correction.measure(network.index, kind, seconds, totals.get(id_, 0.0))
    rest = [
        (1 - reached.half_epochs / half_epochs)
        * (totals.get(id_) or correction.factor(predicted[id_][0]) * predicted[id_][1])
        for id_, reached in left.items()
    ]
    both = done.keys() & predicted.keys() - left.keys()
    return TrainingTimes(
        rest, sum(done[id_] for id_ in both), sum(predicted[id_][1] for id_ in both)
    )


@cache  # a watcher asks every few seconds
def _half_epoch_work(
    family: NetworkFamily,
    spec: Specification,
    images: ImageSet,
    settings: TrainingSection,
    device: DeviceKind,
) -> Work:
    return family.half_epoch_work(spec, images, settings, device)
