"""Check of a GPU's memory: what networks reserve, what is predicted, and what stays."""

import torch
from gpu_checks import CODE, Found, Here, Problem
from gpu_networks import GPU, PAPER, begin, train, with_steps

from nnlc.campaign.campaign import CampaignNetwork, TrainingSection
from nnlc.families.article.memory import memory_bytes
from nnlc.networks.device_memory import image_bytes, unmeasured_bytes
from nnlc.training.device_info import free_memory, reset_peak_memory

STEPS = 3
"""Replays of each kind: the first makes the graphs, and memory no longer grows."""
FIRST = 5
"""Small networks after which memory must stay."""
GROWTH_BYTES = 16 << 20
"""Most bytes by which it may grow; a workspace of cuBLAS for each stream would be more."""
MEMORY_MODEL = "nnlc/families/article/memory.py"


def memory(here: Here) -> Found:
    """Train the networks with the largest predicted memory, and many small ones."""
    begin()
    networks = PAPER[:: max(1, round(1 / here.share))]
    needs = {n.index: _predicted(n) for n in networks}
    ordered = sorted(networks, key=lambda n: needs[n.index])
    smallest = ordered[: here.count(40, 2 * FIRST)]
    held = []
    for network in smallest:
        _reserved(network)
        held.append(torch.cuda.memory_reserved(GPU))
    free, whole = torch.cuda.mem_get_info(GPU)
    outside = whole - free - torch.cuda.memory_reserved(GPU)
    rows = []
    fitting = [n for n in ordered if needs[n.index] < free]
    for network in fitting[: -1 - here.count(10) : -1]:
        try:
            reserved = _reserved(network)
        except torch.cuda.OutOfMemoryError:
            reserved = whole
        rows.append((network.index, reserved, needs[network.index]))
        free_memory(GPU)
        if here.is_over:
            break
    growth = held[-1] - max(held[:FIRST])
    above = max(rows, key=lambda row: row[1] - row[2])
    text = (
        f"reserved over predicted for {len(rows)} of the largest: "
        f"{', '.join(f'{reserved / predicted:.2f}' for _, reserved, predicted in rows)}; "
        f"{growth / 1e6:+.0f} MB held from network {FIRST} to {len(held)} of the smallest; "
        f"{outside / 1e6:.0f} MB outside torch, all users of the GPU together"
    )
    broken = []
    if growth > GROWTH_BYTES:
        change = f"{CODE}: nnlc/training/training_steps.py, one stream for all networks"
        broken.append(Problem(f"{growth / 1e6:.0f} MB more after {len(held)} networks", change))
    differing = []
    if above[1] > above[2]:
        index, reserved, predicted = above
        words = (
            f"network {index} of paper reserves {reserved / 1e9:.2f} GB, not {predicted / 1e9:.2f}"
        )
        differing.append(
            Problem(words, f"{MEMORY_MODEL}: workspaces of cuDNN, or _LARGEST_TENSORS")
        )
    if outside > unmeasured_bytes("cuda"):
        words = f"{outside / 1e6:.0f} MB outside torch, not {unmeasured_bytes('cuda') / 1e6:.0f}"
        differing.append(Problem(words, f"_LIBRARY_BYTES in {MEMORY_MODEL}"))
    return here.conclude(text, broken, differing, largest=rows, held=held, outside=outside)


def _predicted(network: CampaignNetwork) -> int:
    """Return a network's predicted bytes that torch reserves, without images."""
    in_all = memory_bytes(network.spec, network.images, TrainingSection(), "cuda")
    return in_all - unmeasured_bytes("cuda") - image_bytes(network.images)


def _reserved(network: CampaignNetwork) -> int:
    """Return the most bytes that torch reserves in training a network, without its images."""
    of = with_steps(network, STEPS, STEPS)
    reset_peak_memory(GPU)
    train(of, TrainingSection(), 1)
    return torch.cuda.max_memory_reserved(GPU) - image_bytes(of.images)
