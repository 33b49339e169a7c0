"""Data that the parts of the gatherer share: campaign, results folder, journal and display."""

import time
from collections.abc import Callable, Collection, Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nnlc.calibration.machines import ChosenMachine, machine_for
from nnlc.campaign.campaign import Campaign, CampaignNetwork
from nnlc.ranks.attempts import Attempts
from nnlc.ranks.backlog import Unfinished
from nnlc.ranks.leases import Leases
from nnlc.ranks.node_trouble import NodeTrouble
from nnlc.ranks.time_left import TimeLeft
from nnlc.ranks.waiting import Order
from nnlc.results.folder import ResultsFolder, checkpoints_in
from nnlc.results.history import Finish
from nnlc.results.journal import Journal
from nnlc.results.open_jobs import OpenJob
from nnlc.schedulers.site_values import Gpu
from nnlc.system import messages
from nnlc.system.hardware import main_memory_bytes
from nnlc.system.process import this_process

if TYPE_CHECKING:
    from nnlc.ranks.progress import Progress
    from nnlc.results.mixture import Mixture

GO_ON = "start the same command again to continue"
"""Advice after an unfinished job without a scheduler."""
GO_ON_IN_QUEUE = "the next job continues; if there is none, 'nnlc submit' starts one"
"""Advice after an unfinished job of a scheduler."""
SAMPLE = 4
"""Networks of the user's own family that are checked before a job's first network."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Data of one start of the worker, on rank 0."""

    campaign: Campaign
    work: Unfinished
    """Networks without a table when the job began."""
    finished: Sequence[tuple[CampaignNetwork, Finish]] = ()
    """Networks that earlier jobs finished, with their journal entries, the newest last."""
    results: ResultsFolder
    """Results folder, already opened."""
    mixture: "Mixture | None" = None
    """Versions of the arithmetic by which existing tables were trained; None if none is known."""
    source: str
    """Name or file of the campaign on the command line."""
    images_root: Path
    """Folder with the images."""
    device: str
    """Device that the user asked for: auto, cpu or cuda."""
    gpu: Gpu | None = None
    """GPU of the ranks, as the site file describes it; None if unknown."""
    ranks: int
    order: Order = "longest"
    of_scheduler: bool = False
    """True if a script of a scheduler's job has started the ranks."""
    only_preflight: bool = False
    """True to check ranks, images and folder, and then end."""
    attempts: Attempts
    leases: Leases
    """Leases of this job, already begun."""
    nodes: NodeTrouble
    time_left: TimeLeft
    journal: Journal
    last_event_time: str | None = None
    """Time of the newest event of earlier jobs; this job's events sort after it."""
    open_jobs: Sequence[OpenJob] = ()
    """Earlier jobs whose end is not in their journal."""
    progress: "Progress"
    """Display or log of the job."""
    clock: Callable[[], float] = time.monotonic
    """Clock in seconds."""

    @property
    def go_on(self) -> str:
        """Advice after an unfinished job."""
        return GO_ON_IN_QUEUE if self.of_scheduler else GO_ON

    @property
    def costed_networks(self) -> list[CampaignNetwork]:
        """Networks whose costs are asked for: those to train, and those whose times are known."""
        every = [*self.work.networks, *(network for network, _ in self.finished)]
        return list({network.index: network for network in every}.values())

    def configuration(self, device: str) -> messages.Message:
        """Return the "configure" message of every rank, without its number of trainers.

        Args:
            device: "cpu" or "cuda".
        """
        token = self.leases.token
        silence = None if self.only_preflight else self.nodes.silence_of_rank_0(token)
        return {
            "kind": "configure",
            "campaign": self.campaign.dump("json"),
            "images": str(self.images_root.absolute()),
            "results": str(self.results.path.absolute()),
            "checkpoints": str(self.results.checkpoints_folder.absolute()),
            "silence": silence,
            "device": device,
        }

    def machine_for(self, names: Collection[str], device: str) -> ChosenMachine:
        """Return the machine by which times on this job's devices are predicted.

        Args:
            names: names of the devices, as in the journal.
            device: "cpu" or "cuda".
        """
        return machine_for(self.results, names, "cuda" if device == "cuda" else "cpu", self.gpu)

    def begun_networks(self, device: str, too_large: Container[int]) -> list[messages.Message]:
        """Return the networks that have a checkpoint of earlier jobs, as messages for a trainer.

        Args:
            device: "cpu" or "cuda".
            too_large: indices of networks that don't fit into the memory of any device.
        """
        begun = checkpoints_in(self.results.checkpoints_folder)
        fitting = (network for network in self.work.networks if network.index not in too_large)
        left = (network for network in fitting if network.spec.id in begun)
        return [network.on(device).to_json() for network in left]

    def record_start(
        self, device: str, hellos: Mapping[int, messages.Message], trainers: Mapping[int, int]
    ) -> None:
        """Write into the journal that the job has begun.

        Args:
            device: "cpu" or "cuda".
            hellos: `hello` message of each rank.
            trainers: number of trainers of each rank.
        """
        ranks = [
            {"rank": r, **hello, "trainers": trainers[r]} for r, hello in sorted(hellos.items())
        ]
        about = {"device": device, "campaign": self.campaign.name, "after": self.last_event_time}
        if (family := self.campaign.family) is not None:
            about |= {"family": family.label, "code": family.code}
        self.journal.write("job", **about, process=this_process(), ranks=ranks)

    def give_up(self, reasons: Mapping[int, str]) -> None:
        """Record networks that are not tried, given the reasons by their indices."""
        for network in self.work.networks:
            if (reason := reasons.get(network.index)) is not None:
                self.journal.write("failure", id=network.spec.id, reason=reason, attempts=0)
                self.progress.failed(network, reason, final=True)

    def sample_to_check(self, device: str, too_large: Container[int]) -> list[messages.Message]:
        """Return networks of the user's own family, as messages for a trainer that checks them.

        They are `SAMPLE` networks, evenly spaced, without those that might fill the node's memory
        and so end the job; none if the family is the article's.

        Args:
            device: "cpu" or "cuda".
            too_large: indices of networks that don't fit into the memory of any device.
        """
        if self.campaign.family is None:
            return []
        fitting = [network for network in self.work.networks if network.index not in too_large]
        count = min(SAMPLE, len(fitting))
        chosen = [fitting[number * len(fitting) // count] for number in range(count)]
        room, settings = main_memory_bytes() // 2, self.campaign.training
        return [
            each.on(device).to_json()
            for each in chosen
            if each.family.memory_bytes(each.spec, each.images, settings, "cpu") <= room
        ]

    def tell_losses(self, message: messages.Message) -> None:
        """Report the checkpoints of earlier jobs that can't be used, as a trainer has found."""
        if not message["foreign"] and self.mixture is None:
            return
        from nnlc.upgrading.outlook import Outlook, start_lines  # few jobs need it

        outlook = Outlook.of(message)
        elsewhere = self.leases.held_by_others(each.id for each in outlook.foreign)
        for line in start_lines(
            outlook, self.mixture, self.work.done, self.results.path, elsewhere
        ):
            self.progress.message(line)
