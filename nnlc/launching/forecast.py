"""Forecast of the seconds that each network of a campaign takes at a site, or on this machine.

    seconds = sum over kinds of operations of (number / operations per second of the GPU)
              * measured / predicted

The GPU's rates come from the site file's peaks and its assumed efficiency, or from the results
folder or the user's file if 'nnlc calibrate' has fitted them. The factor measured / predicted
corrects errors of this model. It is 1 until the folder's journal has measured times from this kind
of GPU.

The set-up time of a network (`nnlc.networks.setup_time`) comes on top. It is that of the journal if
it has enough measurements, else that of 'nnlc calibrate', else an assumption.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import partial

from nnlc.calibration.assumed_machine import assumed_machine, is_this_gpu
from nnlc.calibration.machines import FittedMachine, fitted_machines
from nnlc.campaign.array_split import SECONDS_WITHOUT_MODEL
from nnlc.campaign.campaign import Campaign, CampaignNetwork
from nnlc.errors import SiteError
from nnlc.launching.nothing_left import nothing_left, unusable_words
from nnlc.networks.machine import GPU, DeviceKind, Machine
from nnlc.networks.setup_time import SetupTime, assumed_setup, fit_setup
from nnlc.results.folder import ResultsFolder
from nnlc.results.folder_costs import check_counted, read_folder_costs
from nnlc.results.history import Finish, read_history
from nnlc.results.inventory import Entry, inventory
from nnlc.schedulers.site import Site, file_to_write
from nnlc.schedulers.site_values import Gpu

_SPREAD = (0.1, 0.9)
"""Quantiles of the ratios that the plan prints."""


@dataclass(frozen=True, slots=True)
class NetworkForecast:
    """Forecast of one network at a site."""

    network: CampaignNetwork
    seconds: float
    """Seconds on one device, from the first step to the last."""
    nominal_seconds: float
    """Seconds by which array elements divide networks (`nnlc.campaign.array_split`)."""
    operations: int
    """Floating-point operations, as they are computed on this kind of device."""
    parameters: int
    convolutions: int
    memory_bytes: int
    """Predicted peak of memory, including images and libraries."""
    setup_seconds: float = 0.0
    """Set-up time, in each job that trains the network."""

    @property
    def seconds_with_setup(self) -> float:
        """Seconds on one device in one job."""
        return self.seconds + self.setup_seconds


@dataclass(frozen=True, slots=True)
class Measured:
    """Measured seconds of a journal compared with the prediction."""

    networks: int
    """Number of networks that were finished on this kind of device."""
    ratio: float
    """Sum of measured seconds over sum of predicted seconds; long networks count for more."""
    low: float
    high: float
    """Quantiles of the networks' ratios: 90 % are above `low`, 90 % below `high`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignForecast:
    """Forecast of a whole campaign on one kind of device."""

    campaign: Campaign
    networks: tuple[NetworkForecast, ...]
    """All networks, by index."""
    waiting: frozenset[int]
    """Indices of networks without a table that have not failed."""
    done: int
    failed: int
    measured: Measured | None
    setup: SetupTime = field(default_factory=SetupTime)
    not_whole: int = 0
    """Number of damaged or foreign files in the place of tables."""

    @property
    def left(self) -> list[NetworkForecast]:
        """Networks that are still to be trained, by index."""
        return [self.networks[index] for index in sorted(self.waiting)]

    @property
    def seconds_left(self) -> float:
        """Seconds of the networks that are left, each trained in one job."""
        return sum(f.seconds_with_setup for f in self.left)


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast(CampaignForecast):
    """Forecast of a whole campaign at a site."""

    site: Site
    gpu: Gpu
    fitted: FittedMachine | None = None
    """Machine fitted to this GPU, from the results folder or the user's file."""
    trouble: str | None = None
    """Reason why a fit can't be read."""

    def hand_out_order(self, indices: Iterable[int]) -> list[int]:
        """Return the waiting networks among these indices, in the order in which ranks get them."""
        left = (index for index in indices if index in self.waiting)
        return sorted(left, key=lambda index: (-self.networks[index].seconds, index))


def forecast_campaign(campaign: Campaign, site: Site, results: ResultsFolder) -> Forecast:
    """Predict every network of a campaign, 6,000 in about 5 s.

    Args:
        campaign: the campaign.
        site: a site with `[gpu]`.
        results: results folder with finished and failed networks and measured times; it may be
            missing. Running networks count as not begun.

    Raises:
        SiteError: the site file has no `[gpu]`.
        ResultsError: the folder belongs to another campaign, or can't be read.
    """
    gpu = _gpu_of(site)
    machines, trouble = fitted_machines(results)
    fitted = next((found for found in machines if is_this_gpu(gpu.model, found.name)), None)
    machine = fitted.machine if fitted else assumed_machine(gpu)
    setup = (fitted and fitted.setup) or assumed_setup(
        gpu.model, "cuda", gpu.setup_seconds_a_convolution
    )
    found = forecast_on(machine, setup, "cuda", campaign, results, partial(is_this_gpu, gpu.model))
    known = {each.name: getattr(found, each.name) for each in fields(found)}
    return Forecast(site=site, gpu=gpu, fitted=fitted, trouble=trouble, **known)


def forecast_on(
    machine: Machine,
    setup: SetupTime,
    device: DeviceKind,
    campaign: Campaign,
    results: ResultsFolder,
    is_device: Callable[[str], bool],
) -> CampaignForecast:
    """Predict every network of a campaign on a machine.

    Args:
        machine: the machine.
        setup: its set-up time of a network, unless the journal has measured it.
        device: its kind.
        campaign: the campaign.
        results: as for `forecast_campaign`.
        is_device: returns True for names of this kind of device.

    Raises:
        ResultsError: the folder belongs to another campaign, or can't be read.
        UnknownCostError: costs of networks must be counted first.
    """
    if results.has_campaign:
        campaign = results.resolve(campaign)
        results.check_same(campaign, any_code=True)
    drawn = list(campaign.networks())
    check_counted(drawn, read_folder_costs(results, drawn))
    networks = [_forecast(n, campaign, machine, device) for n in drawn]
    history = read_history(results.journal_folder)

    def predict_as_trained(found: NetworkForecast, finish: Finish) -> float:
        n, settings = found.network, campaign.training
        own = finish.settings_as_trained(n.spec, n.images, settings, device)
        if own == settings:
            return found.seconds
        return n.family.predict_seconds(n.spec, n.images, campaign.epochs, machine, own, device)

    there = [
        (f, finish)
        for f in networks
        if (finish := history.finishes.get(f.network.spec.id)) and is_device(finish.device or "")
    ]
    measured = _measure(there, campaign.half_epochs, predict_as_trained)
    if measured:
        networks = [replace(f, seconds=measured.ratio * f.seconds) for f in networks]
    tables = inventory(results, campaign, [f.network for f in networks], history.finishes)
    to_train, short = tables.to_train, tables.short
    missing = [f.network for f in networks if f.network.spec.id in to_train]
    setup = fit_setup((f.convolutions, finish.setup_seconds) for f, finish in there) or setup
    networks = [replace(f, setup_seconds=setup.seconds(f.convolutions)) for f in networks]
    networks = [_rest(f, campaign.half_epochs, short.get(f.network.spec.id)) for f in networks]
    waiting = frozenset(n.index for n in missing if n.spec.id not in history.failures)
    return CampaignForecast(
        campaign=campaign,
        networks=tuple(networks),
        waiting=waiting,
        done=len(tables.with_tables),
        not_whole=len(tables.not_whole),
        failed=len(missing) - len(waiting),
        measured=measured,
        setup=setup,
    )


def nothing_to_plan(forecast: CampaignForecast) -> SiteError:
    """Return the error for a campaign that has nothing left to train."""
    done, failed = forecast.done, forecast.failed
    return nothing_left(forecast.campaign.name, "plan", done, failed, forecast.not_whole)


def not_whole_words(forecast: CampaignForecast) -> str:
    """Return text on unusable tables, to append to the number of failed networks."""
    return unusable_words(forecast.not_whole)


def _gpu_of(site: Site) -> Gpu:
    if site.gpu is None:
        file = file_to_write(site, "\n  ")
        raise SiteError(
            f"site {site.name}, table [gpu]: missing, so nothing can be predicted; write into "
            f"{file}\n"
            "  [gpu]\n"
            '  model = "NVIDIA A100"     # its name\n'
            "  fp32_teraflops = 19.5     # its peak in full precision\n"
            "  memory_gigabytes = 40\n"
            "and with max_nodes and max_walltime_minutes, or bins, if the site limits jobs"
        )
    return site.gpu


def _forecast(
    network: CampaignNetwork, campaign: Campaign, machine: Machine, device: DeviceKind
) -> NetworkForecast:
    spec, images = network.spec, network.images
    settings = campaign.training
    family = network.family
    work = family.half_epoch_work(spec, images, settings, device).times(campaign.half_epochs)
    return NetworkForecast(
        network=network,
        seconds=machine.seconds(work),
        nominal_seconds=GPU.seconds(work) if family.has_cost_model else SECONDS_WITHOUT_MODEL,
        operations=round(work.all_operations),
        parameters=family.size(spec, images).parameters,
        convolutions=family.convolutions(spec, images),
        memory_bytes=family.memory_bytes(spec, images, settings, device),
    )


def _rest(forecast: NetworkForecast, half_epochs: int, short: Entry | None) -> NetworkForecast:
    """Return a forecast of what is left of a network whose training goes on from kept weights."""
    if short is None or not short.kept:
        return forecast
    left = 1 - short.kept / half_epochs
    return replace(
        forecast, seconds=left * forecast.seconds, operations=round(left * forecast.operations)
    )


def _measure(
    finished: Sequence[tuple[NetworkForecast, Finish]],
    half_epochs: int,
    predict: Callable[[NetworkForecast, Finish], float],
) -> Measured | None:
    """Return measured over predicted seconds of networks finished on this kind of device."""
    pairs = [
        (seconds, predict(found, finish))
        for found, finish in finished
        if (seconds := finish.seconds_of_all(half_epochs)) and 0 < seconds < float("inf")
    ]
    if not pairs:
        return None
    ratios = sorted(measured / predicted for measured, predicted in pairs)
    low, high = (ratios[round(share * (len(ratios) - 1))] for share in _SPREAD)
    ratio = sum(measured for measured, _ in pairs) / sum(predicted for _, predicted in pairs)
    return Measured(len(pairs), ratio, low, high)
