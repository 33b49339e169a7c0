"""Networks with checkpoints of earlier jobs; a job first reports which of them can continue."""

from collections.abc import Container

from nnlc.ranks.job import Job
from nnlc.results.folder import checkpoints_in
from nnlc.system import messages


def begun_networks(job: Job, device: str, too_large: Container[int]) -> list[messages.Message]:
    """Return the job's networks that have a checkpoint, as messages for a trainer.

    Args:
        job: this job.
        device: "cpu" or "cuda".
        too_large: indices of networks that don't fit into the memory of any device.
    """
    begun = checkpoints_in(job.results.checkpoints_folder)
    fitting = (network for network in job.work.networks if network.index not in too_large)
    left = (network for network in fitting if network.spec.id in begun)
    return [network.on(device).to_json() for network in left]


def tell_losses(job: Job, message: messages.Message) -> None:
    """Report the checkpoints of earlier jobs that can't be used, as a trainer has found."""
    if not message["foreign"] and job.mixture is None:
        return
    from nnlc.upgrading.outlook import Outlook, start_lines  # few jobs need it

    outlook = Outlook.of(message)
    elsewhere = job.leases.held_by_others(each.id for each in outlook.foreign)
    for line in start_lines(outlook, job.mixture, job.work.done, job.results.path, elsewhere):
        job.progress.message(line)
