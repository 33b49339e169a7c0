"""Seconds of a training step, recipe included: nnlc's loop, and the usual loop.

    python benchmarks/recipe_loops.py [CAMPAIGN] [--networks N] [--seconds N] [--rounds N]
                                      [--device cpu|cuda]

Networks at equal distances in a campaign, by default ten of `residual`, with random pixels of the
right shapes. Two loops are timed by turns, on a CPU with one core each, and the fastest round of
each counts:

    ours    nnlc's loop, in a process as trainers are
    usual   the family's module, a torchvision dataset with its transforms (crop, flip, ToTensor,
            Normalize), a DataLoader with one worker, torch's SGD and CosineAnnealingLR, and
            `.item()` after each step
"""

import argparse
import math
import os

import torch
from loop import geometric_mean
from own_process import own_process, trainer_process
from plain_loops import Endless, published
from step_times import BATCHES, random_images, time_steps
from torch import nn

from nnlc.campaign.campaign import CampaignNetwork, TrainingSection, load_campaign
from nnlc.networks.recipe import read_change
from nnlc.training.loop import HalfEpochLoop
from nnlc.training.pixels import DeviceImages, channel_statistics


def ours(
    of: CampaignNetwork, settings: TrainingSection, seconds: float, device: torch.device
) -> float:
    """Return the seconds of a training step of nnlc's loop."""
    images = DeviceImages(random_images(of), settings, device)
    loop = HalfEpochLoop(of.family, of.spec, of.images, images, settings, 1)
    batches = torch.arange(BATCHES * of.spec.batch_size, device=device).view(BATCHES, -1)
    changes = loop._changes(0, batches)
    rate = of.spec.learning_rate if settings.changes_rate else None
    loop.network.train()

    def train(batch: int) -> None:
        loop.steps.train(batches[batch], changes[batch], rate)

    return time_steps(train, seconds, device).step


def usual(
    of: CampaignNetwork, settings: TrainingSection, seconds: float, device: torch.device
) -> float:
    """Return the seconds of a training step as commonly written."""
    from torchvision import transforms  # only this process needs it

    images, spec = random_images(of), of.spec
    pixels = dict(map(read_change, settings.augmentation))
    changes: list[object] = []
    if "crop" in pixels:
        changes.append(transforms.RandomCrop(of.images.width, pixels["crop"]))
    if "flip" in pixels:
        changes.append(transforms.RandomHorizontalFlip())
    changes.append(transforms.ToTensor())
    if settings.pixels == "standardised":
        changes.append(transforms.Normalize(*channel_statistics(images.train_images)))
    loader = torch.utils.data.DataLoader(
        published(of, images, transforms.Compose(changes)),
        batch_size=spec.batch_size,
        sampler=Endless(len(images.train_labels)),
        num_workers=1,
        pin_memory=device.type == "cuda",
    )
    steps = iter(loader)
    next(steps)  # its worker has started
    model = of.family.plain_network(spec, of.images, settings).to(device)
    criterion = nn.CrossEntropyLoss(label_smoothing=settings.label_smoothing)
    optimizer = torch.optim.SGD(
        model.parameters(),
        lr=spec.learning_rate,
        momentum=spec.momentum,
        weight_decay=spec.weight_decay,
        nesterov=bool(spec.momentum),
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 1_000_000)
    total = 0.0

    def train(_: int) -> None:
        nonlocal total
        chosen, labels = (each.to(device, non_blocking=True) for each in next(steps))
        optimizer.zero_grad()
        loss = criterion(model(chosen), labels)
        loss.backward()
        optimizer.step()
        schedule.step()
        total += loss.item()

    model.train()
    return time_steps(train, seconds, device).step


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("campaign", nargs="?", default="residual")
    parser.add_argument("--networks", type=int, default=10, metavar="N")
    parser.add_argument("--seconds", type=float, default=1.5)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    options = parser.parse_args()
    campaign, device = load_campaign(options.campaign), torch.device(options.device)
    networks = list(campaign.networks())
    chosen = networks[:: math.ceil(len(networks) / options.networks)]
    pools = {
        ours: trainer_process(),
        usual: own_process(os.environ, torch.set_num_threads, 1),
    }
    print(
        "network  layers' own values                                     ours     usual  usual/ours"
    )
    ratios = []
    for of in chosen:
        seconds = dict.fromkeys(pools, math.inf)
        for _ in range(options.rounds):
            for way, pool in pools.items():
                found = pool.submit(way, of, campaign.training, options.seconds, device).result()
                seconds[way] = min(seconds[way], found)
        own = " ".join(
            column.write(getattr(of.spec, column.field)) for column in of.spec.layout.own
        )
        ratios.append(seconds[usual] / seconds[ours])
        print(
            f"{of.index:7}  {own:48} {seconds[ours]:9.3g}s {seconds[usual]:8.3g}s "
            f"{ratios[-1]:10.2f}x",
            flush=True,
        )
    print(f"geometric mean: the usual loop takes {geometric_mean(ratios):.2f} times as long")


if __name__ == "__main__":
    main()
