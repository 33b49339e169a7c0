"""Networks that earlier jobs have begun: which of them go on is told before the first one does."""

from dataclasses import asdict, replace

from nnlc import wire
from nnlc.campaign import CampaignNetwork
from nnlc.ranks.job import Job
from nnlc.results import checkpoints_in


def on_device(network: CampaignNetwork, device: str) -> CampaignNetwork:
    """Return a network as a job trains it on "cpu" or "cuda"."""
    return replace(network, spec=replace(network.spec, train_gpu=device == "cuda"))


def as_told(network: CampaignNetwork) -> wire.Message:
    """Return what a trainer must know of a network."""
    return {"spec": network.spec.to_json(), "image_set": asdict(network.images)}


def begun_networks(job: Job, device: str) -> list[wire.Message]:
    """Return those without a table that have a checkpoint, whatever has written it."""
    begun = checkpoints_in(job.results.checkpoints_folder)
    left = (network for network in job.work.networks if network.spec.id in begun)
    return [as_told(on_device(network, device)) for network in left]


def tell_losses(job: Job, message: wire.Message) -> None:
    """Say what a job will lose, before it does, as a trainer has found it out."""
    if not message["foreign"] and job.mixture is None:
        return
    from nnlc.upgrading.outlook import Outlook, start_lines  # what few jobs need

    outlook = Outlook.of(message)
    elsewhere = job.leases.elsewhere(each.id for each in outlook.foreign)
    for line in start_lines(outlook, job.mixture, job.work.done, job.results.path, elsewhere):
        job.watcher.message(line)
