"""The bundled sample: what it holds, and that anyone can make it again."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from image_files import (
    DEBIAN,
    OWN,
    SECTION,
    flip_a_bit,
    no_network,  # noqa: F401
    pack_as_published,
    random_images,
    write_fashion_mnist,
)

from nnlc.errors import ImagesError
from nnlc.networks.image_sets import FASHION_MNIST_SAMPLE
from nnlc.training import image_sources
from nnlc.training.loaded_images import check_images, load_images
from nnlc.training.sample.make_sample import first_of_each_class, make_sample, npz_bytes


def test_the_sample_is_small_and_balanced():
    assert image_sources.SAMPLE_PATH.stat().st_size < 3_000_000
    images = load_images(FASHION_MNIST_SAMPLE, SECTION, Path("no root"))
    assert images.train_images.shape == (4_000, 1, 28, 28)
    assert images.validation_images.shape == (1_000, 1, 28, 28)
    assert np.bincount(images.train_labels).tolist() == [400] * 10
    assert np.bincount(images.validation_labels).tolist() == [100] * 10


def test_the_sample_keeps_the_order_of_its_origin():
    labels = np.array([3, 1, 3, 0, 1, 3, *range(10)], dtype=np.uint8)
    assert first_of_each_class(labels, 2).tolist() == [0, 1, 2, 3, 4, 6, 8, *range(10, 16)]


def test_the_sample_s_bytes_depend_on_its_arrays_alone(monkeypatch):
    arrays = random_images(OWN)
    before = npz_bytes(arrays)
    monkeypatch.setattr("time.time", lambda: 2e9)
    assert npz_bytes(arrays) == before


def test_the_sample_s_readme_gives_its_checksum():
    readme = image_sources.SAMPLE_PATH.with_name("README.md").read_text()
    assert hashlib.sha256(image_sources.SAMPLE_PATH.read_bytes()).hexdigest() in readme


@pytest.mark.needs("Fashion-MNIST")
def test_make_sample_reproduces_the_sample_to_the_byte():
    assert make_sample(DEBIAN) == image_sources.SAMPLE_PATH.read_bytes()


def test_make_sample_refuses_what_is_not_fashion_mnist(tmp_path, monkeypatch):
    with pytest.raises(ImagesError, match=r"train-images-idx3-ubyte\.gz: can't be read"):
        make_sample(tmp_path)
    with monkeypatch.context() as patched:
        write_fashion_mnist(tmp_path / "root", patched)
    pack_as_published(tmp_path / "root", tmp_path / "archives")
    with pytest.raises(ImagesError, match=r"train-images-idx3-ubyte\.gz: not Fashion-MNIST's"):
        make_sample(tmp_path / "archives")


def test_a_damaged_sample_is_refused(tmp_path, monkeypatch):
    copy = tmp_path / "sample.npz"
    copy.write_bytes(image_sources.SAMPLE_PATH.read_bytes())
    monkeypatch.setattr(image_sources, "SAMPLE_PATH", copy)
    check_images(FASHION_MNIST_SAMPLE, SECTION, tmp_path)
    flip_a_bit(copy)
    with pytest.raises(ImagesError, match=r"(?s)sample\.npz .*checksum differs.*install nnlc"):
        load_images(FASHION_MNIST_SAMPLE, SECTION, tmp_path)
