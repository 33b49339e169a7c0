"""Checks of a GPU's speed: nnlc's loop beside others, and the figures that nnlc assumes."""

import time
from collections.abc import Callable
from importlib.util import find_spec

import torch
from convolution_layers import draw_by_cost
from convolutions import calls, planned
from gpu_checks import Found, Here, Problem
from gpu_networks import CONVOLUTIONS, GPU, PAPER, begin, told_by_tool
from loop import eager, half_epoch, ours
from plain_loops import resident, usual
from step_times import random_images

from nnlc.campaign.campaign import CampaignNetwork, TrainingSection
from nnlc.families.article.convolution_plan import FEWEST_CHANNELS, LEAST_SAVED, SPEED_ON_GPUS
from nnlc.families.article.fourier import plan_fourier
from nnlc.networks.machine import GPU as NOMINAL
from nnlc.networks.setup_time import assumed_setup
from nnlc.training.device_info import free_memory
from nnlc.training.loop import HalfEpochLoop
from nnlc.training.pixels import DeviceImages

NETWORKS = (2024, 4231, 4976, 404)
"""Indices in `paper` of networks from small to large."""
SECONDS, HOST_STEPS, HOST_MICROSECONDS = 0.4, 400, 40.0
"""Seconds for each way of training, steps for the host's time, and the most host time of a step."""
LAYERS, ROUNDS, KERNELS = 40, 3, 200
CORES_OF_OLDER = {(7, 0): 64, (7, 2): 64, (7, 5): 64, (8, 0): 64}
"""Multiply-adds in fp32 a clock and multiprocessor, 128 where not given: CUDA C++ Programming
Guide, "Arithmetic Instructions"."""
SPEEDS = [0.25 * n for n in range(1, 41)]
"""Values of SPEED_ON_GPUS that are tried."""
MOST_LOST, MOST_RATIO = 1.1, 2.0
"""Most time of nnlc's choices over that with the best value; most ratio of a measured time and an
assumed one."""
SHARES, MOST_OFF = {"direct": 0.35, "fourier": 0.3}, 0.25
"""Shares of the peak that site files assume, and the most by which they may be off."""
TICK = 1e-9
"""Least seconds of anything: a stand-in of a driver takes none."""


def speed(here: Here) -> Found:
    """Time the steps of nnlc's loop, of others, and the host's part of a replayed step."""
    begin()
    ways = {"eager": eager, "resident": resident}
    if find_spec("torchvision"):
        ways["usual"] = usual
    networks = {n.index: n for n in PAPER}
    host = 1e6 * _host_seconds(networks[NETWORKS[0]])
    assumed = assumed_setup(torch.cuda.get_device_name(GPU), "cuda")
    rows, slower = dict[int, dict[str, float]](), list[Problem]()
    for index in NETWORKS[: here.count(len(NETWORKS))]:
        of = networks[index]
        rates = ours(of, SECONDS * here.share, GPU)
        rows[index] = row = {"set-up": rates.set_up, "ours": half_epoch(of, rates)}
        if rates.set_up > MOST_RATIO * assumed.seconds(of.spec.depth):
            words = f"network {index} of paper takes {rates.set_up:.1f} s to set up"
            a_layer = rates.set_up / of.spec.depth
            change = f"gpu.setup_seconds_a_convolution of the site file to {a_layer:.2g}"
            slower.append(Problem(words, change))
        free_memory(GPU)
        for name, way in ways.items():
            row[name] = half_epoch(of, way(of, SECONDS * here.share, GPU))
            free_memory(GPU)  # and a loader's processes
            if row[name] < row["ours"]:
                slower.append(Problem(f"network {index} of paper: {name} is faster than nnlc"))
        if here.is_over:
            break
    if host > HOST_MICROSECONDS:
        slower.append(Problem(f"a replayed step takes {host:.0f} us of the host's time"))
    text = "; ".join(
        f"network {index} of paper: " + ", ".join(f"{name} {s:.3g} s" for name, s in row.items())
        for index, row in rows.items()
    )
    text = f"host {host:.0f} us a replayed step; half epochs: {text}"
    return here.conclude(text, (), slower, host_microseconds=host, networks=rows)


def _host_seconds(of: CampaignNetwork) -> float:
    """Return this thread's processor seconds for a replayed training step."""
    images = DeviceImages(random_images(of), TrainingSection(), GPU)
    loop = HalfEpochLoop(of.family, of.spec, of.images, images, TrainingSection(), 1)
    loop.network.train()
    indices = torch.arange(of.spec.batch_size, device=GPU)
    for seed in range(-10, HOST_STEPS):
        if not seed:
            start = time.thread_time()
        loop.network.restart_dropout(seed + 10)
        loop.steps.train(indices)
    return (time.thread_time() - start) / HOST_STEPS


@torch.no_grad()
def thresholds(here: Here) -> Found:
    """Time direct and Fourier convolutions, and the launch of a kernel, each in a graph."""
    begin()
    one, large = torch.zeros(1, device=GPU), torch.zeros(1 << 13, 1 << 13, device=GPU)
    other = torch.zeros_like(large)
    launch = _seconds_of(lambda: [one.add_(1) for _ in range(KERNELS)]) / KERNELS
    copies = 2 * large.nbytes / _seconds_of(lambda: other.copy_(large))
    products = 2 * len(large) ** 3 / _seconds_of(lambda: torch.mm(large, large, out=other))
    peak = _peak() or products
    passes = list[dict[str, float]]()
    for asked in draw_by_cost(CONVOLUTIONS, here.count(LAYERS, 3), seed=3):
        if min(asked.layer.input[0], asked.layer.output[0]) < FEWEST_CHANNELS:
            continue  # never by Fourier transforms
        part = planned(asked, "auto", "cuda")
        windows = 2 * asked.batch * asked.layer.output[0] * part.window_values
        fourier = plan_fourier(asked.layer, part.trim, asked.batch, "cuda").operations
        for by_way in calls(asked, "cuda").values():
            # Layers are drawn by their operations, so a layer counts by time / operations.
            found = {"weight": 1 / asked.operations, "direct": windows, "fourier": fourier}
            try:
                found |= {f"{w} seconds": _seconds_of(by_way[w]) for w in ("direct", "fourier")}
            except RuntimeError:  # the check of convolutions names it
                continue
            passes.append(found)
        torch.cuda.empty_cache()
        if here.is_over:
            break
    best = min(SPEEDS, key=lambda speed: _seconds(passes, speed))
    lost = _seconds(passes, SPEED_ON_GPUS) / _seconds(passes, best)
    shares = {
        way: sum(p[way] * p["weight"] for p in passes)
        / sum(p[f"{way} seconds"] * p["weight"] for p in passes)
        / peak
        for way in ("direct", "fourier")
    }
    text = (
        f"SPEED_ON_GPUS = {best:g} is best, {SPEED_ON_GPUS:g} takes {lost:.2f} times as long; "
        f"efficiency = {shares['direct']:.2f}, fourier_efficiency = {shares['fourier']:.2f} of "
        f"{peak / 1e12:.1f} TFLOP/s; large products {products / peak:.2f}, copies "
        f"{copies / 1e9:.0f} GB/s, {1e6 * launch:.2f} us a kernel; {len(passes)} passes"
    )
    wrong = []
    if not lost < MOST_LOST:
        change = f"SPEED_ON_GPUS in nnlc/families/article/convolution_plan.py to {best:g}"
        wrong.append(Problem(f"SPEED_ON_GPUS = {SPEED_ON_GPUS:g} loses {lost - 1:.0%}", change))
    assumed = NOMINAL.seconds_a_kernel
    if not 1 / MOST_RATIO < launch / assumed < MOST_RATIO:
        change = f"seconds_a_kernel in gpu_machine of nnlc/families/article/cost.py to {launch:.1e}"
        wrong.append(Problem(f"a kernel takes {launch:.1e} s, not {assumed:.1e}", change))
    for way, key in (("direct", "efficiency"), ("fourier", "fourier_efficiency")):
        if not abs(shares[way] - SHARES[way]) < MOST_OFF * SHARES[way]:
            words = f"{way} convolutions reach {shares[way]:.2f} of the peak, not {SHARES[way]}"
            wrong.append(Problem(words, f"gpu.{key} of the site file to {shares[way]:.2f}"))
    return here.conclude(
        text, (), wrong, speed_on_gpus=best, lost=lost, shares=shares, peak=peak,
        products=products, copies=copies, launch=launch, passes=passes,
    )  # fmt: skip


def _peak() -> float:
    """Return the operations a second in fp32 at the highest clock; 0 if it is unknown."""
    properties = torch.cuda.get_device_properties(GPU)
    told = told_by_tool("clocks.max.sm").get("clocks.max.sm", "").split()
    hertz = 1e6 * float(told[0]) if told and told[0].isdecimal() else 0.0
    cores = CORES_OF_OLDER.get((properties.major, properties.minor), 128)
    return 2 * cores * properties.multi_processor_count * hertz


def _seconds_of(work: Callable[[], object]) -> float:
    """Return the seconds of some work that is replayed as in training; the fastest time."""
    graph, times = torch.cuda.CUDAGraph(), []
    work()
    torch.cuda.synchronize(GPU)
    with torch.cuda.graph(graph, stream=torch.cuda.current_stream(GPU)):
        work()
    for _ in range(ROUNDS):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        graph.replay()
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end) / 1e3)
    return max(TICK, min(times))


def _seconds(passes: list[dict[str, float]], speed: float) -> float:
    """Return the seconds of all passes if nnlc chose with this value of SPEED_ON_GPUS."""
    total = 0.0
    for each in passes:
        is_fourier = each["direct"] / speed - each["fourier"] >= LEAST_SAVED
        total += each["weight"] * each["fourier seconds" if is_fourier else "direct seconds"]
    return total
