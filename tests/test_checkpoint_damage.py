"""Checkpoints that are damaged or another's: none is used, none is lost."""

import errno
import hashlib
import io
import os
import pickle
import tempfile
from functools import partial
from pathlib import Path

import pytest
import torch
from checkpoint_cases import (
    IMAGES,
    NETWORK,
    checkpoints,
    lay_out,
    newest_and_before,
    steps_of,
    train,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from small_networks import bits, loop_on, spec

from nnlc.system.files import open_regular
from nnlc.training.checkpoint import Checkpoints

pytestmark = pytest.mark.usefixtures("every_step_counts")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Rows and steps of the network of these checkpoints when nothing interrupts it."""
    loop, taken = train("dampening", tmp_path_factory.mktemp("undisturbed"))
    return bits(loop.rows), taken


def bytes_of(path):
    """Of a file, or of all that is in a folder."""
    if path.is_dir():
        return {inner.name: inner.read_bytes() for inner in path.iterdir()}
    return path.read_bytes()


def with_digest(content):
    return content + hashlib.sha256(content).hexdigest().encode()


def saved_by_torch(content):
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


def pickled(content):
    return pickle.dumps(content, protocol=2)


class Code:
    """Pickled, it makes a file when it is read."""

    marker = None

    def __reduce__(self):
        return open, (str(self.marker), "w")


def damage_with_code(path, how):
    Code.marker = path.parent.parent / "ran"
    about = checkpoints(path.parent, NETWORK).about
    path.write_bytes(with_digest(how({"about": about, "state": Code()})))


def another_networks(path):
    folder = path.parent.parent / "another"
    another = spec(id="2026_01_01_00_00_00_000001", random_seed=6, batch_size=10)
    kept = checkpoints(folder, another)
    kept.save(loop_on(IMAGES, another).state())
    kept._newest.replace(path)


def folder_in_its_place(path):
    path.unlink()
    path.mkdir()
    (path / "content").write_text("a user's")


DAMAGE = {
    "cut in half": lambda path: os.truncate(path, path.stat().st_size // 2),
    "a byte short": lambda path: os.truncate(path, path.stat().st_size - 1),
    "empty": lambda path: os.truncate(path, 0),
    "a byte too long": lambda path: path.write_bytes(path.read_bytes() + b"0"),
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "no digest": lambda path: path.write_bytes(path.read_bytes()[:-64]),
    "torch.save alone": lambda path: path.write_bytes(saved_by_torch({"state": 1})),
    "a digest of nothing": lambda path: path.write_bytes(with_digest(b"")),
    "a digest of noise": lambda path: path.write_bytes(with_digest(b"\x80\x02noise" * 9)),
    "a list": lambda path: path.write_bytes(with_digest(saved_by_torch([1]))),
    "no state": lambda path: path.write_bytes(with_digest(saved_by_torch({"about": {}}))),
    "a folder": folder_in_its_place,
    "another network's": another_networks,
    "code": lambda path: damage_with_code(path, saved_by_torch),
    "code of pickle": lambda path: damage_with_code(path, pickled),
}
EACH_DAMAGE = pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)


@EACH_DAMAGE
def test_a_damaged_checkpoint_is_put_aside_unchanged_and_the_one_before_is_used(
    two, undisturbed, damage
):
    newest, _ = newest_and_before(two)
    damage(newest)
    damaged = bytes_of(newest)
    state, [(path, reason)] = checkpoints(two, NETWORK).load()
    assert steps_of(state) == 4
    assert path.parent == two / "aside"
    assert bytes_of(path) == damaged
    assert len(reason) > 20
    assert not newest.exists()
    loop, taken = train("dampening", two)
    assert (bits(loop.rows), taken) == (undisturbed[0], undisturbed[1][4:])
    assert not (two.parent / "ran").exists()


@EACH_DAMAGE
def test_where_both_checkpoints_are_damaged_it_starts_over(two, undisturbed, damage):
    damaged = []
    for path in newest_and_before(two):
        damage(path)
        damaged.append(bytes_of(path))
    state, wrong = checkpoints(two, NETWORK).load()
    assert state is None
    assert [bytes_of(path) for path, _ in wrong] == damaged
    loop, taken = train("dampening", two, [9])
    assert (bits(loop.rows), taken) == undisturbed
    assert not (two.parent / "ran").exists()


def test_the_code_of_these_tests_would_run_where_code_is_read(tmp_path):
    Code.marker = tmp_path / "ran"
    pickle.loads(pickle.dumps(Code())).close()
    assert Code.marker.exists()


@settings(max_examples=60)
@given(data=st.data())
def test_no_flipped_bit_and_no_cut_is_ever_loaded(interrupted, data):
    newest, before = interrupted
    where = data.draw(
        st.integers(0, len(newest) - 1) | st.integers(len(newest) - 70, len(newest) - 1)
    )
    flip = data.draw(st.integers(0, 255))
    damaged = newest[:where] + (
        bytes([newest[where] ^ flip]) + newest[where + 1 :] if flip else b""
    )
    with tempfile.TemporaryDirectory() as parent:
        folder = lay_out(Path(parent) / "checkpoints", (damaged, before))
        state, [(path, _)] = checkpoints(folder, NETWORK).load()
        assert steps_of(state) == 4
        assert path.read_bytes() == damaged


@pytest.mark.parametrize("what", ["a named pipe", "a symbolic link that leads nowhere"])
def test_what_is_no_file_is_put_aside_at_once(two, what):
    newest, _ = newest_and_before(two)
    newest.unlink()
    os.mkfifo(newest) if what == "a named pipe" else newest.symlink_to(two / "nowhere")
    state, [(path, reason)] = checkpoints(two, NETWORK).load()
    assert f"it is {what}" in reason
    assert (steps_of(state), path.parent.name) == (4, "aside")


def test_what_is_put_aside_stays_whatever_comes_later(two):
    newest, _ = newest_and_before(two)
    kept, put_aside = checkpoints(two, NETWORK), {}
    for number in range(4):
        newest.write_text(f"damaged {number}")
        _, [(path, _)] = kept.load()
        assert path not in put_aside
        put_aside[path] = f"damaged {number}"
        if number == 2:  # somebody has looked into it
            earliest = next(iter(put_aside))
            earliest.unlink()
            del put_aside[earliest]
    assert {path: path.read_text() for path in (two / "aside").iterdir()} == put_aside


def test_where_nothing_can_be_put_aside_a_damaged_one_is_passed_over_all_the_same(two):
    newest, _ = newest_and_before(two)
    newest.write_text("damaged")
    (two / "aside").write_text("a file in its place")
    state, [(path, _)] = checkpoints(two, NETWORK).load()
    assert (steps_of(state), path) == (4, newest)


def test_one_that_cant_be_read_stays_where_it_is_and_nothing_starts_over(two, monkeypatch):
    newest, before = newest_and_before(two)
    monkeypatch.setattr("nnlc.training.checkpoint.PAUSES_SECONDS", (0.0, 0.0))
    content, opened = newest.read_bytes(), open_regular

    def fail(path):
        if path == newest:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return opened(path)

    with monkeypatch.context() as patch:
        patch.setattr("nnlc.training.checkpoint.open_regular", fail)
        state, [(path, reason)] = checkpoints(two, NETWORK).load()
    assert (steps_of(state), path) == (4, newest)
    assert "Input/output error" in reason
    assert newest.read_bytes() == content
    before.unlink()
    with monkeypatch.context() as patch:
        patch.setattr("nnlc.training.checkpoint.open_regular", fail)
        with pytest.raises(OSError, match="Input/output error"):
            checkpoints(two, NETWORK).load()


def test_one_that_can_be_read_a_moment_later_is_used(two, monkeypatch):
    newest, _ = newest_and_before(two)
    monkeypatch.setattr("nnlc.training.checkpoint.PAUSES_SECONDS", (0.0,))
    opened, failures = open_regular, [OSError(errno.ESTALE, os.strerror(errno.ESTALE))]

    def fail_once(path):
        if path == newest and failures:
            raise failures.pop()
        return opened(path)

    with monkeypatch.context() as patch:
        patch.setattr("nnlc.training.checkpoint.open_regular", fail_once)
        state, wrong = checkpoints(two, NETWORK).load()
    assert not wrong
    assert steps_of(state) > 4


def test_nothing_starts_over_because_the_folder_is_away(two, monkeypatch):
    pauses, away = (0.0,) * 4, OSError(errno.ENOENT, "the folder is gone")
    monkeypatch.setattr("nnlc.training.checkpoint.PAUSES_SECONDS", pauses)
    last = steps_of(checkpoints(two, NETWORK).load()[0])
    hidden = two.with_name("away")
    looks = []

    def back_at(number, _):
        looks.append(number)
        if len(looks) == number:
            hidden.rename(two)
        if not two.exists():
            raise away

    for number in (2, len(pauses) + 1):
        looks.clear()
        two.rename(hidden)
        state, wrong = checkpoints(two, NETWORK, partial(back_at, number)).load()
        assert (steps_of(state), wrong) == (last, [])
    looks.clear()
    two.rename(hidden)
    with pytest.raises(OSError, match="the folder is gone"):
        checkpoints(two, NETWORK, partial(back_at, len(pauses) + 2)).load()


# --- Foreign ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"training": {"truncate": "epoch"}}, ["training.truncate", "'dataset'", "'epoch'"]),
        ({"training": {"truncate": "dataset", "new": 1}}, ["training.new", "None", "1"]),
        ({"training": {}}, ["training.truncate", "'dataset'", "None"]),
        ({"epochs": 3}, ["epochs", "2", "3"]),
        ({"versions.torch": "2.5.1"}, ["versions.torch", "'2.4.0'", "'2.5.1'"]),
        ({"device.name": "another"}, ["device.name", "'one'", "'another'"]),
        (
            {
                "network": spec(
                    batch_size=20, momentum=0.9, dampening=0.5, layer_types=(3,)
                ).to_json()
            },
            ["network.batch_size", "10", "20"],
        ),
    ],
)
def test_one_begun_otherwise_is_left_alone_and_what_differs_is_named(two, changes, words):
    foreign = {path: path.read_bytes() for path in two.iterdir()}
    here = checkpoints(two, NETWORK, **changes)
    state, wrong = here.load()
    assert state is None
    assert [path for path, _ in wrong] == sorted(foreign)
    for _, reason in wrong:
        key, there, now = words
        assert f"another {key}: {there} where this job has {now}" in reason
    for step in range(3):
        here.save({"step": step})
    assert here.load()[0] == {"step": 2}
    assert {path: path.read_bytes() for path in foreign} == foreign
    assert steps_of(checkpoints(two, NETWORK).load()[0]) == 7


def test_one_of_other_settings_is_no_matter_to_another_network(two):
    another = spec(id="2026_01_01_00_00_00_000001")
    assert checkpoints(two, another).load() == (None, [])


@settings(max_examples=40)
@given(data=st.data())
def test_one_begun_otherwise_may_be_damaged_too_and_is_left_alone(interrupted, data):
    newest, before = interrupted
    # Where the pickle is, at the file's beginning, damage may make torch raise anything.
    where = data.draw(st.integers(0, 2500) | st.integers(0, len(newest) - 1))
    damaged = newest[:where] + bytes([newest[where] ^ data.draw(st.integers(1, 255))])
    damaged += newest[where + 1 :] if data.draw(st.booleans()) else b""
    with tempfile.TemporaryDirectory() as parent:
        folder = lay_out(Path(parent) / "checkpoints", (damaged, before))
        state, wrong = checkpoints(folder, NETWORK, epochs=9).load()
        assert state is None
        assert len(wrong) == 2
        assert sorted(path.read_bytes() for path in folder.iterdir()) == sorted((damaged, before))
        heads = checkpoints(folder, NETWORK, epochs=9).foreign(
            path.name for path in folder.iterdir()
        )
        assert 1 <= len(heads) <= 2  # the one before is whole


def test_what_is_no_checkpoint_at_all_is_no_loss_to_tell_of(tmp_path):
    os.mkfifo(tmp_path / "a.pipe.ckpt")
    (tmp_path / "a.folder.ckpt").mkdir()
    for name, content in {"list": [1], "about": {"about": [1], "state": {}}}.items():
        (tmp_path / f"a.{name}.ckpt").write_bytes(with_digest(saved_by_torch(content)))
    assert Checkpoints(tmp_path, "a", {}).foreign(path.name for path in tmp_path.iterdir()) == []


@pytest.mark.parametrize("how", [saved_by_torch, pickled])
def test_no_code_of_one_begun_otherwise_is_run(two, how):
    newest, _ = newest_and_before(two)
    damage_with_code(newest, how)
    assert checkpoints(two, NETWORK, epochs=9).load()[0] is None
    assert not (two.parent / "ran").exists()
