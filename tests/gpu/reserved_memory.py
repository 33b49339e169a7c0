"""Program: memory that torch reserves for networks of a campaign on a stub GPU, and its prediction.

    python tests/gpu/reserved_memory.py --networks 200 --seed 7
    python tests/gpu/reserved_memory.py --campaign residual

Each network makes a few steps of training and validation, captured and replayed. Kernels run
nothing, but torch's allocator runs for real. cuDNN is off: its workspaces are not seen.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from math import inf
from pathlib import Path
from statistics import median

LARGE_WEIGHTS = 5185
GAPS = (LARGE_WEIGHTS, 2124, 3996)
"""Indices of networks with large gaps, measured beside random ones: for large weights, many small
tensors, a Fourier convolution."""
STEPS = 4
"""Steps of a half epoch: three before the capture, which the fourth makes and replays."""
MIB = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Reserved:
    """Bytes that torch reserves for one network beside its images."""

    index: int
    batch: int
    fourier: int
    """Number of convolutions by Fourier transforms."""
    predicted: int
    reserved: int
    after: int
    """Bytes that stay reserved once the network is gone."""

    @property
    def ratio(self) -> float:
        return self.predicted / self.reserved


def measure(networks: int, seed: int, campaign: str = "paper") -> list[Reserved]:
    """Return the measured networks, drawn with a seed and trained by one process on the stub."""
    import stub_driver

    from nnlc.system.environment import DETERMINISM

    words = [sys.executable, __file__, "--networks", str(networks), "--seed", str(seed), "--here"]
    words += ["--campaign", campaign]
    environment = {**os.environ, **DETERMINISM, **stub_driver.environment(memory_gigabytes=80)}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return [Reserved(**json.loads(line)) for line in done.stdout.splitlines()]


def measure_here(networks: int, seed: int, folder: Path, name: str = "paper") -> Iterator[Reserved]:
    """Yield the measured networks; this process must have the stub's variables.

    Args:
        networks: number of random networks.
        seed: seed of the choice.
        folder: empty folder, for checkpoints that are not saved.
        name: name of the campaign.
    """
    import numpy as np
    import torch

    from nnlc.campaign.campaign import load_campaign
    from nnlc.families.counted_costs import cost_key, remember
    from nnlc.networks.device_memory import image_bytes, unmeasured_bytes
    from nnlc.training.attempt import Attempt
    from nnlc.training.checkpoint import Checkpoints
    from nnlc.training.counting import count_network
    from nnlc.training.determinism import make_deterministic
    from nnlc.training.device_info import free_memory
    from nnlc.training.inbox import Inbox
    from nnlc.training.loaded_images import Images
    from nnlc.training.loop import HalfEpochLoop
    from nnlc.training.pixels import DeviceImages

    make_deterministic()
    torch.nn.init.kaiming_uniform_ = lambda tensor, *_, **__: tensor  # weights are of no interest
    gpu, campaign = torch.device("cuda", 0), load_campaign(name)
    settings = campaign.training
    every, inbox = list(campaign.networks()), Inbox(os.pipe()[0])
    gaps = [every[i] for i in GAPS] if name == "paper" else []
    for n in [*gaps, *random.Random(seed).sample(every, networks)]:
        if not n.family.knows_cost(n.spec):
            counted = count_network(n.family.family, n.spec, n.images).counted
            remember({cost_key(n.spec): counted})
        batch, facts = n.spec.batch_size, n.images
        pixels = np.zeros((2 * STEPS * batch, facts.channels, *2 * (facts.width,)), np.uint8)
        labels = np.zeros(2 * STEPS * batch, np.int64)
        kept = torch.cuda.memory_reserved(gpu)  # cuBLAS's workspaces, with torch 2.9
        few = DeviceImages(Images(pixels, labels, pixels, labels), settings, gpu)
        free_memory(gpu)
        before = torch.cuda.memory_reserved(gpu)
        checkpoints = Checkpoints(folder, n.spec.id, {})
        attempt = Attempt(n.index, checkpoints, inbox, lambda _: None, checkpoint_seconds=inf)
        make = partial(HalfEpochLoop, n.family, n.spec, facts, few, settings, 1)
        reserved = attempt.run(make, gpu)["peak_reserved_bytes"] - before + kept
        del attempt, make, few
        free_memory(gpu)
        need = n.family.memory_bytes(n.spec, facts, settings, "cuda")
        yield Reserved(
            index=n.index,
            batch=batch,
            fourier=fourier_convolutions(n, settings) if name == "paper" else 0,
            predicted=need - unmeasured_bytes("cuda") - image_bytes(facts),
            reserved=reserved,
            after=torch.cuda.memory_reserved(gpu),
        )


def fourier_convolutions(network, settings) -> int:
    """Return the number of a network's convolutions by Fourier transforms on a GPU."""
    from nnlc.families.article import walk_network
    from nnlc.families.article.conditions import conditions_of
    from nnlc.families.article.convolution_plan import plan_convolution

    conditions = conditions_of(network.spec, settings, "cuda")
    layers = walk_network(network.spec, network.images).layers
    convolutions = [each for each in layers if each.kind == "convolution"]
    return sum("fourier" in plan_convolution(each, conditions).ways for each in convolutions)


def main() -> None:
    """Print the ratio of predicted to reserved memory."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--networks", type=int, default=120, metavar="N", help="default 120")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="default 1")
    parser.add_argument("--campaign", default="paper", metavar="NAME", help="default paper")
    parser.add_argument("--here", action="store_true", help="print each network, as JSON")
    options = parser.parse_args()
    if options.here:
        with tempfile.TemporaryDirectory() as folder:
            about = options.networks, options.seed, Path(folder), options.campaign
            for found in measure_here(*about):
                print(json.dumps(asdict(found)), flush=True)
        return
    found = measure(options.networks, options.seed, options.campaign)
    found.sort(key=lambda each: each.ratio)
    ratios = [each.ratio for each in found]
    after = max(each.after for each in found) / MIB
    print(f"{len(found)} networks, {sum(each.fourier > 0 for each in found)} with Fourier")
    print(f"predicted / reserved: {ratios[0]:.2f} to {ratios[-1]:.2f}, median {median(ratios):.2f}")
    print(f"reserved afterwards: at most {after:.0f} MiB")
    for each in found[:5]:
        needs = f"predicted {each.predicted / MIB:.0f} MiB, reserved {each.reserved / MIB:.0f}"
        print(f"network {each.index}: {needs}, Fourier convolutions {each.fourier}")


if __name__ == "__main__":
    main()
