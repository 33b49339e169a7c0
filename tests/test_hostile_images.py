"""Whatever is wrong with a file of images, a user gets a message."""

import hashlib
import io
import tracemalloc
import zipfile
from functools import partial

import numpy as np
import pytest
from hostile import check_message, damaged, message_of, quickly
from hypothesis import given
from hypothesis import strategies as st
from image_files import (
    OWN,
    no_network,  # noqa: F401
    npz,
    pack_as_published,
    random_images,
    write_cifar100,
    write_fashion_mnist,
)
from test_stage import campaign

from nnlc.errors import ImagesError
from nnlc.training.own_images import describe_npz
from nnlc.training.stage import stage_images

ARRAYS = random_images(OWN)


def _stored(arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


@given(st.one_of(damaged(npz(ARRAYS)), damaged(_stored(ARRAYS))))
@quickly
def test_a_damaged_npz_is_one_message(tmp_path, content):
    path = tmp_path / "mine.npz"
    path.write_bytes(content)
    check_message(path, ImagesError, lambda: describe_npz(path))


HEADERS = st.one_of(
    st.text(max_size=60),
    st.builds(
        "{{'descr': {}, 'fortran_order': {}, 'shape': {}, }}".format,
        st.sampled_from(
            ["'|u1'", "'<i8'", "'|O'", "[('a', '<i4')]", "'|V0'", "'<U999'", "()", "'M8'"]
        ),
        st.sampled_from(["True", "False", "None", "1"]),
        st.one_of(
            st.lists(st.integers(-(2**70), 2**70), max_size=5).map(lambda a: str(tuple(a))),
            st.sampled_from(["(9,)", "(" * 90 + ")" * 90, "(True,)", "(9, 0, 2**9)", "None"]),
        ),
    ),
)


@given(HEADERS, st.integers(0, 4), st.integers(0, 3), st.binary(max_size=80))
@quickly
def test_a_hostile_header_of_an_array_is_one_message(tmp_path, header, major, minor, values):
    path = tmp_path / "mine.npz"
    text = header.encode("utf-8", "replace")
    length = len(text).to_bytes(2 if major < 2 else 4, "little")
    member = b"\x93NUMPY" + bytes([major, minor]) + length + text + values
    path.write_bytes(_with_member(member))
    with pytest.raises(ImagesError, match="array train_labels"):
        describe_npz(path)


def _with_member(content: bytes, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """An npz whose train_labels are these bytes."""
    file = io.BytesIO(npz({key: a for key, a in ARRAYS.items() if key != "train_labels"}))
    with zipfile.ZipFile(file, "a", method) as archive:
        archive.writestr("train_labels.npy", content)
    return file.getvalue()


@pytest.mark.parametrize("shape", [(10**9,), (2**62,), (2**40, 2**40), (0, 2**63)])
def test_no_memory_is_taken_for_what_a_file_can_t_hold(tmp_path, shape):
    path = tmp_path / "mine.npz"
    member = io.BytesIO()
    header = {"descr": "<i8", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(member, header)
    path.write_bytes(_with_member(member.getvalue() + bytes(72)))
    tracemalloc.start()
    try:
        with pytest.raises(ImagesError, match=r"its header says .* bytes, and it has 72"):
            describe_npz(path)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("name", "write"), [("CIFAR-100", write_cifar100), ("F-MNIST", write_fashion_mnist)]
)
def test_a_damaged_archive_is_named_and_nothing_is_staged(name, write, tmp_path, monkeypatch):
    write(tmp_path / "source", monkeypatch)
    archives = tmp_path / "archives"
    pack_as_published(tmp_path / "source", archives)
    path = next(archives.iterdir())
    whole = path.read_bytes()

    @given(damaged(whole))
    @quickly
    def tried(content):
        path.write_bytes(content)
        root = tmp_path / hashlib.sha256(content).hexdigest()
        staged = partial(stage_images, campaign(name), root, archives, lambda _: None)
        assert str(path) in (message_of(ImagesError, staged) or str(path))

    tried()
