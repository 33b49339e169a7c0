"""Lists of a campaign's networks: all networks as CSV, and a summary for the terminal."""

import csv
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import astuple, fields
from typing import TextIO

from nnlc.campaign.campaign import Campaign, CampaignNetwork
from nnlc.families.network_family import NetworkCost
from nnlc.networks.machine import FOURIER_SHARE, DeviceKind
from nnlc.networks.recipe import TrainingSection
from nnlc.networks.work import Work
from nnlc.wording import counted

CSV_BEGINS = "index,ID,random_seed,"
"""Beginning of the first line of the CSV."""


def write_csv(campaign: Campaign, file: TextIO) -> None:
    """Write a row for each network: index, metadata columns as in tables, sizes and cost."""
    writer = csv.writer(file, lineterminator="\n")
    for network in campaign.networks():
        if network.index == 0:
            names = [column.name for column in network.spec.layout.columns]
            writer.writerow(["index", *names, *(field.name for field in fields(NetworkCost))])
        metadata = [c.write(getattr(network.spec, c.field)) for c in network.spec.layout.columns]
        cost = _cost(network, campaign)
        costs = astuple(cost) if cost else [""] * len(fields(NetworkCost))
        writer.writerow([network.index, *metadata, *costs])


def summarise(campaign: Campaign, memory_gigabytes: float | None = None) -> Iterator[str]:
    """Yield a line for each dataset: networks, median and largest size, predicted cost.

    Args:
        campaign: the campaign.
        memory_gigabytes: memory of a GPU; then further lines name the networks that can't fit.
    """
    stop = f", stop rule {campaign.stop}, whose savings are not counted" if campaign.stop else ""
    epochs = counted(campaign.epochs, "epoch")
    yield f"campaign {campaign.name}: {epochs}, seed {campaign.seed}{stop}"
    family = campaign.network_family
    groups = f"{family.group_word}s"
    yield (
        f"{'dataset':<20}{'networks':>9}{groups:>8}{'parameters':>24}{'multiply-adds':>24}"
        f"{'operations':>12}{'GPU hours':>11}"
    )
    costs: dict[str, list[NetworkCost]] = {}
    unknown: Counter[str] = Counter()
    needs: list[tuple[int, str]] = []
    computed: Counter[str] = Counter()
    for network in campaign.networks():
        cost = _cost(network, campaign)
        of = costs.setdefault(network.images.name, [])
        if cost is None:
            unknown[network.images.name] += 1
            continue
        of.append(cost)
        needs.append((cost.predicted_gpu_memory_bytes, network.spec.id))
        if family.has_cost_model:
            computed.update(_computed_operations(network, campaign))
    for name, of in costs.items():
        low, high = campaign.datasets[name].depths
        count, depths = len(of) + unknown[name], f"{low}-{high}"
        if not of:
            yield f"{name:<20}{count:>9}{depths:>8}{'-':>24}{'-':>24}{'-':>12}{'-':>11}"
            continue
        operations = sum(cost.predicted_operations for cost in of)
        hours = sum(cost.predicted_gpu_seconds for cost in of) / 3600
        yield (
            f"{name:<20}{count:>9}{depths:>8}"
            f"{_median_to_largest([c.parameters for c in of]):>24}"
            f"{_median_to_largest([c.forward_multiply_adds for c in of]):>24}"
            f"{operations:>12.2e}{hours:>11.2f}"
        )
    if not family.has_cost_model:
        yield "sizes: median, largest; --csv FILE lists all"
        yield "GPU hours: at 50 % of a V100's fp32 peak"
    else:
        yield from _computed_lines(computed)
    if unknown:
        yield f"-: {counted(unknown.total(), 'network')} could not be counted, so sizes are unknown"
    if not needs:
        return
    most, id_ = max(needs)
    yield f"memory: network {id_} needs the most, {most / 1e9:.2f} GB on a GPU (predicted)"
    if memory_gigabytes is not None:
        found = [need for need in needs if need[0] > 1e9 * memory_gigabytes]
        yield f"{len(found)} of {len(needs)} networks can't fit into {memory_gigabytes:g} GB"
        for most, id_ in sorted(found, reverse=True):
            yield f"  {id_} needs {most / 1e9:.2f} GB"


def _computed_lines(computed: Mapping[str, float]) -> Iterator[str]:
    """Yield what operations and hours mean, and the operations as they are computed."""
    yield "sizes: median, largest; operations: if convolutions were direct; --csv FILE lists all"
    fourier = f"{50 * FOURIER_SHARE:.0f} % in Fourier convolutions"
    yield f"GPU hours: at 50 % of a V100's fp32 peak, {fourier}"
    for way, operations in computed.items():
        yield f"operations as computed {way:<30}{operations:.2e}"


def _cost(network: CampaignNetwork, campaign: Campaign) -> NetworkCost | None:
    """Return the size and predicted cost of a network; None if it could not be counted."""
    if not network.family.could_count(network.spec):
        return None
    about = network.spec, network.images, campaign.epochs, campaign.training
    return network.family.cost(*about)


def _computed_operations(network: CampaignNetwork, campaign: Campaign) -> dict[str, float]:
    """Return the operations of a network's training as they are computed, by device and setting."""
    spec, images, settings = network.spec, network.images, campaign.training

    def work(settings: TrainingSection, device: DeviceKind) -> Work:
        found = network.family.half_epoch_work(spec, images, settings, device)
        return found.times(campaign.half_epochs)

    cpu, gpu = work(settings, "cpu"), work(settings, "cuda")
    direct = gpu
    if cpu.fourier or gpu.fourier:
        direct = work(settings.model_copy(update={"convolutions": "direct"}), "cuda")
    return {
        "on CPUs": cpu.all_operations,
        "on GPUs": gpu.all_operations,
        'with convolutions = "direct"': direct.all_operations,
    }


def _median_to_largest(values: list[int]) -> str:
    ordered = sorted(values)
    return f"{ordered[len(ordered) // 2]:.3g}, {ordered[-1]:.3g}"
