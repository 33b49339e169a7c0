"""Training time that a campaign has left, from the seconds that its journal knows."""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from heapq import heapreplace

from nnlc.calibration.machines import machine_for
from nnlc.calibration.speed_correction import Kind, SpeedCorrection, size_class
from nnlc.campaign.campaign import Campaign, CampaignNetwork
from nnlc.networks import ImageSet, NetworkSpec, walk_network
from nnlc.networks.cost import half_epoch_work
from nnlc.networks.work import Work
from nnlc.results.folder import ResultsFolder
from nnlc.results.history import History, Reached

REMEMBERED_NETWORKS = 50
"""Networks of each image set, the newest of earlier jobs, from whose times to learn."""


def training_left(
    results: ResultsFolder,
    campaign: Campaign,
    networks: Sequence[CampaignNetwork],
    history: History,
    left: Mapping[str, Reached],
    trainers: int,
) -> float | None:
    """Return the seconds that trainers need for the rest of a campaign, without pauses.

    A network with measured half epochs keeps its pace. Others are predicted, and corrected by
    measured networks. None if the folder has neither measurements nor a fitted machine.

    Args:
        results: the folder.
        campaign: its campaign.
        networks: networks of the campaign.
        history: history of the folder.
        left: points that networks without a table have reached, by ID.
        trainers: number of trainers.
    """
    names = history.jobs.device_names
    known = machine_for(results, names, history.jobs.device or "cuda")
    paces = _paces(campaign, networks, history, left)
    if not trainers or not (paces or known.fitted):
        return None
    correction = SpeedCorrection()
    predicted: dict[str, tuple[Kind, float]] = {}
    for network in networks:
        id_ = network.spec.id
        if id_ in left or id_ in paces:
            seconds = known.machine.seconds(_half_epoch_work(network.spec, network.images))
            kind = Kind(network.images.name, size_class(campaign.half_epochs * seconds))
            predicted[id_] = kind, seconds
            correction.measure(network.index, kind, seconds, paces.get(id_, 0.0))
    ends = [0.0] * trainers
    rest = [
        (campaign.half_epochs - reached.half_epochs)
        * (paces.get(id_) or correction.factor(predicted[id_][0]) * predicted[id_][1])
        for id_, reached in left.items()
    ]
    for seconds in sorted(rest, reverse=True):  # jobs train the longest network first
        heapreplace(ends, ends[0] + seconds)
    return max(ends)


def _paces(
    campaign: Campaign,
    networks: Sequence[CampaignNetwork],
    history: History,
    left: Mapping[str, Reached],
) -> dict[str, float]:
    """Return measured seconds of a half epoch on the last job's devices, by ID."""
    images = {network.spec.id: network.images.name for network in networks}
    paces = {id_: reached.pace for id_, reached in left.items() if reached.pace}
    count: Counter[str] = Counter()
    for id_, finish in reversed(history.finishes.items()):
        seconds = finish.seconds_of_all(campaign.half_epochs)
        if id_ not in images or not seconds or finish.device not in history.jobs.device_names:
            continue
        count[images[id_]] += 1
        if count[images[id_]] <= REMEMBERED_NETWORKS:
            paces.setdefault(id_, seconds / campaign.half_epochs)
    return paces


@cache  # a watcher asks every few seconds
def _half_epoch_work(spec: NetworkSpec, images: ImageSet) -> Work:
    return half_epoch_work(walk_network(spec, images), spec, images)
