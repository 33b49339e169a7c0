"""Staging: good files reach the root, from wherever they are, and bad ones never do."""

import shlex
import shutil
from datetime import datetime
from email.message import Message
from http.client import HTTPResponse
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from urllib.error import URLError
from urllib.request import Request
from urllib.response import addinfourl

import numpy as np
import pytest
from image_files import (
    A_FILE,
    DEBIAN,
    OWN,
    SECTION,
    WRITERS,
    flip_a_bit,
    no_network,  # noqa: F401
    own,
    pack_as_published,
    random_images,
    truncate,
    write_cifar100,
    write_fashion_mnist,
    write_svhn,
)
from table_samples import tree

from nnlc.campaign.campaign import Campaign
from nnlc.campaign.dataset_section import DatasetSection
from nnlc.errors import ImagesError
from nnlc.networks.image_sets import FASHION_MNIST, FASHION_MNIST_SAMPLE
from nnlc.training.loaded_images import check_images, load_images
from nnlc.training.sample.make_sample import first_of_each_class
from nnlc.training.stage import stage_images

each_set = pytest.mark.parametrize("name", WRITERS)


def campaign(*names: str, **sections: DatasetSection) -> Campaign:
    return Campaign(
        name="test",
        seed=1,
        stamp=datetime(2024, 1, 1),
        datasets=dict.fromkeys(names, SECTION) | sections,
    )


@pytest.mark.needs("Fashion-MNIST")
def test_the_real_fashion_mnist_is_staged_from_debian_s_package(tmp_path, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: pytest.fail("download tried"))
    said: list[str] = []
    stage_images(campaign("F-MNIST"), tmp_path, report=said.append)
    assert said == [f"F-MNIST: 4 of 4 files taken from {DEBIAN}, verified"]
    images = load_images(FASHION_MNIST, SECTION, tmp_path)
    assert np.bincount(images.train_labels).tolist() == [6_000] * 10
    assert np.bincount(images.validation_labels).tolist() == [1_000] * 10
    sample = load_images(FASHION_MNIST_SAMPLE, SECTION, tmp_path)
    chosen = first_of_each_class(images.train_labels, 400)
    np.testing.assert_array_equal(images.train_images[chosen], sample.train_images)


@each_set
@pytest.mark.parametrize("archives", [False, True], ids=["layout", "archives"])
def test_staging_takes_a_layout_or_archives_and_the_second_time_does_nothing(
    archives, name, tmp_path, monkeypatch
):
    source, root = tmp_path / "source", tmp_path / "new" / "root"
    facts, _ = WRITERS[name](source, monkeypatch)
    expected = tree(source)
    if archives:
        pack_as_published(source, tmp_path / "archives")
        shutil.rmtree(source)
        source = tmp_path / "archives"
    said: list[str] = []
    stage_images(campaign(name), root, source, said.append)
    assert tree(root) == expected
    load_images(facts, SECTION, root)
    written = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    shutil.rmtree(source)
    stage_images(campaign(name), root, report=said.append)
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == written
    count = len(expected)
    assert said == [
        f"{name}: {count} of {count} files taken from {source}, verified",
        f"{name}: already in {root}, verified",
    ]


def test_staging_unpacks_archives_that_lie_in_the_root(tmp_path, monkeypatch):
    facts, _ = write_cifar100(tmp_path / "source", monkeypatch)
    pack_as_published(tmp_path / "source", tmp_path / "root")
    stage_images(campaign("CIFAR-100"), tmp_path / "root", report=lambda _: None)
    check_images(facts, SECTION, tmp_path / "root")


def test_staged_files_can_be_read_by_whom_the_umask_lets(tmp_path, monkeypatch):
    write_fashion_mnist(tmp_path / "source", monkeypatch)
    stage_images(campaign("F-MNIST"), tmp_path / "root", tmp_path / "source", lambda _: None)
    plain = tmp_path / "plain"
    plain.touch()
    staged = tmp_path / "root" / A_FILE["F-MNIST"]
    assert staged.stat().st_mode == plain.stat().st_mode


def test_only_the_svhn_files_that_are_trained_on_are_staged(tmp_path, monkeypatch):
    write_svhn(tmp_path / "source", monkeypatch)
    section = DatasetSection(networks_per_depth=1, train="train")
    stage_images(campaign(SVHN=section), tmp_path / "root", tmp_path / "source", lambda _: None)
    assert list(tree(tmp_path / "root")) == ["test_32x32.mat", "train_32x32.mat"]


@each_set
def test_a_good_copy_replaces_a_damaged_file_at_one_stroke(name, tmp_path, monkeypatch):
    source, root = tmp_path / "source", tmp_path / "root"
    WRITERS[name](source, monkeypatch)
    expected = tree(source)
    shutil.copytree(source, root)
    damaged = root / A_FILE[name]
    flip_a_bit(damaged)
    for path in expected.keys() - {A_FILE[name]}:
        (source / path).unlink()
    said: list[str] = []
    before = damaged.read_bytes()
    with damaged.open("rb") as reader:
        stage_images(campaign(name), root, source, said.append)
        assert reader.read() == before
    assert tree(root) == expected
    assert said == [f"{name}: 1 of 1 files taken from {source}, verified"]


@each_set
def test_a_damaged_copy_replaces_nothing_and_is_named(name, tmp_path, monkeypatch):
    source, root = tmp_path / "source", tmp_path / "root"
    WRITERS[name](source, monkeypatch)
    shutil.copytree(source, root)
    truncate(root / A_FILE[name])
    flip_a_bit(source / A_FILE[name])
    before = tree(root)
    with pytest.raises(ImagesError, match="checksum differs") as caught:
        stage_images(campaign(name), root, source, lambda _: None)
    assert str(source / A_FILE[name]) in str(caught.value)
    assert tree(root) == before


def test_damaged_archives_are_named(tmp_path, monkeypatch):
    for writer in (write_cifar100, write_fashion_mnist):
        writer(tmp_path / "source", monkeypatch)
    archives = tmp_path / "archives"
    pack_as_published(tmp_path / "source", archives)
    for name, archive in (
        ("CIFAR-100", "cifar-100-python.tar.gz"),
        ("F-MNIST", "t10k-images-idx3-ubyte.gz"),
    ):
        content = (archives / archive).read_bytes()
        (archives / archive).write_bytes(content[: len(content) // 2])
        with pytest.raises(ImagesError, match=f"{archive} can't be read"):
            stage_images(campaign(name), tmp_path / "root", archives, lambda _: None)


def test_a_source_without_the_files_says_which_names_it_looked_for(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    with pytest.raises(ImagesError, match=r"neither FashionMNIST/raw/t10k.* nor t10k.*gz is there"):
        stage_images(campaign("F-MNIST"), tmp_path / "root", source, lambda _: None)
    assert not (tmp_path / "root").exists()


def test_a_source_that_is_no_folder_is_refused(tmp_path):
    with pytest.raises(ImagesError, match="source is no folder: give --from"):
        stage_images(campaign("F-MNIST"), tmp_path, tmp_path / "source", lambda _: None)


def test_a_root_that_can_t_be_written_to_is_an_images_error(tmp_path, monkeypatch):
    write_fashion_mnist(tmp_path / "source", monkeypatch)
    (tmp_path / "file").touch()
    for source in (tmp_path / "source", None):
        with pytest.raises(ImagesError, match=r"can't write to .*file/root.*--root"):
            stage_images(campaign("F-MNIST"), tmp_path / "file/root", source, lambda _: None)


def test_the_sample_and_npz_are_verified_with_nothing_to_stage(tmp_path):
    section = own(tmp_path / "mine.npz", random_images(OWN))
    both = campaign("F-MNIST-sample", mine=section)
    said: list[str] = []
    stage_images(both, tmp_path / "root", report=said.append)
    assert said == [
        "F-MNIST-sample: verified, nothing to stage",
        "mine: verified, nothing to stage",
    ]
    assert not (tmp_path / "root").exists()
    truncate(tmp_path / "mine.npz")
    with pytest.raises(ImagesError, match=r"mine\.npz"):
        stage_images(both, tmp_path / "root", report=said.append)


def test_a_dataset_without_networks_is_not_staged(tmp_path):
    none = DatasetSection(networks_per_depth=0)
    said: list[str] = []
    stage_images(campaign("F-MNIST-sample", SVHN=none), tmp_path, report=said.append)
    assert len(said) == 1


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that downloads come from; what isn't in it can't be reached."""
    folder = tmp_path / "mirror"

    def download(request: Request, *, timeout: float) -> addinfourl:
        assert timeout > 0
        path = folder / request.full_url.rpartition("/")[2]
        if not path.exists():
            raise URLError("no route to host")
        headers = Message()
        headers["Content-Length"] = str(path.stat().st_size)
        return addinfourl(path.open("rb"), headers, str(path))

    monkeypatch.setattr("urllib.request.urlopen", download)
    return folder


@each_set
def test_what_no_folder_has_is_downloaded_and_verified(name, mirror, tmp_path, monkeypatch):
    WRITERS[name](tmp_path / "published", monkeypatch)
    pack_as_published(tmp_path / "published", mirror)
    stage_images(campaign(name), tmp_path / "root", report=lambda _: None)
    assert tree(tmp_path / "root") == tree(tmp_path / "published")
    assert sorted(path.name for path in (tmp_path / "root").glob(".*")) == []


def test_a_download_of_the_wrong_content_is_not_placed(mirror, tmp_path, monkeypatch):
    write_svhn(tmp_path / "published", monkeypatch)
    pack_as_published(tmp_path / "published", mirror)
    flip_a_bit(mirror / "train_32x32.mat")
    with pytest.raises(ImagesError, match=r"train_32x32\.mat .*checksum differs"):
        stage_images(campaign("SVHN"), tmp_path / "root", report=lambda _: None)
    assert tree(tmp_path / "root") == {}


def test_a_download_that_ends_too_early_is_named_by_its_address(tmp_path, monkeypatch):
    answer = b"HTTP/1.0 200 OK\r\nContent-Length: 9\r\n\r\nshort"

    def download(*_, **__):
        response = HTTPResponse(SimpleNamespace(makefile=lambda _: BytesIO(answer)))
        response.begin()
        return response

    monkeypatch.setattr("urllib.request.urlopen", download)
    with pytest.raises(
        ImagesError, match=r"train_32x32\.mat: the download ended after 5 of 9 bytes"
    ):
        stage_images(campaign("SVHN"), tmp_path, report=lambda _: None)


def test_a_failed_download_keeps_what_came_and_says_how_to_bring_the_rest_by_hand(
    mirror, tmp_path, monkeypatch
):
    write_svhn(tmp_path / "published", monkeypatch)
    pack_as_published(tmp_path / "published", mirror)
    for name in ("test", "extra"):
        (mirror / f"{name}_32x32.mat").unlink()
    root = tmp_path / "my root"
    with pytest.raises(ImagesError) as caught:
        stage_images(campaign("SVHN"), root, report=lambda _: None)
    assert list(tree(root)) == ["train_32x32.mat"]
    url = "http://ufldl.stanford.edu/housenumbers/test_32x32.mat"
    lines = str(caught.value).splitlines()
    assert lines[1] == f"  {url}: <urlopen error no route to host>"
    assert [line.split()[0] for line in lines[3:5]] == ["test_32x32.mat", "extra_32x32.mat"]
    assert lines[-1].endswith(
        f"nnlc stage <campaign> --root {shlex.quote(str(root))} --from FOLDER"
    )
