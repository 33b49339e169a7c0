"""One attempt at a network: what it saves and when, what it tells its agent, and when it leaves."""

import dataclasses
import errno
import os
import tomllib
from itertools import pairwise
from types import SimpleNamespace

import pytest
from small_networks import CPU, SAMPLE, bits, bundled_images, first, loop_on, spec
from worker_jobs import TINY

import nnlc.system.files
import nnlc.training.attempt
from nnlc.campaign.campaign import parse_campaign
from nnlc.errors import FamilyError
from nnlc.system import messages
from nnlc.tables import Row
from nnlc.training.attempt import HEARTBEAT_SECONDS, Attempt, Interrupted, failure_message
from nnlc.training.checkpoint import Checkpoints
from nnlc.training.device_info import bit_deciding, circumstances
from nnlc.training.inbox import Inbox
from nnlc.training.trainer import Trainer

NETWORK = spec(batch_size=10, momentum=0.9)

pytestmark = pytest.mark.usefixtures("deterministic")


def images():
    """Return so many that a half epoch is 3 steps of training and 2 of validation."""
    return first(bundled_images(), 64, 25)


class Clock:
    def __init__(self):
        self.now = 5000.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(nnlc.training.attempt, "time", clock)
    return clock


class Trial:
    """An attempt, the agent's end of its pipes, and what happens to it after its steps.

    `after` holds what to do after so many steps; each step takes `step_seconds` of the clock.
    """

    def __init__(
        self, folder, clock, after=None, minutes=1000.0, epochs=2, step_seconds=1.0, stopper=None
    ):
        read, self._write = os.pipe()
        self.clock, self._after, self._epochs = clock, after or {}, epochs
        self._step_seconds = step_seconds
        about = {"network": NETWORK.to_json(), **bit_deciding(circumstances(CPU))}
        self.checkpoints = Checkpoints(folder, NETWORK.id, about)
        self.messages, self.times, self.steps = [], [], 0
        self.attempt = Attempt(
            7,
            self.checkpoints,
            Inbox(read),
            self._receive,
            checkpoint_seconds=60 * minutes,
            stopper=stopper,
        )

    def _receive(self, message):
        received = messages.decode(messages.encode(message))
        assert bits_of(received) == bits_of(message)
        self.messages.append(received)
        self.times.append(self.clock.now)

    def tell(self, kind):
        os.write(self._write, messages.encode({"kind": kind}))

    def run(self):
        return self.attempt.run(self._make_loop, CPU)

    def _make_loop(self, between_steps):
        def step():
            self.steps += 1
            self.clock.now += self._step_seconds
            self._after.get(self.steps, lambda: None)()
            between_steps()

        return loop_on(images(), NETWORK, self._epochs, step)

    def of(self, *kinds):
        return [message for message in self.messages if message["kind"] in kinds]

    def times_of(self, kind):
        pairs = zip(self.times, self.messages, strict=True)
        return [time for time, message in pairs if message["kind"] == kind]

    def rows(self):
        values = [row for message in self.of("resumed") for row in message["rows"]]
        return bits([Row(*row) for row in values + [m["values"] for m in self.of("row")]])


def bits_of(message):
    return repr(sorted(message.items()))


@pytest.fixture
def start(tmp_path, clock):
    """Attempts at the one network of one folder."""

    def start_trial(**how):
        return Trial(tmp_path / "checkpoints", clock, **how)

    return start_trial


def leave_after(start, steps, **how):
    trial = start(after={steps: lambda: trial.tell("save")}, **how)
    with pytest.raises(Interrupted):
        trial.run()
    return trial


def files(folder):
    return sorted(path.name for path in folder.rglob("*")) if folder.exists() else []


@pytest.fixture(scope="module")
def undisturbed():
    return bits(list(loop_on(images(), NETWORK, 2)))


def test_an_attempt_tells_how_long_it_was_set_up_at_its_end_and_with_each_checkpoint(start, clock):
    trial = start(after={4: lambda: trial.tell("save")})
    clock.now += 7.5
    with pytest.raises(Interrupted):
        trial.run()
    assert [message["setup_seconds"] for message in trial.of("saved")] == [7.5]
    again = start()
    clock.now += 2.25
    assert again.run()["setup_seconds"] == 2.25


@pytest.mark.parametrize("steps", [1, 3, 4, 5, 12, 19])
def test_told_to_leave_it_saves_says_so_and_the_next_attempt_goes_on(start, undisturbed, steps):
    trial = leave_after(start, steps)
    saving, saved = trial.of("saving", "saved")
    assert (saving["kind"], saved["kind"], saved["index"]) == ("saving", "saved", 7)
    done, rest = divmod(steps, 5)
    at_end = rest == 0  # the half epoch's last step is done, but its row is not told yet
    assert saved["half_epoch"] == done - at_end
    assert (saved["seconds_a_half_epoch"] is None) == (done - at_end == 0)
    assert saved["bytes"] == trial.checkpoints._newest.stat().st_size
    assert trial.steps == steps

    following = start()
    following.run()
    (resumed,) = following.of("resumed")
    assert resumed["rows"] == [message["values"] for message in trial.of("row")]
    assert resumed["step"] == saved["step"] == [2, 1, 2, 3, 1][(rest if rest else 0)]
    assert following.rows() == undisturbed
    assert trial.steps + following.steps == 20


def test_told_to_leave_before_anything_was_trained_it_leaves_no_file(start, tmp_path):
    trial = start()
    trial.tell("save")
    with pytest.raises(Interrupted):
        trial.run()
    assert trial.steps == 0
    assert trial.messages == []
    assert files(tmp_path) == []


def test_told_to_leave_when_nothing_is_new_it_does_not_save_again(start, tmp_path):
    leave_after(start, 4)
    before = files(tmp_path)
    trial = start()
    trial.tell("save")
    with pytest.raises(Interrupted):
        trial.run()
    assert [message["kind"] for message in trial.messages] == ["resumed"]
    assert files(tmp_path) == before


def test_no_word_but_save_makes_it_leave(start, undisturbed):
    trial = start()
    trial.tell("check")
    trial.run()
    assert trial.rows() == undisturbed


def test_every_half_epoch_is_told_with_its_values_and_seconds(start, undisturbed):
    trial = start()
    facts = trial.run()
    rows = trial.of("row")
    assert [message["half_epoch"] for message in rows] == [1, 2, 3, 4]
    assert trial.rows() == undisturbed
    train = {"half_epoch_train_correct", "half_epoch_train_images"}
    times = {"seconds", "setup_seconds", "half_epoch_seconds"}
    assert facts.keys() == {"peak_memory_bytes"} | times | train
    assert len(facts["half_epoch_train_correct"]) == len(rows)
    told = [message["seconds"] for message in rows]
    assert facts["half_epoch_seconds"] == pytest.approx(told, abs=1e-3)
    assert facts["seconds"] == pytest.approx(sum(told), abs=1e-3)
    assert facts["peak_memory_bytes"] > 1 << 20
    messages.encode(facts)


def test_checkpoints_come_at_the_interval_and_change_no_bit(start, undisturbed):
    trial = start(minutes=0.1)
    begin = trial.clock.now
    trial.run()
    assert [time - begin for time in trial.times_of("saved")] == [6, 12, 18]
    assert trial.rows() == undisturbed


def test_no_checkpoint_comes_before_the_interval_is_over(start, tmp_path):
    start(minutes=1).run()
    assert files(tmp_path) == []


@pytest.mark.parametrize("saving_seconds", [0.01, 0.5, 3.0])
def test_where_saving_is_slow_checkpoints_take_a_hundredth_of_the_time_at_most(
    start, monkeypatch, saving_seconds
):
    expected = max(6.0, 100 * saving_seconds)
    trial = start(minutes=0.1, epochs=8, step_seconds=expected / 10)
    monkeypatch.setattr(
        trial.checkpoints,
        "save",
        lambda _: setattr(trial.clock, "now", trial.clock.now + saving_seconds) or 1,
    )
    begin = trial.clock.now
    trial.run()
    assert {message["seconds"] for message in trial.of("saved")} == {saving_seconds}
    first_one, *_ = times = trial.times_of("saving")
    assert 6 <= first_one - begin <= 6 + expected / 10
    assert len(times) >= 5
    for before, after in pairwise(times):
        assert expected <= after - before < 1.2 * expected


def test_signs_of_life_come_from_the_first_step_on_and_not_after_every_step(start):
    trial = start(epochs=8, step_seconds=HEARTBEAT_SECONDS / 8)
    trial.run()
    assert HEARTBEAT_SECONDS <= 1
    steps = [message["steps"] for message in trial.of("alive")]
    assert steps == list(range(1, 81, 8))
    assert {after - before for before, after in pairwise(trial.times_of("alive"))} == {
        HEARTBEAT_SECONDS
    }


def test_a_damaged_checkpoint_is_told_with_path_and_reason(start, undisturbed):
    leave_after(start, 4)
    leave_after(start, 3)
    start().checkpoints._newest.write_text("damaged")
    trial = start()
    trial.run()
    (aside,) = trial.of("aside")
    assert aside["index"] == 7
    assert "aside/" in aside["path"]
    assert "checksum" in aside["reason"]
    assert trial.of("resumed")
    assert trial.steps == 16
    assert trial.rows() == undisturbed


def test_what_an_interrupted_save_left_behind_is_removed(start, tmp_path):
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    (folder / f".{NETWORK.id}.0123456789ab.ckpt.x.tmp").write_text("half")
    start().run()
    assert files(folder) == []


def test_the_memory_told_is_this_attempts_own(start, monkeypatch):
    trial, forgotten = start(epochs=1), []
    attempt = nnlc.training.attempt
    monkeypatch.setattr(attempt, "reset_peak_memory", lambda _: forgotten.append(trial.steps))
    monkeypatch.setattr(attempt, "peak_memory", lambda _: 1000 + trial.steps)
    assert trial.run()["peak_memory_bytes"] == 1010
    assert forgotten == [0]


@pytest.fixture
def disk(monkeypatch):
    """A disk that is full when told so."""
    disk, fsync = SimpleNamespace(full=False), os.fsync

    def sync(handle):
        if disk.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(handle)

    monkeypatch.setattr(nnlc.system.files.os, "fsync", sync)
    return disk


def test_where_no_checkpoint_can_be_saved_it_says_why_and_goes_on(start, undisturbed, disk):
    trial = start(
        minutes=0.1,
        after={
            1: lambda: setattr(disk, "full", True),
            13: lambda: setattr(disk, "full", False),
        },
    )
    trial.run()
    kinds = [m["kind"] for m in trial.of("saving", "saved", "trouble")]
    assert kinds == ["saving", "trouble"] * 2 + ["saving", "saved"]
    assert all(os.strerror(errno.ENOSPC) in message["reason"] for message in trial.of("trouble"))
    assert trial.rows() == undisturbed
    assert trial.checkpoints.load()[0]["step"] == 3


def test_told_to_leave_it_leaves_though_nothing_can_be_saved(start, disk, tmp_path):
    disk.full = True
    trial = leave_after(start, 4)
    assert [message["kind"] for message in trial.of("saving", "saved", "trouble")] == [
        "saving",
        "trouble",
    ]
    assert files(tmp_path / "checkpoints") == []


class Agent:
    """The other side of a trainer: sends these messages, and `save` after the first step."""

    def __init__(self, *outgoing, then_save):
        read, self._write = os.pipe()
        self.received, self._then_save = [], then_save
        for message in outgoing:
            os.write(self._write, messages.encode(message))
        if not then_save:
            os.close(self._write)
        Trainer(Inbox(read), self, 0).serve()

    def write(self, line):
        self.received.append(messages.decode(line))
        if self._then_save and self.received[-1]["kind"] == "alive":
            os.write(self._write, messages.encode({"kind": "save"}))

    def flush(self):
        """As files have it."""

    def of(self, kind):
        return [message for message in self.received if message["kind"] == kind]


def to_train(folder):
    """Return what an agent sends a trainer for one network."""
    folder.mkdir()
    return [
        {
            "kind": "configure",
            "campaign": parse_campaign(tomllib.loads(TINY), folder).model_dump(mode="json"),
            "images": "unused",
            "checkpoints": str(folder),
            "device": "cpu",
        },
        {
            "kind": "train",
            "index": 7,
            "spec": spec(batch_size=200).to_json(),
            "image_set": dataclasses.asdict(SAMPLE),
        },
    ]


def test_a_bug_in_training_is_told_with_its_message_and_traceback(tmp_path, monkeypatch):
    def fail(_self, _images):
        raise ValueError("not contiguous: `0.weight`\nhint")

    def leave(_status):
        raise Interrupted

    monkeypatch.setattr(Trainer, "_on_device", fail)
    monkeypatch.setattr("os._exit", leave)
    [failed] = Agent(*to_train(tmp_path / "c"), then_save=False).of("failed")
    assert failed["reason"] == "ValueError: not contiguous: `0.weight`"
    assert failed["traceback"].startswith("Traceback ")


def test_an_exception_of_a_familys_module_is_told_with_its_line_and_no_traceback():
    class Own:
        def forward(self):
            raise ValueError("no such width")

    with pytest.raises(ValueError, match="no such width") as raised:
        Own().forward()
    line = raised.traceback[-1].lineno + 1
    failed = failure_message(1, raised.value, Own())
    place = f"({__file__}, line {line})"
    assert failed["reason"] == f"its module raised ValueError: no such width {place}"
    assert "traceback" not in failed
    assert "of_family" not in failed  # a device may have failed
    assert "traceback" in failure_message(1, raised.value, "of another module")
    built = FamilyError("build raised ValueError")
    built.__cause__ = raised.value
    told = {"reason": "build raised ValueError", "of_family": True}
    assert failure_message(1, built, Own()) == {"kind": "failed", "index": 1, **told}


def test_a_trainer_told_to_save_leaves_and_another_goes_on_to_the_same_rows(tmp_path):
    undisturbed = Agent(*to_train(tmp_path / "undisturbed"), then_save=False)
    told = to_train(tmp_path / "interrupted")
    leaving = Agent(*told, then_save=True)
    (saved,) = leaving.of("saved")
    assert saved["step"] == 2
    assert not leaving.of("row") + leaving.of("finished")
    following = Agent(*told, then_save=False)
    assert [message["step"] for message in following.of("resumed")] == [2]
    assert not following.of("aside")
    rows = [
        [message["values"] for message in agent.of("row")] for agent in (undisturbed, following)
    ]
    assert rows[0] == rows[1]
    assert following.of("finished")
