"""Images: what is read is what was published, and nothing unverified is parsed."""

import pickle
import shlex
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from image_files import (
    A_FILE,
    OWN,
    SECTION,
    WRITERS,
    Bomb,
    assert_same,
    flip_a_bit,
    no_network,  # noqa: F401
    npz,
    own,
    random_images,
    truncate,
    write_cifar100,
    write_fashion_mnist,
    write_svhn,
)

from nnlc.campaign.dataset_section import DatasetSection
from nnlc.errors import ImagesError
from nnlc.networks import ImageSet
from nnlc.training import image_sources
from nnlc.training.loaded_images import check_images, load_images
from nnlc.training.own_images import read_npz

each_set = pytest.mark.parametrize("name", WRITERS)


@each_set
def test_the_true_format_loads_to_the_arrays_and_labels_in_it(name, tmp_path, monkeypatch):
    facts, arrays = WRITERS[name](tmp_path, monkeypatch)
    if name == "SVHN":
        for kind in ("images", "labels"):
            extra = arrays[f"extra_{kind}"][:7]
            arrays[f"train_{kind}"] = np.concatenate([arrays[f"train_{kind}"], extra])
    assert_same(load_images(facts, SECTION, tmp_path), arrays)


@pytest.mark.parametrize(
    ("train", "taken"), [("train", 0), ("train+extra300000", 4), ("train+extra", 15)]
)
def test_svhn_trains_on_train_and_then_the_first_images_of_extra(
    train, taken, tmp_path, monkeypatch
):
    facts, arrays = write_svhn(tmp_path, monkeypatch, extra_taken=4)
    facts = ImageSet(
        **{key: getattr(facts, key) for key in ImageSet.__slots__}
        | {"train_images": len(arrays["train_images"]) + taken}
    )
    section = DatasetSection(networks_per_depth=1, train=train)
    images = load_images(facts, section, tmp_path)
    assert images.train_images.flags.c_contiguous
    np.testing.assert_array_equal(images.train_images[:20], arrays["train_images"])
    np.testing.assert_array_equal(images.train_images[20:], arrays["extra_images"][:taken])
    np.testing.assert_array_equal(images.train_labels[20:], arrays["extra_labels"][:taken])


def test_names_checksums_and_addresses_of_published_files_are_those_of_torchvision():
    from torchvision import datasets  # takes a second in every process that collects tests

    def facts(files):
        return [(f.path, f.checksum, f.published.archive, *f.published.urls) for f in files]

    for known, files in (
        (datasets.CIFAR10, image_sources.cifar10_files),
        (datasets.CIFAR100, image_sources.cifar100_files),
    ):
        lists = [*known.train_list, *known.test_list, (known.meta["filename"], known.meta["md5"])]
        assert facts(files(SECTION)) == [
            (f"{known.base_folder}/{name}", md5, known.filename, known.url) for name, md5 in lists
        ]
    [mirror] = datasets.FashionMNIST.mirrors
    assert [f[2:] for f in facts(image_sources.fashion_mnist_files(SECTION))] == [
        (name, mirror + name) for name, _ in datasets.FashionMNIST.resources
    ]
    assert facts(image_sources.svhn_files(SECTION)) == [
        (name, md5, name, url) for url, name, md5 in datasets.SVHN.split_list.values()
    ]


def test_the_article_s_svhn_takes_300000_images_of_extra():
    assert image_sources.svhn_extra_images(SECTION) == 300_000


def test_svhn_without_extra_needs_no_extra_file(tmp_path, monkeypatch):
    facts, _ = write_svhn(tmp_path, monkeypatch, extra_taken=0)
    (tmp_path / "extra_32x32.mat").unlink()
    section = DatasetSection(networks_per_depth=1, train="train")
    assert len(load_images(facts, section, tmp_path).train_images) == 20
    with pytest.raises(ImagesError, match=r"extra_32x32\.mat is missing"):
        check_images(facts, DatasetSection(networks_per_depth=1, train="train+extra"), tmp_path)


def test_processed_files_of_an_old_torchvision_are_not_read(tmp_path, monkeypatch):
    facts, arrays = write_fashion_mnist(tmp_path, monkeypatch)
    processed = tmp_path / "FashionMNIST" / "processed"
    processed.mkdir()
    other = (torch.zeros(30, 28, 28, dtype=torch.uint8), torch.zeros(30, dtype=torch.int64))
    for name in ("training.pt", "test.pt"):
        torch.save(other, processed / name)
    assert_same(load_images(facts, SECTION, tmp_path), arrays)


def _replace_by_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


DAMAGE = {
    "is missing": Path.unlink,
    "checksum differs|is truncated": truncate,
    "checksum differs": flip_a_bit,
    "is a folder where a file is expected": _replace_by_a_folder,
}


@each_set
@pytest.mark.parametrize("problem", DAMAGE)
@pytest.mark.parametrize("use", [load_images, check_images])
def test_a_damaged_file_is_named_with_what_is_wrong_and_the_command_that_mends_it(
    use, problem, name, tmp_path, monkeypatch
):
    root = tmp_path / "my images"
    facts, _ = WRITERS[name](root, monkeypatch)
    use(facts, SECTION, root)
    DAMAGE[problem](root / A_FILE[name])
    with pytest.raises(ImagesError, match=problem) as caught:
        use(facts, SECTION, root)
    lines = str(caught.value).splitlines()
    assert [str(root / A_FILE[name]) in line for line in lines] == [False, True, False]
    assert lines[-1] == f"run: nnlc stage <campaign> --root {shlex.quote(str(root))}"


def test_atruncated_idx_file_says_how_much_of_it_is_there(tmp_path, monkeypatch):
    facts, _ = write_fashion_mnist(tmp_path, monkeypatch)
    truncate(tmp_path / "FashionMNIST/raw/t10k-labels-idx1-ubyte")
    with pytest.raises(ImagesError, match="t10k-labels-idx1-ubyte is truncated: 27 of 28 bytes"):
        check_images(facts, SECTION, tmp_path)


def test_a_foreign_pickle_in_the_place_of_cifar_is_never_unpickled(tmp_path, monkeypatch):
    facts, _ = write_cifar100(tmp_path, monkeypatch)
    for name, use in (("train", load_images), ("meta", check_images)):
        (tmp_path / f"cifar-100-python/{name}").write_bytes(pickle.dumps(Bomb()))
        with pytest.raises(ImagesError, match=f"{name} is damaged or another file"):
            use(facts, SECTION, tmp_path)


@each_set
def test_loading_never_downloads(name, tmp_path, monkeypatch):
    facts, _ = WRITERS[name](tmp_path, monkeypatch)
    shutil.rmtree(tmp_path)
    for use in (load_images, check_images):
        with pytest.raises(ImagesError, match="is missing"):
            use(facts, SECTION, tmp_path)
    assert not tmp_path.exists()


@pytest.fixture(scope="module")
def opened():
    """Paths as they are opened; the hook can't be taken away again, but falls silent."""
    paths: list[str] = []
    over: list[bool] = []

    def note(event, arguments):
        if event == "open" and not over and isinstance(arguments[0], str | Path):
            paths.append(str(arguments[0]))

    sys.addaudithook(note)
    yield paths
    over.append(True)


@pytest.mark.parametrize("name", [*WRITERS, "own"])
def test_no_image_file_is_opened_twice_so_what_is_hashed_is_what_is_parsed(
    name, tmp_path, monkeypatch, opened
):
    if name == "own":
        facts, section = OWN, own(tmp_path / "mine.npz", random_images(OWN))
    else:
        facts, section = WRITERS[name](tmp_path, monkeypatch)[0], SECTION
    opened.clear()
    load_images(facts, section, tmp_path)
    there = [path for path in opened if path.startswith(str(tmp_path))]
    assert there
    assert sorted(there) == sorted(set(there))


def test_images_that_are_replaced_while_they_are_read_are_those_of_the_checksum(
    tmp_path, monkeypatch
):
    section = own(tmp_path / "mine.npz", random_images(OWN))

    def replaced_first(file, path):
        (tmp_path / "other.npz").write_bytes(npz(random_images(OWN, seed=5)))
        (tmp_path / "other.npz").replace(path)
        return read_npz(file, path)

    monkeypatch.setattr("nnlc.training.image_sources.read_npz", replaced_first)
    assert_same(load_images(OWN, section, tmp_path), random_images(OWN))


def test_images_that_are_written_to_while_they_are_read_are_refused(tmp_path, monkeypatch):
    section = own(tmp_path / "mine.npz", random_images(OWN))

    def written_first(file, path):
        path.write_bytes(npz(random_images(OWN, seed=5)))
        return read_npz(file, path)

    monkeypatch.setattr("nnlc.training.image_sources.read_npz", written_first)
    with pytest.raises(ImagesError, match=r"mine\.npz"):
        load_images(OWN, section, tmp_path)
