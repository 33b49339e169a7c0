"""Checks of a GPU's facts and of the values that it computes."""

from collections import Counter
from typing import Any

import numpy as np
import torch
from convolutions import calls
from gpu_checks import CODE, Found, Here, Problem, Verdict
from gpu_networks import CONVOLUTIONS, GPU, PAPER, begin, told_by_tool, train, with_steps
from torch import Tensor

from nnlc.campaign.campaign import CampaignNetwork, TrainingSection
from nnlc.families.article import walk_network
from nnlc.families.article.convolution_plan import FEWEST_CHANNELS
from nnlc.system.hardware import gpus_of_node
from nnlc.training.device_info import circumstances, describe_device
from nnlc.training.training_steps import UncapturedError

STAND_IN = "stub"
"""Word in the name of a device without kernels."""
TOLD = ("driver_version", "mig.mode.current", "ecc.mode.current", "compute_mode", "pci.bus_id")
NETWORKS, TRAIN_REPLAYS, VALIDATION_REPLAYS = 12, 25, 10
"""Networks of the check of masks, and replays of each kind of step in a half epoch."""
MOST_MULTIPLY_ADDS = 3e7
"""Most multiply-adds of an image in these networks."""
RECIPE = TrainingSection(
    dropout="channel",
    schedule="cosine",
    label_smoothing=0.1,
    augmentation=("crop:4", "flip", "cutout:8"),
)
"""Settings under which each step has a learning rate and changes of images of its own."""
WIDE, OTHERS, WIDE_KERNEL = 300, 100, 17
"""Number of convolutions with wide kernels and of others, and the least wide kernel."""
MOST_OPERATIONS = 4e10
"""Most operations of a pass; a layer with more gets a smaller batch."""
EXACT, EXACT_OPERATIONS = 8, 4e8
"""Number of layers that a CPU repeats in float64, and the most operations of a pass of them."""
ALIKE = 1e-3
"""Most difference of direct and Fourier convolutions, as a share of the largest value."""
FP32_ERROR = 1e-4
"""Most relative error of sums in fp32; with the 10 bits of TF32 it is 3e-4 or more."""
GRAPHS = f"{CODE}: nnlc/training/training_steps.py, what is set before a replay"
WAYS = f"{CODE}: the way of such shapes in nnlc/families/article/convolution_plan.py"
TF32 = f"{CODE}: nnlc/training/determinism.py, or a variable in nnlc/system/environment.py"


def device(here: Here) -> Found:
    """Run the first kernel, and tell what the device is."""
    facts = describe_device(0 if torch.cuda.device_count() else None)
    if "unusable" in facts or not facts["gpus"]:
        why = facts.get("unusable", "torch sees no GPU")
        return Found(Verdict.IMPOSSIBLE, why, (), dict(facts))
    begin()
    two = (torch.ones(1, device=GPU) + 1).item()
    wrong = [] if two == 2 else [Problem(f"1 + 1 = {two}", "the driver or the machine")]
    properties, built = torch.cuda.get_device_properties(GPU), torch.cuda.get_arch_list()
    free, whole = torch.cuda.mem_get_info(GPU)
    told = told_by_tool(*TOLD)
    text = (
        f"{properties.name}, capability {properties.major}.{properties.minor}, "
        f"{properties.multi_processor_count} multiprocessors, {whole / 1e9:.1f} GB, "
        f"{(whole - free) / 1e9:.1f} GB in use; torch {torch.__version__} for {', '.join(built)}; "
        f"{facts['gpus']} GPUs visible, {gpus_of_node()} in this node; "
        + (", ".join(f"{key} {value}" for key, value in told.items()) or "no nvidia-smi")
    )
    judged = STAND_IN not in properties.name.lower()
    return Here(here.folder, here.share, judged).conclude(
        text, (), wrong, circumstances=circumstances(GPU), architectures=built, told=told
    )


def dropout(here: Here) -> Found:
    """Train networks with and without graphs; every second drops channels and has a recipe."""
    begin()
    usable = [network for network in PAPER if _has_masks(network)]
    broken, differing, done = list[Problem](), list[Problem](), 0
    for network in usable[:: -(-len(usable) // here.count(NETWORKS, 2))]:
        settings = RECIPE if done % 2 else TrainingSection()
        of = with_steps(network, TRAIN_REPLAYS, VALIDATION_REPLAYS)
        name = f"network {of.index} of paper with {'RECIPE' if done % 2 else 'default settings'}"
        try:
            captured, eager = (train(of, settings, 2, graphs=graphs) for graphs in (True, False))
        except UncapturedError as problem:
            broken.append(Problem(f"{name} can't be captured: {problem}"))
            break
        if captured != eager:
            differing.append(Problem(f"{name} has other bits with graphs", GRAPHS))
        done += 1
        if here.is_over:
            break
    text = (
        f"{done - len(differing)} of {done} networks have the same bits with graphs and without, "
        f"with {TRAIN_REPLAYS} replays a half epoch"
    )
    return here.conclude(text, broken, differing)


@torch.no_grad()
def convolutions(here: Here) -> Found:
    """Compute every pass of convolutions twice, by both ways."""
    begin()
    known, random = list(CONVOLUTIONS), np.random.default_rng(1)
    wide = [asked for asked in known if asked.layer.kernel >= WIDE_KERNEL]
    others = [asked for asked in known if asked.layer.kernel < WIDE_KERNEL]
    drawn = [
        (some[i], some is wide)
        for some, count in ((wide, here.count(WIDE, 4)), (others, here.count(OTHERS, 2)))
        for i in random.choice(len(some), count, replace=False)
    ]
    missing, changing, worst, done = list[str](), list[str](), 0.0, Counter[str]()
    for i in random.permutation(len(drawn)):
        asked, is_wide = drawn[i]
        small = asked.at_batch(asked.batch * MOST_OPERATIONS / asked.operations)
        for name, by_way in calls(small, "cuda").items():
            values: dict[str, Tensor] = {}
            for way in by_way:
                where = f"{way} {name} of {small.sizes}"
                try:
                    values[way], again = (_values(by_way, way, name) for _ in range(2))
                except RuntimeError as problem:
                    missing.append(f"{where}: {str(problem).splitlines()[0]}")
                    continue
                done[way] += 1
                if not torch.equal(values[way], again):
                    changing.append(f"{where}: other bits")
            if len(values) == 2:
                a, b = values.values()
                worst = max(worst, ((a - b).abs().max() / a.abs().max()).item())
        done["wide" if is_wide else "others"] += 1
        torch.cuda.empty_cache()
        if here.is_over:
            break
    text = (
        f"{done['wide']} with wide kernels, {done['others']} others; {done['direct']} direct and "
        f"{done['fourier']} Fourier passes: {len(changing)} with other bits, {len(missing)} "
        f"without an engine; direct and Fourier differ by up to {worst:.0e}"
    )
    differing = [Problem(words, WAYS) for words in changing[:3]]
    if not worst < ALIKE:
        differing.append(Problem(f"direct and Fourier differ by {worst:.2g}", WAYS))
    broken = [Problem(words, WAYS) for words in missing[:3]]
    return here.conclude(text, broken, differing, missing=missing, changing=changing, worst=worst)


@torch.no_grad()
def precision(here: Here) -> Found:
    """Compare products and convolutions with the same in float64 on the CPU."""
    begin()
    a, b = (torch.randn(512, 1024, device=GPU) for _ in range(2))
    errors = {"matrix product": _error(a @ b.T, a.double().cpu() @ b.T.double().cpu())}
    many = [
        asked
        for asked in CONVOLUTIONS
        if min(asked.layer.input[0], asked.layer.output[0]) >= FEWEST_CHANNELS
        and asked.operations <= asked.batch * EXACT_OPERATIONS
    ]
    for asked in many[:: -(-len(many) // here.count(EXACT, 2))]:
        small = asked.at_batch(asked.batch * EXACT_OPERATIONS / asked.operations)
        for name, by_way in calls(small, "cuda").items():
            direct = by_way["direct"]
            given = (x.double().cpu() if isinstance(x, Tensor) else x for x in direct.args)
            exact = direct.func(*given)
            for way in by_way:
                key, error = f"{way} {name}", _error(_values(by_way, way, name), exact)
                errors[key] = max(errors.get(key, 0.0), error)
        if here.is_over:
            break
    text = ", ".join(f"{key} {error:.0e}" for key, error in errors.items())
    wrong = [
        Problem(f"{key} has a relative error of {error:.1e}", TF32)
        for key, error in errors.items()
        if not error < FP32_ERROR
    ]
    return here.conclude(f"relative errors: {text}", (), wrong, errors=errors)


def _has_masks(network: CampaignNetwork) -> bool:
    """Return True if a network has dropout and trains in a moment."""
    walk = walk_network(network.spec, network.images)
    is_small = walk.multiply_adds < MOST_MULTIPLY_ADDS
    return is_small and any(layer.kind == "dropout" for layer in walk.layers)


def _values(by_way: dict[Any, Any], way: str, name: str) -> Tensor:
    """Return what a pass computes; the forward pass by Fourier transforms gets the bias too."""
    made = by_way[way]()
    if way == "fourier" and name == "forward":
        return made + by_way["direct"].args[2].view(1, -1, 1, 1)
    return made if isinstance(made, Tensor) else next(part for part in made if part is not None)


def _error(values: Tensor, exact: Tensor) -> float:
    """Return the error's norm over that of the exact values."""
    return ((values.double().cpu() - exact).norm() / exact.norm()).item()
