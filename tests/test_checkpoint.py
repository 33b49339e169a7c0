"""Whatever ends a job or fills a disk leaves a checkpoint to go on from."""

import errno
import io
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from checkpoint_cases import (
    NETWORK,
    checkpoints,
    lay_out,
    newest_and_before,
    state_to_save,
    steps_of,
)
from hypothesis import example, given, settings
from hypothesis import strategies as st
from limits import Limit, let_pass

import nnlc.system.files
from nnlc.training.checkpoint import Checkpoints

pytestmark = pytest.mark.usefixtures("every_step_counts")


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

    patch.setattr(nnlc.system.files.os, "fdopen", fdopen)


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
    "making the file": fail_at((nnlc.system.files.os, "open")),
    "the first write": lambda patch, number: fail_writing(patch, number, 0),
    "syncing": fail_at((nnlc.system.files.os, "fsync")),
    "keeping the one before": lambda patch, number: fail_renaming(patch, number, 1),
}
EACH_NUMBER = pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EDQUOT])


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


@settings(max_examples=40)
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
    chance, last, times, left_behind, limit = random.Random(1), -1, 0, 0, Limit()
    checkpoints = Checkpoints(tmp_path, "id", {"epochs": 1})
    saver = subprocess.Popen(
        [sys.executable, "-c", SAVER, tmp_path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    )
    try:
        while times < 20 or not left_behind:
            assert not limit.over
            times += 1
            saver.stdin.write("go\n")
            saver.stdin.flush()
            child, before = None, last
            while child is None or last == before or chance.random() < 0.5:
                word, number = saver.stdout.readline().split()
                child, last = (int(number), last) if word == "child" else (child, int(number))
            let_pass(chance.uniform(0, 0.01))
            os.kill(child, 9)
            while (line := saver.stdout.readline()) != "gone\n":
                last = int(line.split()[1])
            left_behind += any(path.suffix == ".tmp" for path in tmp_path.iterdir())
            state, wrong = checkpoints.load()
            assert not wrong
            assert (state["number"] if state else -1) >= last
            assert state is None or state["weights"].unique().tolist() == [state["number"]]
        assert last > 10
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
