"""The user's own images in an .npz file: reader, and description for a campaign file.

train_images, validation_images    uint8    (images, channels, width, width)
train_labels, validation_labels    integer  (images,), each 0 .. classes - 1
"""

import hashlib
import math
import os
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BufferedReader, BytesIO
from itertools import pairwise
from pathlib import Path
from typing import IO, Any, cast
from zipfile import ZipExtFile, ZipFile

import numpy as np
import numpy.typing as npt
import tomli_w

from nnlc.errors import ImagesError
from nnlc.networks import KNOWN_IMAGE_SETS, image_set_of_table
from nnlc.system.files import open_regular, why_unread
from nnlc.training.image_files import trouble_of, unchanged
from nnlc.wording import counted, first_few, reason_of

SPLITS = ("train", "validation")
ARRAYS = tuple(f"{split}_{kind}" for split in SPLITS for kind in ("images", "labels"))
_NO_NPZ, _ADVICE = "not a readable .npz file", "write it with np.savez_compressed"
_HEADER_BYTES = 1 << 16
"""Space for an array's header; NumPy reads none above 10,000 bytes."""
_MOST_INFLATED = 1032
"""Maximum ratio of inflated to compressed size: the limit of deflate, the format of npz files."""

Array = npt.NDArray[Any]


def read_npz(file: BufferedReader, path: Path) -> dict[str, Array]:
    """Return the four arrays by name: images uint8 (N, C, H, W) in C order, labels int64 (N,).

    Args:
        file: the open file.
        path: its path, for messages.

    Raises:
        ImagesError: the file can't be read, or an array is missing or has a wrong type or shape.
    """
    arrays = _load(file, path)
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


def image_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Return the shapes of both arrays of images by split, from their headers.

    Raises:
        ImagesError: the file or a header can't be read.
    """
    try:
        opened = open_regular(path)
    except OSError as problem:
        raise ImagesError(f"{path} {trouble_of(problem)}") from None
    shapes = {}
    with opened as file, _as_images_error(f"{path}: {_NO_NPZ}", _ADVICE), ZipFile(file) as archive:
        for split in SPLITS:
            with archive.open(_member(archive, f"{split}_images")) as member:
                shapes[split] = _read_header(member)[0]
    return shapes


def describe_npz(path: Path, networks: Mapping[str, Any] | None = None) -> str:
    """Return the section `[datasets.NAME]`, as TOML, with which a campaign uses these images.

    Comments above it warn of contents that are legal but probably mistakes.

    Args:
        path: the file.
        networks: keys of the section that say which networks there are; default: a network of
            each of the article's depths.

    Raises:
        ImagesError: the file can't be used as images; the message says what would be right.
    """
    try:
        opened = open_regular(path)
    except FileNotFoundError:
        raise ImagesError(f"{path}: no such file") from None
    except OSError as problem:
        raise ImagesError(f"{path}: not a readable .npz file: it {why_unread(problem)}") from None
    with opened as file, unchanged(file, path):
        checksum = hashlib.file_digest(file, "sha256").hexdigest()
        arrays = read_npz(file, path)
    train, validation = arrays["train_images"], arrays["validation_images"]
    if train.shape[1:] != validation.shape[1:]:
        raise ImagesError(
            f"{path}: arrays train_images and validation_images must agree in channels and width, "
            f"but their shapes are {train.shape} and {validation.shape}"
        )
    _check_trainable(path, arrays)
    place = str(path.resolve())
    if not place.isprintable():
        raise ImagesError(f"{path}: a campaign file can't hold this name; rename the file")
    facts = {
        **({"networks_per_depth": 1} if networks is None else networks),
        "npz": place,
        "sha256": checksum,
        "channels": train.shape[1],
        "width": train.shape[2],
        "classes": _classes(arrays),
        "train_images": len(train),
        "validation_images": len(validation),
        "largest_class": int(np.unique(arrays["validation_labels"], return_counts=True)[1].max()),
    }
    notes = "".join(f"# note: {note}\n" for note in _likely_mistakes(arrays))
    text = tomli_w.dumps({"datasets": {_dataset_name(path): facts}})
    return notes + re.sub(r"\[\n *(\d+),\n *(\d+),\n\]", r"[\1, \2]", text)


def _classes(arrays: dict[str, Array]) -> int:
    return 1 + int(max(arrays[f"{split}_labels"].max() for split in SPLITS))


def _check_trainable(path: Path, arrays: dict[str, Array]) -> None:
    """Raise ImagesError if training has a single class, or pixels that are all equal."""
    labels, images = arrays["train_labels"], arrays["train_images"]
    if labels.min() == labels.max():
        raise ImagesError(
            f"{path}: every label in train_labels is {labels[0]}; "
            "at least 2 classes are needed, labelled 0, 1, ..."
        )
    if images.min() == images.max():
        raise ImagesError(
            f"{path}: every pixel in train_images is {images.min()}; pixels must be 0 to 255"
        )


def _likely_mistakes(arrays: dict[str, Array]) -> Iterator[str]:
    """Yield a sentence for each property that is legal but probably a mistake."""
    classes = _classes(arrays)
    trained, validated = (np.unique(arrays[f"{split}_labels"]).tolist() for split in SPLITS)
    if untrained := classes - len(trained):
        yield (
            f"no training image has {_labels_between(trained, classes)}, so {untrained:,} of the "
            f"{counted(classes, 'class', 'classes')} can't be learned; labels should be "
            "0, 1, ... without gaps"
        )
    if unseen := len(set(validated) - set(trained)):
        yield f"validation images have {counted(unseen, 'label')} that no training image has"
    if unchecked := len(set(trained) - set(validated)):
        yield f"training images have {counted(unchecked, 'label')} that no validation image has"
    digests: list[list[bytes]] = []
    for split, kind in zip(SPLITS, ("training", "validation"), strict=True):
        images, labels = arrays[f"{split}_images"], arrays[f"{split}_labels"]
        low, high, changes = images.min(), images.max(), np.count_nonzero(np.diff(labels))
        if low == high:
            yield f"every pixel in {split}_images is {low}"
        elif high <= 1:
            words = "no pixel is above 1, where 0 to 255 is expected; were they divided by 255?"
            yield f"in {split}_images {words}"
        if 0 < changes < len(np.unique(labels)) < len(labels):
            left_out = f"those that fill no batch, all of label {labels[-1]}, are never used"
            yield f"{kind} images are sorted by label, so {left_out}; shuffle them"
        digests.append([hashlib.blake2b(image, digest_size=16).digest() for image in images])
        labelled = set(zip(digests[-1], labels.tolist(), strict=True))
        if again := len(labelled) - len(set(digests[-1])):
            yield f"equal {kind} images have different labels, {counted(again, 'time')}"
    known = set(digests[0])
    if alike := sum(image in known for image in digests[1]):
        yield f"{alike:,} of {len(digests[1]):,} validation images are also training images"


def _labels_between(known: list[int], classes: int) -> str:
    """Return a text for the labels below `classes` that are not known: "labels 0, 3 to 7"."""
    gaps = [(a + 1, b - 1) for a, b in pairwise([-1, *known, classes]) if b - a > 1]
    texts = [str(low) if low == high else f"{low} to {high}" for low, high in gaps]
    one = len(gaps) == 1 and gaps[0][0] == gaps[0][1]
    return f"{'label' if one else 'labels'} {', '.join(first_few(texts))}"


@contextmanager
def _as_images_error(what: str, advice: str) -> Iterator[None]:
    """Turn any exception of numpy, zipfile and zlib into an ImagesError.

    These libraries raise nearly any type: numpy parses an array's header as Python code.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except ImagesError:
        raise
    except Exception as problem:
        raise ImagesError(f"{what} ({reason_of(problem)}); {advice}") from None


def _load(file: BufferedReader, path: Path) -> dict[str, Array]:
    with _as_images_error(f"{path}: {_NO_NPZ}", _ADVICE):
        file.seek(0)
        if file.read(6) == b"\x93NUMPY":
            raise ValueError("it is a single array")
        with ZipFile(file) as archive:
            names = [name.removesuffix(".npy") for name in archive.namelist()]
            missing = [name for name in ARRAYS if name not in names]
            if missing:
                has = ", ".join(first_few([name[:80] for name in names]))
                raise ImagesError(
                    f"{path}: no array {missing[0]}; it needs {', '.join(ARRAYS)}, "
                    f"and has {has or 'none'}"
                )
            size = os.fstat(file.fileno()).st_size
            return {name: _load_array(path, archive, name, size) for name in ARRAYS}


def _load_array(path: Path, archive: ZipFile, name: str, file_size: int) -> Array:
    """Return one array, after checking that the file can hold as many bytes as its header says."""
    what = f"{path}: array {name} can't be read"
    advice = "it must be a plain array of integers, written with np.savez_compressed"
    with _as_images_error(what, advice):
        member_name = _member(archive, name)
        member = cast(ZipExtFile, archive.open(member_name))
        with member, BufferedReader(member, _HEADER_BYTES) as content:
            header = BytesIO(content.peek())
            shape, dtype = _read_header(header)
            promised = math.prod(shape) * dtype.itemsize
            held = archive.getinfo(member_name).file_size - header.tell()
            if dtype.hasobject:
                raise ValueError("it is pickled")
            if promised != held or held > file_size * _MOST_INFLATED:
                raise ValueError(f"its header says {promised:,} bytes, and it has {held:,}")
            array: Array = np.lib.format.read_array(content, allow_pickle=False)
            content.read()  # zipfile compares the checksum at the end
        return array


def _member(archive: ZipFile, name: str) -> str:
    return f"{name}.npy" if f"{name}.npy" in archive.namelist() else name


def _read_header(member: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = np.lib.format.read_magic(member)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"it is of numpy's format {version[0]}.{version[1]}")
    first = version == (1, 0)
    read = np.lib.format.read_array_header_1_0 if first else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(member)
    if any(length < 0 for length in shape):
        raise ValueError(f"its shape is {shape}")
    return shape, dtype


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
            f"{path}: array {name} has shape {labels.shape}; it must be (images,), "
            "one label per image"
        )
    # Checked before the conversion, in which a huge unsigned label would overflow.
    low, high = int(labels.min()), int(labels.max())
    if not 0 <= low <= high < 2**31:
        raise ImagesError(
            f"{path}: array {name} has labels from {low} to {high}; they must be 0 .. classes - 1"
        )
    return labels.astype(np.int64)


def _dataset_name(path: Path) -> str:
    """Return the file's stem if a dataset can have that name, else "my-images"."""
    name = path.stem
    taken = name in KNOWN_IMAGE_SETS or image_set_of_table(name) is not None
    fits = re.fullmatch("[A-Za-z0-9][A-Za-z0-9_-]{0,63}", name)
    return name if fits and not taken else "my-images"
