"""Maker of the bundled sample: `python -m nnlc.training.sample.make_sample FOLDER`.

FOLDER has Fashion-MNIST's four .gz files. The sample is the first 400 images of each class of the
training set and the first 100 of each class of the test set, in the dataset's own order. It has the
same bytes on any machine.
"""

import argparse
import gzip
import hashlib
import io
import sys
from pathlib import Path
from zipfile import ZIP_BZIP2, ZipFile, ZipInfo

import numpy as np

from nnlc.errors import ImagesError
from nnlc.training.image_sources import FASHION_MNIST_FILES, SAMPLE_PATH
from nnlc.training.own_images import Array

SPLITS = {"train": ("train", 400), "validation": ("t10k", 100)}
"""Name of each split to its name in Fashion-MNIST and its number of images of each class."""
CLASSES = 10


def make_sample(folder: Path) -> bytes:
    """Return the sample's .npz file, made from the four .gz files in `folder`.

    Raises:
        ImagesError: a file is missing or isn't Fashion-MNIST's.
    """
    arrays = {}
    for split, (name, per_class) in SPLITS.items():
        pixels = _read_idx(folder, f"{name}-images-idx3-ubyte", header_bytes=16)
        labels = _read_idx(folder, f"{name}-labels-idx1-ubyte", header_bytes=8)
        chosen = first_of_each_class(labels, per_class)
        arrays[f"{split}_images"] = pixels.reshape(-1, 1, 28, 28)[chosen]
        arrays[f"{split}_labels"] = labels[chosen].astype("<i8")
    return npz_bytes(arrays)


def first_of_each_class(labels: Array, per_class: int) -> Array:
    """Return the ascending indices (CLASSES * per_class,) of each class's first images."""
    firsts = [np.flatnonzero(labels == label)[:per_class] for label in range(CLASSES)]
    return np.sort(np.concatenate(firsts))


def npz_bytes(arrays: dict[str, Array]) -> bytes:
    """Return an .npz file that depends on the arrays alone; np.savez would add the current time."""
    file = io.BytesIO()
    with ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            entry = ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            entry.create_system = 3  # Unix, wherever this runs
            # bzip2's output is frozen; deflate's differs between zlib and its successors.
            entry.compress_type = ZIP_BZIP2
            content = io.BytesIO()
            np.lib.format.write_array(content, array, version=(1, 0), allow_pickle=False)
            archive.writestr(entry, content.getvalue())
    return file.getvalue()


def _read_idx(folder: Path, name: str, header_bytes: int) -> Array:
    """Return all bytes after the header of one idx file, uint8 (N,)."""
    path = folder / f"{name}.gz"
    try:
        content = gzip.decompress(path.read_bytes())
    except (OSError, EOFError) as problem:
        raise ImagesError(f"{path}: can't be read ({problem})") from problem
    if hashlib.sha256(content).hexdigest() != FASHION_MNIST_FILES[name][0]:
        raise ImagesError(f"{path}: not Fashion-MNIST's file, its checksum differs")
    return np.frombuffer(content, dtype=np.uint8, offset=header_bytes)


def main() -> None:
    """Write the sample and print its checksum, which `nnlc.training.image_sources` has."""
    parser = argparse.ArgumentParser(prog="python -m nnlc.training.sample.make_sample")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="has the four idx .gz files")
    try:
        content = make_sample(parser.parse_args().folder)
    except ImagesError as problem:
        sys.exit(str(problem))
    SAMPLE_PATH.write_bytes(content)
    print(f"{SAMPLE_PATH}: {len(content):,} bytes, sha256 {hashlib.sha256(content).hexdigest()}")


if __name__ == "__main__":
    main()
