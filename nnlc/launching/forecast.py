"""What every network of a campaign will take at a site, before an hour is spent.

    seconds = sum over what a network asks of (count / what the GPU does of that in a second)
              * measured / predicted

What the GPU does comes from the site file's peaks and its assumed efficiency, or from the results
folder, once 'nnlc calibrate' has fitted it there. The last factor is 1 until the folder's journal
has measured seconds from this kind of GPU: it makes up for what the model misses.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from nnlc.calibration.machines import FittedMachine, fitted_machines
from nnlc.campaign.campaign import Campaign, CampaignNetwork
from nnlc.errors import SiteError
from nnlc.networks import walk_network
from nnlc.networks.cost import (
    GPU,
    Machine,
    gpu_machine,
    half_epoch_work,
    training_operations,
)
from nnlc.networks.memory import training_bytes
from nnlc.results.history import Finish, read_history
from nnlc.results.inventory import inventory
from nnlc.results.paths import ResultsFolder
from nnlc.schedulers.site import Gpu, Site
from nnlc.wording import counted

_COPY_SHARE = 0.8
"""Of a memory's peak, what copies are assumed to reach."""
_OPERATIONS_A_BYTE = 16
"""Of a GPU whose site file says nothing of its memory's speed: between those of V100 and A100."""
_SPREAD = (0.1, 0.9)
"""Between these quantiles lie the ratios that a spread names."""


@dataclass(frozen=True, slots=True)
class NetworkForecast:
    """One network at a site."""

    network: CampaignNetwork
    seconds: float
    """On one of the site's GPUs, from the first step to the last."""
    nominal_seconds: float
    """On the nominal GPU: by these, networks are shared out and handed out."""
    operations: int
    parameters: int
    memory_bytes: int
    """On the GPU, predicted: at the worst moment, with its images and libraries."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What a journal's seconds say of the prediction."""

    networks: int
    """That were finished on this kind of GPU."""
    ratio: float
    """Measured over predicted, of their sums: what a long network says counts for more."""
    low: float
    high: float
    """Nine in ten of the single ratios are above the one, nine in ten below the other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """A whole campaign at a site."""

    campaign: Campaign
    site: Site
    gpu: Gpu
    networks: tuple[NetworkForecast, ...]
    """All of them; each stands where its index says."""
    waiting: frozenset[int]
    """Indices of those without a table that have not failed."""
    done: int
    failed: int
    measured: Measured | None
    fitted: FittedMachine | None = None
    """What the results folder knows of this GPU."""
    trouble: str | None = None
    """Why what it knows can't be read."""
    not_whole: int = 0
    """Networks whose table's place is taken by something else."""

    @property
    def left(self) -> list[NetworkForecast]:
        """The networks that are still to be trained, by index."""
        return [self.networks[index] for index in sorted(self.waiting)]

    def hand_out_order(self, indices: Iterable[int]) -> list[int]:
        """Of these networks those that wait, in the order in which ranks get them."""
        left = (index for index in indices if index in self.waiting)
        return sorted(left, key=lambda index: (-self._seconds(index), index))

    def _seconds(self, index: int) -> float:
        """By what a job orders networks: it has the machine of its results folder, or the nominal.

        What it learns as it runs is not foreseen.
        """
        found = self.networks[index]
        return found.seconds if self.fitted else found.nominal_seconds


def forecast_campaign(campaign: Campaign, site: Site, results: ResultsFolder) -> Forecast:
    """Predict every network of a campaign, 6,000 in about 5 s.

    Args:
        campaign: whose networks.
        site: with its `[gpu]`.
        results: says what is done, what has failed, and what networks took; one that is not
            there says nothing. How far networks under way are is not looked at.

    Raises:
        SiteError: the site file says nothing of its GPU.
        ResultsError: the folder belongs to another campaign, or can't be read.
    """
    gpu = _gpu_of(site)
    if results.has_campaign:
        campaign = results.resolve(campaign)
        results.check_same(campaign)
    machines, trouble = fitted_machines(results)
    fitted = next((found for found in machines if is_this_gpu(gpu.model, found.name)), None)
    machine = fitted.machine if fitted else nominal_machine(gpu)
    networks = [_forecast(n, campaign.epochs, machine) for n in campaign.networks()]
    history = read_history(results.journal_folder)
    measured = _measure(networks, history.finishes, campaign.half_epochs, gpu.model)
    if measured:
        networks = [replace(f, seconds=measured.ratio * f.seconds) for f in networks]
    tables = inventory(results, campaign, [f.network for f in networks], history.finishes)
    nothing = tables.missing
    missing = [f.network for f in networks if f.network.spec.id in nothing]
    waiting = frozenset(n.index for n in missing if n.spec.id not in history.failures)
    return Forecast(
        campaign=campaign,
        site=site,
        gpu=gpu,
        networks=tuple(networks),
        waiting=waiting,
        done=len(tables.standing),
        not_whole=len(tables.not_whole),
        failed=len(missing) - len(waiting),
        measured=measured,
        fitted=fitted,
        trouble=trouble,
    )


def not_whole_words(forecast: Forecast) -> str:
    """Say how many networks wait for `nnlc retry`, to stand after those that failed."""
    return f", {counted(forecast.not_whole, 'table')} not whole" if forecast.not_whole else ""


def nominal_machine(gpu: Gpu) -> Machine:
    """A site's GPU by its peaks and the share of them that training is assumed to reach."""
    peak = 1e12 * gpu.fp32_teraflops
    gigabytes = gpu.memory_gigabytes_per_second
    return gpu_machine(
        operations_per_second=peak * gpu.efficiency,
        bytes_per_second=_COPY_SHARE
        * (1e9 * gigabytes if gigabytes else peak / _OPERATIONS_A_BYTE),
    )


def is_this_gpu(model: str, device: str) -> bool:
    """Whether a device's name means a site's GPU.

    The first word with a digit in it is the model; the rest differs between those who write it, as
    in "NVIDIA V100 (SXM2, 16 GB)" and "Tesla V100-SXM2-16GB".
    """
    wanted, there = (re.findall(r"[a-z0-9]+", text.lower()) for text in (model, device))
    names = [word for word in wanted if any(c.isdigit() for c in word)]
    return names[0] in there if names else wanted == there


def _gpu_of(site: Site) -> Gpu:
    if site.gpu is None:
        raise SiteError(
            f"site {site.name}, table [gpu]: missing, so nothing can be predicted; write a site "
            f"file with\n"
            f'  extends = "{site.name}"\n'
            "  [gpu]\n"
            '  model = "NVIDIA A100"     # its name\n'
            "  fp32_teraflops = 19.5     # its peak in full precision\n"
            "  memory_gigabytes = 40\n"
            "and with max_nodes and max_walltime_minutes, or bins, if jobs are limited there"
        )
    return site.gpu


def _forecast(network: CampaignNetwork, epochs: int, machine: Machine) -> NetworkForecast:
    spec, images = network.spec, network.images
    walk = walk_network(spec, images)
    work = half_epoch_work(walk, spec, images).times(2 * epochs)
    return NetworkForecast(
        network=network,
        seconds=machine.seconds(work),
        nominal_seconds=GPU.seconds(work),
        operations=training_operations(walk, spec, images, epochs),
        parameters=walk.parameters,
        memory_bytes=training_bytes(walk, spec, images),
    )


def _measure(
    networks: Sequence[NetworkForecast],
    finishes: dict[str, Finish],
    half_epochs: int,
    model: str,
) -> Measured | None:
    """Measured over predicted seconds, of the networks that were finished on such a GPU."""
    pairs = [
        (seconds, found.seconds)
        for found in networks
        if (finish := finishes.get(found.network.spec.id))
        and finish.device is not None
        and is_this_gpu(model, finish.device)
        and (seconds := finish.seconds_of_all(half_epochs))
        and 0 < seconds < float("inf")
    ]
    if not pairs:
        return None
    ratios = sorted(measured / predicted for measured, predicted in pairs)
    low, high = (ratios[round(share * (len(ratios) - 1))] for share in _SPREAD)
    ratio = sum(measured for measured, _ in pairs) / sum(predicted for _, predicted in pairs)
    return Measured(len(pairs), ratio, low, high)
