"""What every network of a campaign will take at a site, before an hour is spent.

    seconds = (operations / (peak * efficiency) + kernels * launch) * measured / predicted

The efficiency is the site file's assumption, and the last factor 1, until the results folder's
journal has measured seconds from this kind of GPU: then the factor makes up for the assumption.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from nnlc.campaign import Campaign, CampaignNetwork
from nnlc.errors import ResultsError, SiteError
from nnlc.history import Finish, read_history
from nnlc.launching.site import Gpu, Site
from nnlc.networks import Walk, walk_network
from nnlc.networks.cost import GPU, Machine, training_operations, training_seconds
from nnlc.results import ResultsFolder

_BYTES_A_PARAMETER = 3 * 4
"""In memory: weight, gradient and momentum, in single precision."""
_BYTES_A_VALUE = 4
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
    """On the GPU, at least, as an estimate: weights, gradients, momentum, each activation of a
    batch once, and all images. Libraries and their workspace come on top."""


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

    @property
    def left(self) -> list[NetworkForecast]:
        """The networks that are still to be trained, by index."""
        return [self.networks[index] for index in sorted(self.waiting)]

    def hand_out_order(self, indices: Iterable[int]) -> list[int]:
        """Of these networks those that wait, in the order in which ranks get them."""
        left = (index for index in indices if index in self.waiting)
        return sorted(left, key=lambda index: (-self.networks[index].nominal_seconds, index))


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
    _check_campaign(results, campaign)
    machine = Machine(
        operations_per_second=1e12 * gpu.fp32_teraflops * gpu.efficiency,
        seconds_a_kernel=GPU.seconds_a_kernel,
    )
    networks = [_forecast(n, campaign.epochs, machine) for n in campaign.networks()]
    history = read_history(results.journal_folder)
    measured = _measure(networks, history.finishes, gpu.model)
    if measured:
        networks = [replace(f, seconds=measured.ratio * f.seconds) for f in networks]
    tables = {
        name: {path.stem for path in results.models_folder(images).glob("*.txt")}
        for name, images in campaign.image_sets().items()
    }
    missing = [n for f in networks if (n := f.network).spec.id not in tables[n.images.name]]
    waiting = frozenset(n.index for n in missing if n.spec.id not in history.failures)
    return Forecast(
        campaign=campaign,
        site=site,
        gpu=gpu,
        networks=tuple(networks),
        waiting=waiting,
        done=len(networks) - len(missing),
        failed=len(missing) - len(waiting),
        measured=measured,
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


def _check_campaign(results: ResultsFolder, campaign: Campaign) -> None:
    """See that a folder, if it is there, is this campaign's."""
    if results.campaign_file.is_file() and _identity(results.campaign()) != _identity(campaign):
        raise ResultsError(
            f"{results.path}: belongs to another campaign than the one asked for; give its own "
            "folder with --results"
        )


def _identity(campaign: Campaign) -> Campaign:
    """All that tables depend on: not how the work is done, nor where images of one's own lie."""
    datasets = {
        name: section.model_copy(update={"npz": None})
        for name, section in campaign.datasets.items()
    }
    return campaign.model_copy(update={"run": None, "datasets": datasets})


def _forecast(network: CampaignNetwork, epochs: int, machine: Machine) -> NetworkForecast:
    spec, images = network.spec, network.images
    walk = walk_network(spec, images)
    return NetworkForecast(
        network=network,
        seconds=training_seconds(walk, spec, images, epochs, machine),
        nominal_seconds=training_seconds(walk, spec, images, epochs, GPU),
        operations=training_operations(walk, spec, images, epochs),
        parameters=walk.parameters,
        memory_bytes=_memory_bytes(network, walk),
    )


def _memory_bytes(network: CampaignNetwork, walk: Walk) -> int:
    images = network.images
    pixels = images.channels * images.width**2
    kept = walk.activations + pixels
    return (
        _BYTES_A_PARAMETER * walk.parameters
        + _BYTES_A_VALUE * network.spec.batch_size * kept
        + pixels * (images.train_images + images.validation_images)
    )


def _measure(
    networks: Sequence[NetworkForecast], finishes: dict[str, Finish], model: str
) -> Measured | None:
    """Measured over predicted seconds, of the networks that were finished on such a GPU."""
    pairs = [
        (finish.seconds, found.seconds)
        for found in networks
        if (finish := finishes.get(found.network.spec.id))
        and finish.device is not None
        and is_this_gpu(model, finish.device)
        and finish.seconds
        and 0 < finish.seconds < float("inf")
    ]
    if not pairs:
        return None
    ratios = sorted(measured / predicted for measured, predicted in pairs)
    low, high = (ratios[round(share * (len(ratios) - 1))] for share in _SPREAD)
    ratio = sum(measured for measured, _ in pairs) / sum(predicted for _, predicted in pairs)
    return Measured(len(pairs), ratio, low, high)
