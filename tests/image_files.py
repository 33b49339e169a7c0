"""Small image sets in the true formats of the published ones, with nnlc's checksums made to fit.

Import `no_network` wherever this is used: it is a fixture that turns every download into an error.

Each `write_*` fills a root as torchvision lays it out, and returns the facts and arrays that were
written: images (N, C, H, W) uint8, labels (N,).
"""

import gzip
import hashlib
import io
import pickle
import tarfile
from pathlib import Path

import needs
import numpy as np
import pytest

from nnlc.campaign.dataset_section import DatasetSection
from nnlc.networks import ImageSet
from nnlc.networks.image_sets import CIFAR10, CIFAR100, FASHION_MNIST, SVHN
from nnlc.training import image_sources, stage
from nnlc.training.loaded_images import Images

Arrays = dict[str, np.ndarray]
SECTION = DatasetSection(networks_per_depth=1)
OWN = ImageSet(
    name="mine",
    table_name="mine",
    channels=2,
    width=5,
    classes=3,
    train_images=9,
    validation_images=6,
)
DEBIAN = needs.FASHION_MNIST
A_FILE = {
    "CIFAR-10": "cifar-10-batches-py/data_batch_4",
    "CIFAR-100": "cifar-100-python/train",
    "F-MNIST": "FashionMNIST/raw/t10k-images-idx3-ubyte",
    "SVHN": "extra_32x32.mat",
}


def random_images(
    facts: ImageSet, *, train: int | None = None, validation: int | None = None, seed: int = 1
) -> Arrays:
    """Four arrays as `Images` has them, with every class in both splits."""
    random = np.random.default_rng(seed)
    arrays = {}
    sizes = (train or facts.train_images, validation or facts.validation_images)
    for split, size in zip(("train", "validation"), sizes, strict=True):
        shape = (size, facts.channels, facts.width, facts.width)
        arrays[f"{split}_images"] = random.integers(0, 256, shape, dtype=np.uint8)
        arrays[f"{split}_labels"] = random.permutation(size) % facts.classes
    return arrays


def small(known: ImageSet, train: int, validation: int) -> ImageSet:
    """A known image set with fewer images."""
    fields = {key: getattr(known, key) for key in ImageSet.__slots__}
    return ImageSet(**fields | {"train_images": train, "validation_images": validation})


def write_cifar100(root: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[ImageSet, Arrays]:
    """`cifar-100-python/{train,test,meta}`: pickles as Python 2 wrote them."""
    facts = small(CIFAR100, 120, 100)
    arrays = random_images(facts)
    files = {
        name: {
            "data": arrays[f"{split}_images"].reshape(len(arrays[f"{split}_images"]), -1),
            "fine_labels": arrays[f"{split}_labels"].tolist(),
            "coarse_labels": [0] * len(arrays[f"{split}_labels"]),
        }
        for name, split in (("train", "train"), ("test", "validation"))
    }
    files["meta"] = {"fine_label_names": [str(label) for label in range(100)]}
    pinned = write_pickles(root / "cifar-100-python", files)
    monkeypatch.setattr(image_sources, "CIFAR100_FILES", pinned)
    return facts, arrays


def write_cifar10(root: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[ImageSet, Arrays]:
    """`cifar-10-batches-py/{data_batch_1, …, data_batch_5, test_batch, batches.meta}`."""
    facts = small(CIFAR10, 60, 20)
    arrays = random_images(facts)
    files = {}
    for name, split, first, last in (
        *((f"data_batch_{part}", "train", 12 * part - 12, 12 * part) for part in range(1, 6)),
        ("test_batch", "validation", 0, 20),
    ):
        images, labels = (arrays[f"{split}_{kind}"][first:last] for kind in ("images", "labels"))
        files[name] = {"data": images.reshape(len(images), -1), "labels": labels.tolist()}
    files["batches.meta"] = {"label_names": [str(label) for label in range(10)]}
    pinned = write_pickles(root / "cifar-10-batches-py", files)
    monkeypatch.setattr(image_sources, "CIFAR10_FILES", pinned)
    return facts, arrays


def write_pickles(folder: Path, files: dict[str, dict]) -> dict[str, str]:
    """Pickles as Python 2 wrote them; returns their md5."""
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(pickle.dumps(content, protocol=2))
    return {name: md5(folder / name) for name in files}


def write_fashion_mnist(root: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[ImageSet, Arrays]:
    """`FashionMNIST/raw/*-ubyte`: uncompressed idx."""
    facts = small(FASHION_MNIST, 30, 20)
    arrays = random_images(facts)
    folder = root / "FashionMNIST" / "raw"
    folder.mkdir(parents=True)
    pinned = {}
    for name, split in (("train", "train"), ("t10k", "validation")):
        for kind, array in (
            ("images-idx3", arrays[f"{split}_images"][:, 0]),
            ("labels-idx1", arrays[f"{split}_labels"].astype(np.uint8)),
        ):
            path = folder / f"{name}-{kind}-ubyte"
            path.write_bytes(idx(array))
            content = path.read_bytes()
            pinned[path.name] = (hashlib.sha256(content).hexdigest(), len(content))
    monkeypatch.setattr(image_sources, "FASHION_MNIST_FILES", pinned)
    return facts, arrays


def write_svhn(
    root: Path, monkeypatch: pytest.MonkeyPatch, *, extra_taken: int = 7
) -> tuple[ImageSet, Arrays]:
    """`{train,test,extra}_32x32.mat`: X (32, 32, 3, N), y (N, 1) with 10 for the digit 0.

    The arrays have extra_images and extra_labels too; `train+extra300000` is made to take
    `extra_taken` of them.
    """
    import scipy.io  # not needed by tests of the light installation

    facts = small(SVHN, 20 + extra_taken, 12)
    arrays = random_images(facts, train=20)
    more = random_images(facts, train=15, seed=2)
    arrays |= {"extra_images": more["train_images"], "extra_labels": more["train_labels"]}
    root.mkdir(parents=True, exist_ok=True)
    pinned = {}
    for split, key in (("train", "train"), ("test", "validation"), ("extra", "extra")):
        path = root / f"{split}_32x32.mat"
        labels = arrays[f"{key}_labels"]
        mat = {
            "X": arrays[f"{key}_images"].transpose(2, 3, 1, 0),
            "y": np.where(labels == 0, 10, labels).astype(np.uint8)[:, None],
        }
        scipy.io.savemat(path, mat, do_compression=True)
        pinned[split] = md5(path)
    monkeypatch.setattr(image_sources, "SVHN_FILES", pinned)
    monkeypatch.setitem(image_sources.SVHN_EXTRA_IMAGES, "train+extra300000", extra_taken)
    return facts, arrays


WRITERS = {
    "CIFAR-10": write_cifar10,
    "CIFAR-100": write_cifar100,
    "F-MNIST": write_fashion_mnist,
    "SVHN": write_svhn,
}


def pack_as_published(root: Path, folder: Path) -> None:
    """The archives that a root's files are published as, in a folder of their own."""
    folder.mkdir()
    for name, packed in (
        ("cifar-10-python", "cifar-10-batches-py"),
        ("cifar-100-python", "cifar-100-python"),
    ):
        if (root / packed).exists():
            with tarfile.open(folder / f"{name}.tar.gz", "w:gz") as archive:
                archive.add(root / packed, packed)
    for path in root.glob("FashionMNIST/raw/*-ubyte"):
        (folder / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
    for path in root.glob("*.mat"):
        (folder / path.name).write_bytes(path.read_bytes())


def idx(array: np.ndarray) -> bytes:
    """MNIST's format: two zero bytes, type, dimensions, big-endian sizes, values."""
    sizes = np.array(array.shape, dtype=">u4").tobytes()
    return bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes()


def npz(arrays: Arrays) -> bytes:
    """The bytes of an .npz file; object arrays are pickled into it."""
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def truncate(path: Path) -> None:
    """Cut off the last byte."""
    path.write_bytes(path.read_bytes()[:-1])


def flip_a_bit(path: Path) -> None:
    """Change one bit in the middle."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def own(path: Path, arrays: Arrays) -> DatasetSection:
    """The section of a campaign for these arrays, written to `path`."""
    content = npz(arrays)
    path.write_bytes(content)
    keys = ("channels", "width", "classes", "train_images", "validation_images")
    return DatasetSection(
        networks_per_depth=1,
        npz=str(path),
        sha256=hashlib.sha256(content).hexdigest(),
        **{key: getattr(OWN, key) for key in keys},
    )


def assert_same(images: Images, arrays: Arrays) -> None:
    for key in ("train_images", "train_labels", "validation_images", "validation_labels"):
        array = getattr(images, key)
        np.testing.assert_array_equal(array, arrays[key], err_msg=key)
        assert array.dtype == (np.uint8 if key.endswith("images") else np.int64)
        assert array.flags.c_contiguous


class Bomb:
    """Unpickling it fails the test."""

    def __reduce__(self) -> tuple:
        return pytest.fail, ("a pickle was executed",)


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever would download is an error that nnlc doesn't expect."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a download was tried")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    monkeypatch.setattr(stage, "KNOWN_FOLDERS", {})
