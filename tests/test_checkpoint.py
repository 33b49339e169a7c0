"""Checkpoints: a network goes on from one as if it had never been interrupted, nothing but its own
and undamaged ones are used, and whatever ends a job or fills a disk leaves one to go on from."""

import contextlib
import errno
import hashlib
import io
import os
import pickle
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from small_networks import bits, bundled_images, first, loop_on, spec

import nnlc.files
import nnlc.training.loop
from nnlc.environment import DETERMINISM
from nnlc.training.checkpoint import Checkpoints
from nnlc.training.determinism import make_deterministic
from nnlc.training.loop import HalfEpochLoop

EPOCHS = 2
# 64 images in batches of 10: 3 steps of training a half epoch, 4 images of an epoch left over;
# and 2 of validation, 5 images left over.
IMAGES = first(bundled_images(), 64, 25)
STEPS = 2 * EPOCHS * (3 + 2)

NETWORKS: dict[str, tuple[dict, dict]] = {
    "dropout": (
        {"fc_dropout_rate": 0.3, "fc_dropout_layers": (1,), "momentum": 0.9},
        {"truncate": "epoch", "pixels": "standardised"},
    ),
    "whole channels dropped": ({"dropout_rate": 0.5}, {"dropout": "channel"}),
    "dampening": ({"momentum": 0.9, "dampening": 0.5, "layer_types": (3,)}, {}),
    "weight decay": (
        {"momentum": 0.9, "dampening": 0.1, "weight_decay": 0.1, "layer_types": (3,)},
        {"pixels": "standardised", "pooling": "average"},
    ),
    "no momentum": ({"momentum": 0, "weight_decay": 0.01}, {"truncate": "epoch"}),
    "diverging": ({"learning_rate": 1e4, "momentum": 0.9, "dampening": 0.5}, {}),
}


HAS_DIVERGED = HalfEpochLoop._has_diverged


class InterruptionError(Exception):
    pass


@pytest.fixture(scope="module", autouse=True)
def _deterministic():
    os.environ.update(DETERMINISM)
    make_deterministic()


@pytest.fixture(scope="module", autouse=True)
def _every_step_is_done():
    """By a diverged network too: steps are counted here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(HalfEpochLoop, "_has_diverged", lambda _: False)
        yield


def network_of(name):
    changes, chosen = NETWORKS[name]
    return spec(**{"batch_size": 10} | changes), chosen


def checkpoints(folder, network, /, **changes):
    about = {"network": network.to_json(), "epochs": EPOCHS, "training": {"truncate": "dataset"}}
    about |= {"versions.torch": "2.4.0", "device.name": "one"}
    return Checkpoints(folder, network.id, about | changes)


def train(name, folder, stops=()):
    """Train with interruptions after so many steps, each time from a file in a fresh loop.

    Returns the last loop, and the images that each step took, over all loops.
    """
    taken = []
    for stop in sorted(stops):
        taken += train_until(name, folder, stop - len(taken)).images.taken
    loop = train_until(name, folder, None)
    return loop, taken + loop.images.taken


def train_until(name, folder, stop):
    """Go on where the checkpoints in this folder say; save after so many steps, and leave."""
    network, chosen = network_of(name)
    kept = checkpoints(folder, network)

    def save_and_leave_there():
        if len(loop.images.taken) == stop:
            kept.save(loop.state())
            raise InterruptionError

    loop = loop_on(IMAGES, network, EPOCHS, save_and_leave_there, **chosen)
    state, wrong = kept.load()
    assert not wrong
    if state is not None:
        loop.resume(state)
    torch.manual_seed(random.randrange(2**32))
    with contextlib.suppress(InterruptionError):
        if stop == 0:
            save_and_leave_there()
        list(loop)
    return loop


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Rows and steps of each network when nothing interrupts it."""
    trained = {name: train(name, tmp_path_factory.mktemp("undisturbed")) for name in NETWORKS}
    assert all(len(taken) == STEPS for _, taken in trained.values())
    return {name: (bits(loop.rows), taken) for name, (loop, taken) in trained.items()}


def goes_on_as_if_nothing_had_been(undisturbed, name, stops):
    with tempfile.TemporaryDirectory() as folder:
        loop, taken = train(name, Path(folder), stops)
    return (bits(loop.rows), taken) == undisturbed[name]


@pytest.mark.parametrize("name", NETWORKS)
def test_from_a_checkpoint_of_any_step_come_the_same_rows_and_no_step_is_repeated(
    undisturbed, tmp_path, name
):
    rows, taken = undisturbed[name]
    network, chosen = network_of(name)

    def save():
        checkpoints(tmp_path / str(len(loop.images.taken)), network).save(loop.state())

    loop = loop_on(IMAGES, network, EPOCHS, save, **chosen)
    save()
    assert bits(list(loop)) == rows
    for step in range(STEPS + 1):
        resumed, taken_then = train(name, tmp_path / str(step))
        assert (bits(resumed.rows), taken_then) == (rows, taken[step:]), step


@pytest.mark.parametrize("name", NETWORKS)
def test_interrupted_after_every_step_it_has_the_same_rows_and_repeats_no_step(undisturbed, name):
    assert goes_on_as_if_nothing_had_been(undisturbed, name, range(STEPS + 1))


@settings(max_examples=20, deadline=None)
@given(name=st.sampled_from(sorted(NETWORKS)), stops=st.sets(st.integers(0, STEPS), max_size=8))
def test_interrupted_several_times_it_has_the_same_rows_and_repeats_no_step(
    undisturbed, name, stops
):
    assert goes_on_as_if_nothing_had_been(undisturbed, name, stops)


def test_a_diverged_network_goes_on_as_one(undisturbed, tmp_path, monkeypatch):
    monkeypatch.setattr(HalfEpochLoop, "_has_diverged", HAS_DIVERGED)
    rows, taken = undisturbed["diverging"]
    network, chosen = network_of("diverging")
    calls: list[int] = []

    def save():
        checkpoints(tmp_path / str(len(calls)), network).save(loop.state())
        calls.append(len(loop.rows))

    loop = loop_on(IMAGES, network, EPOCHS, save, **chosen)
    assert bits(list(loop)) == rows
    assert len(loop.images.taken) < len(taken)
    for call in range(len(calls)):
        resumed, taken_then = train("diverging", tmp_path / str(call))
        assert bits(resumed.rows) == rows
        assert len(taken_then) <= len(loop.images.taken)
    assert taken_then == []  # from a half epoch that was filled in


def test_these_networks_differ_and_one_of_them_diverges(undisturbed):
    assert len({str(rows) for rows, _ in undisturbed.values()}) == len(NETWORKS)
    assert undisturbed["diverging"][0][-1][:2] == ["nan", "nan"]
    for name in set(NETWORKS) - {"diverging"}:
        assert not {"nan", "inf"} & {value for row in undisturbed[name][0] for value in row}


def test_the_seconds_of_a_half_epoch_are_kept_and_interruptions_are_not_counted(
    tmp_path, monkeypatch
):
    now = [1000.0]
    monkeypatch.setattr(nnlc.training.loop, "time", SimpleNamespace(monotonic=lambda: now[0]))
    network, _ = network_of("dropout")
    stops, done = [2, 4, 5, 6, 13], []

    def between_steps():
        now[0] += 1.25
        done.append(1)
        if len(done) in stops:
            kept.save(loop.state())
            raise InterruptionError

    for _ in [*stops, None]:
        kept = checkpoints(tmp_path, network)
        loop = loop_on(IMAGES, network, EPOCHS, between_steps)
        state, _ = kept.load()
        now[0] += 1e6
        if state:
            loop.resume(state)
        now[0] += 1e6
        with contextlib.suppress(InterruptionError):
            for _ in loop:
                now[0] += 1e6
    assert loop.seconds == [5 * 1.25] * 2 * EPOCHS


# --- Damage -------------------------------------------------------------------------------------

NETWORK, _ = network_of("dampening")


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory):
    """The bytes of two checkpoints, the newest first: after 7 steps, and after 4."""
    folder = tmp_path_factory.mktemp("interrupted")
    train_until("dampening", folder, 4)
    train_until("dampening", folder, 3)
    newest, before = newest_and_before(folder)
    return newest.read_bytes(), before.read_bytes()


def newest_and_before(folder):
    (before,) = folder.glob("*.before.ckpt")
    (newest,) = set(folder.glob("*.ckpt")) - {before}
    return newest, before


@pytest.fixture
def two(tmp_path, interrupted):
    """A folder with the two checkpoints."""
    return lay_out(tmp_path / "checkpoints", interrupted)


def lay_out(folder, interrupted):
    folder.mkdir()
    kept = checkpoints(folder, NETWORK)
    for path, content in zip((kept._newest, kept._before), interrupted, strict=True):
        path.write_bytes(content)
    return folder


def steps_of(state):
    """Done, of training and of validation."""
    return 5 * len(state["rows"]) + 3 * state["validating"] + state["step"]


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
    about = checkpoints(path.parent, NETWORK)._about
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
    assert (bits(loop.rows), taken) == (
        undisturbed["dampening"][0],
        undisturbed["dampening"][1][4:],
    )
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
    assert (bits(loop.rows), taken) == undisturbed["dampening"]
    assert not (two.parent / "ran").exists()


def test_the_code_of_these_tests_would_run_where_code_is_read(tmp_path):
    Code.marker = tmp_path / "ran"
    pickle.loads(pickle.dumps(Code())).close()
    assert Code.marker.exists()


@settings(max_examples=60, deadline=None)
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
    content, opened = newest.read_bytes(), Path.open

    def fail(path, *how):
        if path == newest:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return opened(path, *how)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", fail)
        state, [(path, reason)] = checkpoints(two, NETWORK).load()
    assert (steps_of(state), path) == (4, newest)
    assert "Input/output error" in reason
    assert newest.read_bytes() == content
    before.unlink()
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", fail)
        with pytest.raises(OSError, match="Input/output error"):
            checkpoints(two, NETWORK).load()


def test_one_that_can_be_read_a_moment_later_is_used(two, monkeypatch):
    newest, _ = newest_and_before(two)
    monkeypatch.setattr("nnlc.training.checkpoint.PAUSES_SECONDS", (0.0,))
    opened, failures = Path.open, [OSError(errno.ESTALE, os.strerror(errno.ESTALE))]

    def fail_once(path, *how):
        if path == newest and failures:
            raise failures.pop()
        return opened(path, *how)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", fail_once)
        state, wrong = checkpoints(two, NETWORK).load()
    assert not wrong
    assert steps_of(state) > 4


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


@settings(max_examples=40, deadline=None)
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


@pytest.mark.parametrize("how", [saved_by_torch, pickled])
def test_no_code_of_one_begun_otherwise_is_run(two, how):
    newest, _ = newest_and_before(two)
    damage_with_code(newest, how)
    assert checkpoints(two, NETWORK, epochs=9).load()[0] is None
    assert not (two.parent / "ran").exists()


# --- Disks that fail ----------------------------------------------------------------------------


class FailingFile(io.FileIO):
    """The disk is full, or gone, after so many bytes: for good, or for one write."""

    def __init__(self, handle, number, left, for_good):
        super().__init__(handle, "wb")
        self.number, self.left, self.for_good = number, left, for_good

    def write(self, data):
        written = memoryview(data)[: self.left]
        if data and not written:
            self.left = 0 if self.for_good else 1 << 30
            raise OSError(self.number, os.strerror(self.number))
        self.left -= len(written)
        return super().write(written)


def fail_writing(patch, number, after_bytes, for_good=True):
    def fdopen(handle, _):  # with a small buffer: it would lose no byte of what is tried again
        return io.BufferedWriter(FailingFile(handle, number, after_bytes, for_good), 16)

    patch.setattr(nnlc.files.os, "fdopen", fdopen)


def fail_renaming(patch, number, which):
    renames, replace = [], Path.replace

    def fail(path, target):
        renames.append(target)
        if len(renames) == which:
            raise OSError(number, os.strerror(number))
        return replace(path, target)

    patch.setattr(Path, "replace", fail)


def fail_at(place):
    def install(patch, number):
        def fail(*_, **__):
            raise OSError(number, os.strerror(number))

        patch.setattr(*place, fail)

    return install


FAILURES = {
    "making the file": fail_at((nnlc.files.os, "open")),
    "the first write": lambda patch, number: fail_writing(patch, number, 0),
    "syncing": fail_at((nnlc.files.os, "fsync")),
    "keeping the one before": lambda patch, number: fail_renaming(patch, number, 1),
}
EACH_NUMBER = pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EDQUOT])


def state_to_save():
    return loop_on(IMAGES, NETWORK).state()


def cant_save(folder, number):
    with pytest.raises(OSError, match=os.strerror(number)) as caught:
        checkpoints(folder, NETWORK).save(state_to_save())
    return caught.value.errno == number


def nothing_changed(folder, interrupted):
    kept = checkpoints(folder, NETWORK)
    paths = (kept._newest, kept._before)
    return (
        set(folder.iterdir()) == set(paths)
        and tuple(path.read_bytes() for path in paths) == interrupted
    )


@EACH_NUMBER
@pytest.mark.parametrize("fail", FAILURES.values(), ids=FAILURES)
def test_a_disk_that_fails_leaves_both_checkpoints_and_no_more(
    two, interrupted, monkeypatch, fail, number
):
    with monkeypatch.context() as patch:
        fail(patch, number)
        assert cant_save(two, number)
    assert nothing_changed(two, interrupted)
    checkpoints(two, NETWORK).save(state_to_save())
    assert steps_of(checkpoints(two, NETWORK).load()[0]) == 0
    _, before = newest_and_before(two)
    assert before.read_bytes() == interrupted[0]


@settings(max_examples=40, deadline=None)
@given(
    fraction=st.floats(0, 1, exclude_max=True),
    number=st.sampled_from([errno.ENOSPC, errno.EIO]),
    for_good=st.booleans(),
)
@example(1 - 1e-9, errno.ENOSPC, True)
def test_a_disk_that_is_full_after_any_byte_leaves_both_checkpoints_and_no_more(
    interrupted, fraction, number, for_good
):
    with tempfile.TemporaryDirectory() as parent, pytest.MonkeyPatch.context() as patch:
        size = checkpoints(Path(parent) / "another", NETWORK).save(state_to_save())
        folder = lay_out(Path(parent) / "checkpoints", interrupted)
        fail_writing(patch, number, int(fraction * size), for_good)
        assert cant_save(folder, number)
        assert nothing_changed(folder, interrupted)


@EACH_NUMBER
def test_a_rename_that_fails_after_another_leaves_the_newest_to_go_on_from(
    two, interrupted, monkeypatch, number
):
    with monkeypatch.context() as patch:
        fail_renaming(patch, number, 2)
        assert cant_save(two, number)
    (left,) = two.iterdir()
    assert left.read_bytes() == interrupted[0]
    assert steps_of(checkpoints(two, NETWORK).load()[0]) == 7


# --- Jobs that are killed -----------------------------------------------------------------------

SAVER = """
import itertools, os, sys
from pathlib import Path
import torch
from nnlc.training.checkpoint import Checkpoints

for _ in sys.stdin:
    child = os.fork()
    if not child:
        checkpoints = Checkpoints(Path(sys.argv[1]), "id", {"epochs": 1})
        state, _ = checkpoints.load()
        for number in itertools.count(state["number"] + 1 if state else 0):
            checkpoints.save({"number": number, "weights": torch.full((100_000,), number)})
            os.write(1, f"saved {number}\\n".encode())
    os.write(1, f"child {child}\\n".encode())
    os.waitpid(child, 0)
    os.write(1, b"gone\\n")
"""


def test_whenever_a_job_is_killed_what_it_last_saved_can_be_loaded(tmp_path):
    chance, last, left_behind = random.Random(1), -1, 0
    checkpoints = Checkpoints(tmp_path, "id", {"epochs": 1})
    saver = subprocess.Popen(
        [sys.executable, "-c", SAVER, tmp_path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    )
    try:
        for _ in range(20):
            saver.stdin.write("go\n")
            saver.stdin.flush()
            child = None
            while child is None or chance.random() < 0.5:
                word, number = saver.stdout.readline().split()
                child, last = (int(number), last) if word == "child" else (child, int(number))
            time.sleep(chance.uniform(0, 0.01))
            os.kill(child, 9)
            while (line := saver.stdout.readline()) != "gone\n":
                last = int(line.split()[1])
            left_behind += any(path.suffix == ".tmp" for path in tmp_path.iterdir())
            state, wrong = checkpoints.load()
            assert not wrong
            assert (state["number"] if state else -1) >= last
            assert state is None or state["weights"].unique().tolist() == [state["number"]]
        assert last > 10
        assert left_behind
    finally:
        saver.kill()
        saver.communicate()
    checkpoints.clean()
    assert {path.suffix for path in tmp_path.iterdir()} == {".ckpt"}


def test_cleaning_removes_what_was_left_of_this_network_only(tmp_path):
    kept = checkpoints(tmp_path, NETWORK)
    kept.save({"step": 1})
    mine = tmp_path / f".{kept._newest.name}.abc.tmp"
    foreign = tmp_path / f".{NETWORK.id}.000000000000.ckpt.abc.tmp"
    others = tmp_path / ".2026_01_01_00_00_00_000001.000000000000.ckpt.abc.tmp"
    for path in (mine, foreign, others):
        path.write_text("half")
    kept.clean()
    assert set(tmp_path.iterdir()) == {kept._newest, others}


def test_cleaning_and_loading_need_no_folder(tmp_path):
    kept = checkpoints(tmp_path / "none", NETWORK)
    kept.clean()
    assert kept.load() == (None, [])


def test_what_it_is_about_may_be_any_string_and_any_row_of_numbers(tmp_path):
    """`torch.__version__` is of a class of its own, which torch would not read again."""
    about = {"network": {"kernels": (3, 5)}, "versions.torch": torch.__version__}
    Checkpoints(tmp_path, "id", about).save({"step": 1})
    assert Checkpoints(tmp_path, "id", about).load() == ({"step": 1}, [])
    _, [(_, reason)] = Checkpoints(tmp_path, "id", {"network": {"kernels": (3, 6)}}).load()
    assert "another network.kernels: [3, 5] where this job has [3, 6]" in reason


def test_saving_changes_nothing_and_tells_the_size(tmp_path):
    kept, state = checkpoints(tmp_path, NETWORK), state_to_save()
    size = kept.save(state)
    assert size == kept._newest.stat().st_size
    loaded, _ = kept.load()
    assert loaded.keys() == state.keys()
    for name, weights in state["network"].items():
        assert np.array_equal(loaded["network"][name], weights)
