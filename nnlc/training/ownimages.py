"""Images in an .npz file: read with every mistake named, and described for a campaign file.

train_images, validation_images    uint8    (images, channels, width, width)
train_labels, validation_labels    integer  (images,), each 0 .. classes - 1
"""

import hashlib
import re
import zlib
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
import tomli_w

from nnlc.errors import ImagesError
from nnlc.networks import KNOWN_IMAGE_SETS, image_set_of_table

SPLITS = ("train", "validation")
ARRAYS = tuple(f"{split}_{kind}" for split in SPLITS for kind in ("images", "labels"))
# What numpy and zipfile raise on files that are no npz, are damaged, or promise absurd shapes.
# A pickled array is a ValueError, since allow_pickle is off: a pickle could run any code.
_UNREADABLE = (
    OSError,
    ValueError,
    EOFError,
    MemoryError,
    NotImplementedError,
    RuntimeError,
    BadZipFile,
    zlib.error,
)

Array = npt.NDArray[Any]


def read_npz(path: Path) -> dict[str, Array]:
    """The four arrays by name: images uint8 (N, C, H, W) in C order, labels int64 (N,).

    Raises:
        ImagesError: the file can't be read, or an array is missing or not as it should be.
    """
    arrays = _load(path)
    for split in SPLITS:
        images, labels = f"{split}_images", f"{split}_labels"
        arrays[images] = _checked_images(path, images, arrays[images])
        arrays[labels] = _checked_labels(path, labels, arrays[labels])
        if len(arrays[images]) != len(arrays[labels]):
            raise ImagesError(
                f"{path}: array {labels} has {len(arrays[labels])} labels for "
                f"{len(arrays[images])} images in {images}; each image needs one"
            )
    return arrays


def describe_npz(path: Path) -> str:
    """The `[datasets.NAME]` block of TOML with which a campaign uses these images.

    Raises:
        ImagesError: the file isn't usable as images; the message says what would be right.
    """
    arrays = read_npz(path)
    train, validation = arrays["train_images"], arrays["validation_images"]
    if train.shape[1:] != validation.shape[1:]:
        raise ImagesError(
            f"{path}: arrays train_images and validation_images must agree in channels and width, "
            f"but their shapes are {train.shape} and {validation.shape}"
        )
    classes = 1 + int(max(arrays[f"{split}_labels"].max() for split in SPLITS))
    if classes < 2:
        raise ImagesError(
            f"{path}: every label in train_labels and validation_labels is 0; "
            "at least 2 classes are needed, labelled 0, 1, ..."
        )
    facts = {
        "networks_per_depth": 1,
        "npz": str(path.resolve()),
        "sha256": _sha256(path),
        "channels": train.shape[1],
        "width": train.shape[2],
        "classes": classes,
        "train_images": len(train),
        "validation_images": len(validation),
    }
    return tomli_w.dumps({"datasets": {_free_name(path): facts}})


def _load(path: Path) -> dict[str, Array]:
    try:
        file = np.load(path, allow_pickle=False)
        if not isinstance(file, np.lib.npyio.NpzFile):
            raise ValueError("it is a single array")
        with file:
            missing = [name for name in ARRAYS if name not in file.files]
            if missing:
                raise ImagesError(
                    f"{path}: no array {missing[0]}; it needs {', '.join(ARRAYS)}, "
                    f"and has {', '.join(file.files) or 'none'}"
                )
            return {name: _load_array(path, file, name) for name in ARRAYS}
    except FileNotFoundError:
        raise ImagesError(f"{path}: no such file") from None
    except _UNREADABLE as problem:
        raise ImagesError(
            f"{path}: not a readable .npz file ({problem}); write it with np.savez_compressed"
        ) from problem


def _load_array(path: Path, file: Any, name: str) -> Array:
    try:
        array: Array = file[name]
    except _UNREADABLE as problem:
        raise ImagesError(
            f"{path}: array {name} can't be read ({problem}); it must be a plain array of "
            "integers, written with np.savez_compressed"
        ) from problem
    return array


def _checked_images(path: Path, name: str, images: Array) -> Array:
    if images.dtype != np.uint8:
        raise ImagesError(
            f"{path}: array {name} has dtype {images.dtype}; it must be uint8, pixels 0 to 255"
        )
    if images.ndim != 4 or 0 in images.shape:
        raise ImagesError(
            f"{path}: array {name} has shape {images.shape}; it must be "
            "(images, channels, width, width), none of them 0, with channels 1 for grey images"
        )
    if images.shape[2] != images.shape[3]:
        raise ImagesError(
            f"{path}: array {name} has shape {images.shape}: images of {images.shape[2]} by "
            f"{images.shape[3]} pixels; they must be square, "
            "(images, channels, width, width). Channels come before the pixels, not after"
        )
    return np.ascontiguousarray(images)


def _checked_labels(path: Path, name: str, labels: Array) -> Array:
    if labels.dtype.kind not in "iu":
        raise ImagesError(
            f"{path}: array {name} has dtype {labels.dtype}; it must be of integers, such as int64"
        )
    if labels.ndim != 1 or not len(labels):
        raise ImagesError(
            f"{path}: array {name} has shape {labels.shape}; it must be (images,), a label an image"
        )
    # Before the conversion, which would wrap a huge unsigned label around.
    low, high = int(labels.min()), int(labels.max())
    if not 0 <= low <= high < 2**31:
        raise ImagesError(
            f"{path}: array {name} has labels from {low} to {high}; they must be 0 .. classes - 1"
        )
    return labels.astype(np.int64)


def _free_name(path: Path) -> str:
    """The file's own name where a dataset may be called so, else one that is to be replaced."""
    name = path.stem
    taken = name in KNOWN_IMAGE_SETS or image_set_of_table(name) is not None
    fits = re.fullmatch("[A-Za-z0-9][A-Za-z0-9_-]{0,63}", name)
    return name if fits and not taken else "my-images"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
