"""Whatever a damaged or hostile input does to the library that parses it, a user gets a message."""

import hashlib
import io
import sys
import tracemalloc
import zipfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from image_files import (
    OWN,
    SECTION,
    WRITERS,
    assert_same,
    no_network,  # noqa: F401
    npz,
    own,
    pack_as_published,
    random_images,
    write_cifar100,
    write_fashion_mnist,
)
from test_stage import campaign

from nnlc.calibration.machines import fitted_machines
from nnlc.campaign import load_campaign
from nnlc.errors import CampaignError, ImagesError, NnlcError, ResultsError, SiteError
from nnlc.launching.render import Request, render_script
from nnlc.launching.site import load_site
from nnlc.results import ResultsFolder
from nnlc.shipped import shipped_names
from nnlc.tables.imagesof import image_set_of
from nnlc.training import images
from nnlc.training.images import load_images
from nnlc.training.ownimages import describe_npz
from nnlc.training.stage import stage_images

quickly = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
ARRAYS = random_images(OWN)


def _stored(arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


@st.composite
def damaged(draw, whole: bytes):
    """The bytes of a file with some flipped, cut off or put in."""
    content = bytearray(whole)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(content)))
        match draw(st.sampled_from(["flip", "cut", "insert", "remove"])):
            case "flip" if place < len(content):
                content[place] ^= draw(st.integers(1, 255))
            case "cut":
                del content[place:]
            case "insert":
                content[place:place] = draw(st.binary(min_size=1, max_size=40))
            case _:
                del content[place : place + draw(st.integers(1, 40))]
    return bytes(content)


def _check_message(path: Path, error: type[NnlcError], use) -> None:
    """Whatever is wrong with the file is a short message that begins with its path."""
    words = _message_of(error, use)
    assert words is None or words.startswith(str(path))
    assert len(words or "") < 4000
    assert len((words or "").splitlines()) <= 12


def _message_of(error: type[NnlcError], use) -> str | None:
    try:
        use()
    except error as problem:
        return str(problem)
    return None


@given(st.one_of(damaged(npz(ARRAYS)), damaged(_stored(ARRAYS))))
@quickly
def test_a_damaged_npz_is_one_message(tmp_path, content):
    path = tmp_path / "mine.npz"
    path.write_bytes(content)
    _check_message(path, ImagesError, lambda: describe_npz(path))


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
        with pytest.raises(ImagesError, match="bytes are promised and 72 stand there"):
            describe_npz(path)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


CAMPAIGN = b"""extends = "smoke"
name = "mine"
epochs = 3
stop = "menndl:patience=5"
[datasets.F-MNIST-sample]
networks_per_depth = 2
depths = [1, 3]
[datasets.mine]
networks_per_depth = 1
npz = "mine.npz"
classes = 3
[space]
learning_rate_exponent = [-4.0, -1.0]
[run]
attempts = 1
"""
KEPT = b"""results_format = 1
name = "own"
seed = 1
stamp = 2026-02-01 00:00:00
epochs = 1
[datasets.good]
networks_per_depth = 1
depths = [1, 2]
npz = "/nowhere/good.npz"
sha256 = "db744492b1ece27aa6c651b0c24fb7fb849f114873b315d654365cc487f463d0"
channels = 1
width = 12
classes = 10
train_images = 200
validation_images = 50
[datasets.SVHN]
networks_per_depth = 0
train = "train"
[space]
batch_size = [5, 20]
filters = [1, 16]
"""
SITE = b"""extends = "slurm"
name = "mine"
gpus_per_node = 4
walltime_minutes = 60
"""
WORDS = st.sampled_from(
    [
        "a",
        '"b"',
        "name",
        "datasets",
        "1",
        "-0",
        "0x" + "f" * 3000,
        "1e999",
        "nan",
        "[",
        "]",
        "{",
        "}",
        "=",
        ".",
        ",",
        "\n",
        '"',
        "'",
        "2026-01-31T12:00:00",
        "true",
        "[[",
        "]]",
        "extends",
        '"""',
    ]
)


@given(
    st.one_of(damaged(CAMPAIGN), st.lists(WORDS, max_size=30).map(lambda w: " ".join(w).encode()))
)
@quickly
def test_a_damaged_campaign_is_one_message(tmp_path, content):
    path = tmp_path / "c.toml"
    path.write_bytes(content)
    _check_message(path, CampaignError, lambda: load_campaign(path))
    results = ResultsFolder(tmp_path)
    results.machines_file.write_bytes(content)
    fitted_machines(results)


@given(damaged(KEPT))
@quickly
def test_a_damaged_campaign_of_a_results_folder_is_one_message(tmp_path, content):
    results = ResultsFolder(tmp_path)
    results.campaign_file.write_bytes(content)

    def use():
        next(results.campaign().networks())

    _check_message(tmp_path, ResultsError, use)
    image_set_of("good", tmp_path / "good_models" / "a.txt")


@given(
    st.one_of(
        damaged(SITE),
        *(damaged(p.read_bytes()) for p in shipped_names("site_configs", ".toml").values()),
    )
)
@quickly
def test_a_damaged_site_is_one_message(tmp_path, content):
    path = tmp_path / "s.toml"
    path.write_bytes(content)
    _check_message(path, SiteError, lambda: load_site(str(path)))


TOO_MUCH = {
    "dotted keys": ".".join(["a"] * 5000) + " = 1",
    "nested arrays": "a = " + "[" * 200 + "]" * 200,
    "nested beyond the stack": "a = " + "[" * 100_000,
    "nested tables": "a = " + "{a = " * 60 + "1" + "}" * 60,
    "dotted table": "[" + ".".join(["a"] * 5000) + "]",
    "a number of many digits": "a = " + "9" * 5000,
    "a hexadecimal number": "seed = 0x" + "f" * 5000,
    "many wrong keys": "\n".join(f"wrong_{i} = 1" for i in range(5_000)),
    "many datasets": "\n".join(f"[datasets.d{i}]\nnetworks_per_depth = 1" for i in range(5_000)),
    "a long key": "a" * 1_000_000 + " = 1",
    "a long value": 'seed = "' + "a" * 1_000_000 + '"',
    "a long extends": 'extends = "' + "a/" * 100_000 + '"',
}


@pytest.mark.parametrize("what", TOO_MUCH)
@pytest.mark.parametrize(
    ("load", "error"), [(load_campaign, CampaignError), (load_site, SiteError)]
)
def test_too_much_of_anything_in_a_toml_file_is_one_short_message(tmp_path, load, error, what):
    path = tmp_path / "c.toml"
    path.write_text(TOO_MUCH[what])
    with pytest.raises(error) as caught:
        load(str(path))
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 4000
    assert len(str(caught.value).splitlines()) <= 11


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
        assert str(path) in (_message_of(ImagesError, staged) or str(path))

    tried()


OPENED: list[str] = []


def _note(event: str, arguments: tuple) -> None:
    if event == "open" and OPENED and isinstance(arguments[0], str | Path):
        OPENED.append(str(arguments[0]))


sys.addaudithook(_note)


@pytest.mark.parametrize("name", [*WRITERS, "own"])
def test_no_image_file_is_opened_twice_so_what_is_hashed_is_what_is_parsed(
    name, tmp_path, monkeypatch
):
    if name == "own":
        facts, section = OWN, own(tmp_path / "mine.npz", ARRAYS)
    else:
        facts, section = WRITERS[name](tmp_path, monkeypatch)[0], SECTION
    OPENED.append("from now on")
    try:
        load_images(facts, section, tmp_path)
        there = [path for path in OPENED if path.startswith(str(tmp_path))]
    finally:
        OPENED.clear()
    assert there
    assert sorted(there) == sorted(set(there))


def test_images_that_are_replaced_while_they_are_read_are_those_of_the_checksum(
    tmp_path, monkeypatch
):
    section = own(tmp_path / "mine.npz", ARRAYS)
    read = images.read_npz

    def replaced_first(file, path):
        (tmp_path / "other.npz").write_bytes(npz(random_images(OWN, seed=5)))
        (tmp_path / "other.npz").replace(path)
        return read(file, path)

    monkeypatch.setattr(images, "read_npz", replaced_first)
    assert_same(load_images(OWN, section, tmp_path), ARRAYS)


def test_images_that_are_written_to_while_they_are_read_are_refused(tmp_path, monkeypatch):
    section = own(tmp_path / "mine.npz", ARRAYS)
    read = images.read_npz

    def written_first(file, path):
        path.write_bytes(npz(random_images(OWN, seed=5)))
        return read(file, path)

    monkeypatch.setattr(images, "read_npz", written_first)
    with pytest.raises(ImagesError, match=r"mine\.npz"):
        load_images(OWN, section, tmp_path)


OWN_TEMPLATE = '{% extends "slurm.sh.j2" %}\n'


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xfe{\x00",
        b"name: \xe4",
        b"{{ 1 / 0 }}",
        b"{{ [].append.x.y }}",
        b"{% include 'a.j2' %}",
        b"{{ '9' ~ ('9' * 5000) | int }}{{ 10 ** 5000 }}",
        b"{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}",
        b"{{ " + b"(" * 3000 + b")" * 3000 + b" }}",
        b"{% if %}",
    ],
)
def test_a_wrong_template_is_one_message(tmp_path, content):
    (tmp_path / "s.toml").write_bytes(b'template = "a.j2"\n' + SITE)
    (tmp_path / "a.j2").write_bytes(content)
    with pytest.raises(SiteError, match=r"job-script template .*a\.j2: ") as caught:
        render_script(Request(campaign="smoke"), load_site(str(tmp_path / "s.toml")))
    assert len(str(caught.value).splitlines()) == 1
    assert len(str(caught.value)) < 1000


def test_a_template_may_begin_with_a_mark_and_have_any_line_ends(tmp_path):
    (tmp_path / "s.toml").write_text('extends = "slurm"\nname = "s"\ntemplate = "a.j2"\n')
    scripts = []
    for content in (OWN_TEMPLATE, "\ufeff" + OWN_TEMPLATE.replace("\n", "\r\n")):
        (tmp_path / "a.j2").write_bytes(content.encode())
        scripts.append(
            render_script(Request(campaign="smoke"), load_site(str(tmp_path / "s.toml")))
        )
    assert scripts[0] == scripts[1]
