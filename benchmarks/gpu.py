"""Reproducible bits on a GPU: `python benchmarks/gpu.py [--networks N]`.

Trains networks of the article's campaign on the bundled images with captured CUDA graphs, repeats
this in other ways, and compares every row's bits:

    eager       without graphs
    again       in another process
    neighbours  in two processes at once on the same GPU
    row         all networks in one process, whose memory must not grow

Exits with status 1 if anything differs. `--device cpu` runs the same steps without a GPU, to test
the program itself.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import torch
from own_process import trainer_process

from nnlc.campaign.campaign import DatasetSection, TrainingSection, load_campaign
from nnlc.networks import KNOWN_IMAGE_SETS, NetworkSpec, walk_network
from nnlc.training.device_info import free_memory
from nnlc.training.loaded_images import Images, load_images
from nnlc.training.loop import HalfEpochLoop
from nnlc.training.pixels import DeviceImages

SAMPLE = KNOWN_IMAGE_SETS["F-MNIST-sample"]
TRAIN_IMAGES, VALIDATION_IMAGES = 2000, 500
MOST_OPERATIONS = 2e7
"""Most multiply-adds of one image, so that a CPU too trains a network in seconds."""
GROWTH_BYTES = 16 << 20
"""Most bytes by which memory may grow from the first ten networks to the last."""

Curve = list[tuple[str, ...]]


def networks(count: int) -> list[NetworkSpec]:
    """Return Fashion-MNIST's networks of all depths, for the bundled images."""
    section = load_campaign("paper").networks()
    found = [
        replace(n.spec, dataset=SAMPLE.table_name)
        for n in section
        if n.images.name == "F-MNIST"
        and walk_network(n.spec, n.images).multiply_adds < MOST_OPERATIONS
    ]
    return found[:: max(1, len(found) // count)][:count]


def curves(specs: list[NetworkSpec], device_name: str, graphs: bool) -> tuple[list[Curve], list]:
    """Train networks; return the bits of their rows, and the GPU memory held after each."""
    device = torch.device(device_name)
    whole = load_images(SAMPLE, DatasetSection(networks_per_depth=1), Path("unused"))
    few = Images(
        whole.train_images[:TRAIN_IMAGES],
        whole.train_labels[:TRAIN_IMAGES],
        whole.validation_images[:VALIDATION_IMAGES],
        whole.validation_labels[:VALIDATION_IMAGES],
    )
    facts = replace(SAMPLE, train_images=TRAIN_IMAGES, validation_images=VALIDATION_IMAGES)
    images = DeviceImages(few, TrainingSection(), device)
    found, held = [], []
    for spec in specs:
        loop = HalfEpochLoop(spec, facts, images, TrainingSection(), 1)
        loop.steps.capture = loop.steps.capture and graphs
        rows = list(loop)
        found.append(
            [
                tuple(float(v).hex() for v in (r.train_loss, r.val_loss, r.val_accuracy_percent))
                for r in rows
            ]
        )
        del loop
        free_memory(device)
        held.append(torch.cuda.memory_reserved(device) if device.type == "cuda" else 0)
    return found, held


def report_differences(
    name: str, specs: list[NetworkSpec], there: list[Curve], here: list[Curve]
) -> int:
    """Print which networks differ, and return their number."""
    wrong = [s.id for s, a, b in zip(specs, there, here, strict=True) if a != b]
    print(f"{name:11} {len(specs) - len(wrong)} of {len(specs)} networks have the same bits")
    for id in wrong[:10]:  # noqa: A001
        print(f"            differs: {id}")
    return len(wrong)


def main() -> int:
    """Run all checks."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--networks", type=int, default=100)
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        print("error: no GPU is visible; --device cpu only tests this program", file=sys.stderr)
        return 1
    specs = networks(options.networks)

    def run(*each_graphs: bool) -> list[tuple[list[Curve], list]]:
        """Train all networks in fresh processes at once, one for each argument."""
        pools = [trainer_process() for _ in each_graphs]
        futures = [
            pool.submit(curves, specs, options.device, graphs)
            for pool, graphs in zip(pools, each_graphs, strict=True)
        ]
        return [future.result() for future in futures]

    ((expected, held),) = run(True)
    wrong = report_differences("eager", specs, expected, run(False)[0][0])
    wrong += report_differences("again", specs, expected, run(True)[0][0])
    for found, _ in run(True, True):
        wrong += report_differences("neighbours", specs, expected, found)
    growth = held[-1] - max(held[:10])
    print(f"row         {len(specs)} networks in a row; {growth:+,} bytes held after the last")
    return int(wrong > 0 or growth > GROWTH_BYTES)


if __name__ == "__main__":
    sys.exit(main())
