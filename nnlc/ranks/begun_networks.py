"""What earlier jobs have begun: which networks go on is said before the first one does."""

from collections.abc import Container

from nnlc.ranks.job import Job
from nnlc.results.paths import checkpoints_in
from nnlc.system import messages


def begun_networks(job: Job, device: str, too_large: Container[int]) -> list[messages.Message]:
    """Return the networks that are left, fit and have a checkpoint, whatever has written it.

    Args:
        job: what is shared.
        device: that the job trains on.
        too_large: indices of networks that no device has room for.
    """
    begun = checkpoints_in(job.results.checkpoints_folder)
    fitting = (network for network in job.work.networks if network.index not in too_large)
    left = (network for network in fitting if network.spec.id in begun)
    return [network.on(device).to_json() for network in left]


def tell_losses(job: Job, message: messages.Message) -> None:
    """Say what the job is going to lose, as a trainer has found it out."""
    if not message["foreign"] and job.mixture is None:
        return
    from nnlc.upgrading.outlook import Outlook, start_lines  # what few jobs need

    outlook = Outlook.of(message)
    elsewhere = job.leases.held_by_others(each.id for each in outlook.foreign)
    for line in start_lines(outlook, job.mixture, job.work.done, job.results.path, elsewhere):
        job.progress.message(line)
