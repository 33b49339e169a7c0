"""Cost of checkpoints: `python benchmarks/checkpoints.py [--folder FOLDER] [--saves N]`.

Trains a network of the article's median size and one of its 99th percentile on the bundled images,
on the CPU. Saves each several times in two ways by turns: as a trainer does, with checksum and
sync, and with torch.save. "share" is the share of a run's time at the default interval.

Then the cost of kept weights (`run.keep`): a copy of the best weights, made after a half epoch at
most, as a share of the half epoch; and the file of the final weights, written once, as a share of
a training of 40 epochs.
"""

import argparse
import contextlib
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch

from nnlc.campaign.campaign import DatasetSection, RunSection, TrainingSection
from nnlc.families.article import NetworkSpec, SearchSpace, sample_network, walk_network
from nnlc.families.article.family import ARTICLE
from nnlc.networks import KNOWN_IMAGE_SETS
from nnlc.system.files import make_folder
from nnlc.training.attempt import SAVING_SHARE
from nnlc.training.checkpoint import Checkpoints
from nnlc.training.kept_weights import KeptWeights
from nnlc.training.loaded_images import load_images
from nnlc.training.loop import HalfEpochLoop
from nnlc.training.pixels import DeviceImages

IMAGES = KNOWN_IMAGE_SETS["F-MNIST-sample"]
INTERVAL_SECONDS = 60 * RunSection().checkpoint_minutes
PAPER_EPOCHS = 40
HIDDEN_UNITS = {"median": 401, "99th percentile": 5966}
COLUMNS = ("network", "parameters", "bytes", "s a save", "MB/s", "share", "plain: s", "ours/plain")


KEPT_COLUMNS = ("network", "s a half epoch", "best: s a copy", "share", "final: s", "share")


class AllSavedError(Exception):
    """Signal that all saves are done."""


def network(hidden_units: int) -> NetworkSpec:
    """Return a network with nearly all parameters in a fully connected layer, and momentum."""
    space = SearchSpace(
        kernel=(5, 5),
        stride=(1, 1),
        padding=(0, 0),
        filters=(16, 16),
        blocks=(1,),
        fc_layers=(2, 2),
        fc_units=(hidden_units, hidden_units),
        momentum="always",
        batch_size=(25, 25),
    )
    return sample_network(space, IMAGES, 1, 1, id="2026_01_01_00_00_00_000000", train_gpu=False)


def seconds_of(action: Callable[[], object]) -> float:
    """Return the seconds that one call takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def measure(name: str, images: DeviceImages, folder: Path, saves: int) -> tuple[object, ...]:
    """Return one line of the table, with medians over the saves."""
    spec = network(HIDDEN_UNITS[name])
    kept = Checkpoints(folder, spec.id, {"network": spec.to_json()})
    ours: list[float] = []
    plain: list[float] = []

    def save_now_and_then() -> None:
        if loop.step % 2 == 0:  # each save has new weights
            ours.append(seconds_of(lambda: kept.save(loop.state())))
            plain.append(seconds_of(lambda: torch.save(loop.state(), folder / "plain.pt")))
        if len(ours) == saves:
            raise AllSavedError

    loop = HalfEpochLoop(ARTICLE, spec, IMAGES, images, TrainingSection(), 1, save_now_and_then)
    with contextlib.suppress(AllSavedError):
        list(loop)
    size = max(path.stat().st_size for path in folder.glob("*.ckpt"))
    seconds = median(ours)
    share = seconds / max(INTERVAL_SECONDS, seconds / SAVING_SHARE)
    parameters, rate = walk_network(spec, IMAGES).parameters, size / seconds / 1e6
    return name, parameters, size, seconds, rate, share, median(plain), seconds / median(plain)


def measure_kept(name: str, images: DeviceImages, folder: Path, times: int) -> tuple[object, ...]:
    """Return one line of the table on kept weights, with medians."""
    spec = network(HIDDEN_UNITS[name])
    checkpoints = Checkpoints(folder, spec.id, {"network": spec.to_json()})
    loop = HalfEpochLoop(ARTICLE, spec, IMAGES, images, TrainingSection(), 0.5)
    list(loop)
    seconds = []
    for keep in ("best", "final"):
        kept = KeptWeights(folder / "kept.safetensors", keep, checkpoints, spec, make_folder)
        act = kept.add_row if keep == "best" else kept.write
        seconds.append(median(seconds_of(lambda act=act: act(loop)) for _ in range(times)))
    best, final = seconds
    half_epoch, half_epochs = loop.seconds[0], 2 * PAPER_EPOCHS
    share = final / (final + half_epochs * half_epoch)
    return name, half_epoch, best, best / half_epoch, final, share


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[1])
    parser.add_argument("--folder", help="on the file system to measure (the temporary one)")
    parser.add_argument("--saves", type=int, default=5, help="of each network (%(default)s)")
    arguments = parser.parse_args()
    loaded = load_images(IMAGES, DatasetSection(networks_per_depth=1), Path())
    images = DeviceImages(loaded, TrainingSection(), torch.device("cpu"))
    print("{:15} {:>10} {:>10} {:>8} {:>6} {:>8} {:>8} {:>10}".format(*COLUMNS))
    for name in HIDDEN_UNITS:
        with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
            line = measure(name, images, Path(folder), arguments.saves)
        print("{:15} {:10} {:10} {:8.3f} {:6.0f} {:8.5f} {:8.3f} {:10.2f}".format(*line))
    print("\n{:15} {:>14} {:>14} {:>9} {:>8} {:>9}".format(*KEPT_COLUMNS))
    for name in HIDDEN_UNITS:
        with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
            kept = measure_kept(name, images, Path(folder), arguments.saves)
        print("{:15} {:14.2f} {:14.5f} {:9.6f} {:8.3f} {:9.6f}".format(*kept))


if __name__ == "__main__":
    main()
