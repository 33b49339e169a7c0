"""Tables trained again: what is identical, what differs, and what is said of it.

One test trains again as users do. In the others something stands in for the trainer, as torch needs
seconds to start.
"""

import dataclasses
import json
import math
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from limits import HANG_SECONDS, let_pass, wait_until
from typer.testing import CliRunner, Result
from worker_jobs import processes

from nnlc import load_campaign, read_table, verify, write_table
from nnlc.cli import app
from nnlc.errors import NnlcError
from nnlc.families.article import NetworkSpec
from nnlc.networks import ImageSet
from nnlc.results.history import read_history
from nnlc.tables import Row, Table
from nnlc.verification import verify_trainer, verifying
from nnlc.verification.differences import recorded_circumstances
from nnlc.verification.verdicts import Verdict
from nnlc.verification.verify_text import verdict_lines
from nnlc.verification.verify_trainer import (
    StepsUncaptured,
    TrainingFailed,
    TrainingProcess,
)

MODELS = "F-MNIST-sample_models"


@pytest.fixture
def results(tmp_path, alone) -> Path:
    """The tiny campaign's results folder, to be hurt."""
    shutil.copytree(alone[1], tmp_path / "r")
    return tmp_path / "r"


@pytest.fixture
def remembered(alone, monkeypatch) -> Iterator[list["Remembering"]]:
    """In place of trainers, what they gave once, each network's by its ID; those that were made."""
    made: list[Remembering] = []
    rows = {path.stem: read_table(path).rows for path in tables_of(alone[1])}
    finishes = read_history(alone[1] / "journal").finishes.values()
    circumstances = recorded_circumstances(next(iter(finishes)))

    def make(campaign, images_root, device, threads):
        made.append(Remembering(rows, circumstances, threads))
        return made[-1]

    monkeypatch.setattr(verifying, "TrainingProcess", make)
    yield made
    assert all(one.closed for one in made)


class Remembering:
    """Has no GPU, and `threads`."""

    not_captured: tuple[str, ...] = ()

    def __init__(self, rows: dict[str, tuple[Row, ...]], circumstances: dict[str, str], threads):
        self._rows, self.device, self.closed = rows, "cpu", False
        self.circumstances = circumstances | {"threads": str(threads)}
        self.specs: list[NetworkSpec] = []

    def train(
        self, spec: NetworkSpec, images: ImageSet, half_epochs: int, *, graphs: bool = True
    ) -> Iterator[Row]:
        self.specs.append(spec)
        if graphs and spec.id.endswith(self.not_captured):
            yield from self._rows[spec.id][:1]
            raise StepsUncaptured("not permitted")
        if spec.id.endswith("3"):
            raise TrainingFailed("out of memory: it said so")
        yield from self._rows[spec.id][:half_epochs]

    def close(self) -> None:
        self.closed = True


def tables_of(results: Path) -> list[Path]:
    return sorted((results / MODELS).iterdir())


def change(path: Path, **values: object) -> NetworkSpec:
    """Other values of a table's specification; the one that was there."""
    table = read_table(path)
    write_table(Table(dataclasses.replace(table.spec, **values), table.rows), path)
    return table.spec


def change_row(path: Path, number: int, **values: float | None) -> Row:
    """Other values of a table's row; the one that was there."""
    table = read_table(path)
    rows = list(table.rows)
    rows[number] = dataclasses.replace(rows[number], **values)
    write_table(Table(table.spec, tuple(rows)), path)
    return table.rows[number]


def change_journal(results: Path, do: Callable[[dict], object]) -> None:
    """Rewrite what the journal says of each finished network."""
    for path in (results / "journal").glob("*.jsonl"):
        events = [json.loads(line) for line in path.read_text().splitlines()]
        for event in events:
            if event["event"] == "finish":
                do(event)
        path.write_text("".join(json.dumps(event) + "\n" for event in events))


def words(verdict: Verdict) -> str:
    return "\n".join(verdict_lines(verdict))


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["verify", *map(str, arguments)])


def test_what_was_trained_comes_out_again_and_what_was_changed_does_not(alone, results):
    before = {path: path.read_bytes() for path in alone[1].rglob("*") if path.is_file()}
    digit, seed, rate, *_ = tables_of(results)
    value = read_table(digit).rows[1].val_loss
    change_row(digit, 1, val_loss=math.nextafter(value, 9))
    drawn_seed = change(seed, random_seed=5).random_seed
    drawn_rate = change(rate, learning_rate=0.125).learning_rate
    verdicts = {verdict.path: verdict for verdict in verify([alone[1], digit, seed, rate])}
    for path in tables_of(alone[1]):
        assert verdicts.pop(path).identical
    assert {path: path.read_bytes() for path in alone[1].rglob("*") if path.is_file()} == before

    changed = verdicts[digit]
    assert not changed.specification
    (difference,) = changed.rows
    assert (difference.line, difference.column, difference.name) == (3, 3, "valLoss")
    assert float(difference.expected) == value
    assert difference.last_places == 1
    assert changed.bytes_changed
    for path, column, name, found, drawn in (
        (seed, 6, "random_seed", "5", str(drawn_seed)),
        (rate, 13, "learning_rate", "0.125", repr(drawn_rate)),
    ):
        (of_spec,) = verdicts[path].specification
        assert (of_spec.line, of_spec.column, of_spec.name) == (2, column, name)
        assert (of_spec.found, of_spec.expected) == (found, drawn)
        assert verdicts[path].first.line == 2  # it was trained with the table's word
        assert not verdicts[path].changes


def test_a_whole_folder_that_is_identical_leaves_with_0(remembered, results):
    tables_of(results)[3].unlink()  # the one that fails
    job = run(results)
    assert job.exit_code == 0
    lines = [f"{path}: identical, 2 half epochs in arithmetic 1" for path in tables_of(results)]
    assert job.stdout.splitlines() == [*lines, "5 of 5 identical"]
    assert len(remembered) == 1  # one process for all


def test_what_differs_is_named_by_line_and_column_with_its_size_and_leaves_with_3(
    remembered, results
):
    path, other, *_ = tables_of(results)
    before = change_row(path, 1, train_loss=1.5)
    job = run(path, other)
    assert job.exit_code == 3
    assert (
        f"{path}: differs, 2 half epochs trained again in arithmetic 1\n"
        "  changed since it was written: the journal has the checksum of other bytes\n"
        f"  line 3, column 2 (trainLoss): 1.5 in the table, {before.train_loss!r} now; "
    ) in job.stdout
    assert "\n  half epochs that differ: 1 of 2\n" in job.stdout
    assert "  no recorded circumstance differs" in job.stdout
    assert f"{other}: identical, 2 half epochs in arithmetic 1\n1 of 2 identical\n" in job.stdout


def test_a_changed_specification_is_told_before_the_curve(remembered, results):
    path = tables_of(results)[0]
    drawn = change(path, random_seed=5).random_seed
    change_row(path, 0, train_loss=1.5)
    (verdict,) = verify(path)
    text = words(verdict)
    told = f"column 6 (random_seed): 5 in the table, {drawn} in the campaign's draw"
    assert 0 < text.index(told) < text.index("(trainLoss): 1.5 in the table")
    assert remembered[0].specs[0].random_seed == 5


def test_what_was_not_trained_again_is_not_called_identical_if_its_bytes_are_others(
    remembered, results
):
    path = tables_of(results)[0]
    change_row(path, 1, val_accuracy_percent=99.5)
    (verdict,) = verify(path, half_epochs=1)
    assert not verdict.rows
    assert verdict.differs
    assert "no half epoch that was trained again differs" in words(verdict)
    (results / "journal").rename(results / "elsewhere")
    (verdict,) = verify(path, half_epochs=1)
    assert words(verdict) == f"{path}: identical, the first 1 half epoch of 2 in arithmetic 1"


def test_a_recorded_circumstance_that_differs_is_named(remembered, results):
    path = tables_of(results)[0]
    change_row(path, 0, train_loss=1.0)
    change_journal(results, lambda event: event["versions"].update(torch="1.3.1"))
    change_journal(results, lambda event: event["settings"].update(cudnn_benchmark=True))
    (verdict,) = verify(path)
    assert [(c.name, c.then) for c in verdict.changes] == [
        ("torch", "1.3.1"),
        ("cudnn_benchmark", "true"),
    ]
    assert "\n  torch was 1.3.1 and is " in words(verdict)
    assert "no recorded" not in words(verdict)
    shutil.rmtree(results / "journal")
    (verdict,) = verify(path)
    assert "no journal has the circumstances in which the table was made" in words(verdict)


def test_threads_are_as_recorded_unless_said_otherwise(remembered, results):
    path = tables_of(results)[0]
    change_journal(results, lambda event: event["settings"].update(threads=2))
    (verdict,) = verify(path)
    assert verdict.changes == ()  # it ran with two
    (verdict,) = verify(path, threads=1)
    assert [(c.name, c.then, c.now) for c in verdict.changes] == [("threads", "2", "1")]
    change_journal(results, lambda event: event["settings"].update(threads=10**9))
    (verdict,) = verify(path)
    assert [(c.name, c.then, c.now) for c in verdict.changes] == [("threads", "1000000000", "1")]


def test_a_table_of_a_gpu_is_trained_on_the_processor_where_there_is_none(remembered, results):
    path = tables_of(results)[0]
    change(path, train_gpu=True)
    change_row(path, 0, train_loss=1.0)

    def on_gpu(event):
        event["device"].update(name="Tesla V100", multiprocessors=80, instructions=None)

    change_journal(results, on_gpu)
    (verdict,) = verify(path)
    assert not verdict.specification
    assert "the table was made on a GPU, and none is here" in words(verdict)
    assert (verdict.changes[0].name, verdict.changes[0].then) == ("device", "Tesla V100")
    change(path, train_gpu=False)
    (verdict,) = verify(path)
    (of_spec,) = verdict.specification
    assert (of_spec.name, of_spec.found, of_spec.expected) == ("train_GPU", "False", "True")
    assert "True by the journal" in words(verdict)
    with pytest.raises(NnlcError, match="no GPU is visible here"):
        verify(path, device="cuda")


def test_damaged_strange_and_misnamed_tables_are_told_and_the_others_verified(remembered, results):
    damaged, good, *_ = tables_of(results)
    stranger = damaged.with_name("2020_01_01_00_00_00_000000.txt")
    shutil.copy(good, stranger)
    damaged.write_bytes(damaged.read_bytes().rsplit(b"\n", 2)[0] + b"\n")
    first, second, third = verify([stranger, damaged, good])
    assert first.is_stranger
    assert "or not under this name" in words(first)
    assert words(second) == (
        f"{damaged}: not verified: line 3: the table ends after 1 of 2 half epochs"
    )
    assert second.differs
    assert third.identical
    remembered[0]._rows[stranger.stem] = read_table(good).rows
    change(stranger, id=stranger.stem)  # now the campaign has no such network at all
    (verdict,) = verify(stranger)
    assert verdict.is_stranger
    assert not verdict.rows


def test_a_table_without_its_campaign_is_trained_under_nnlcs_own_settings(
    remembered, results, tmp_path
):
    path = tmp_path / "single" / tables_of(results)[0].name
    path.parent.mkdir()
    shutil.copy(tables_of(results)[0], path)
    (verdict,) = verify(path)
    assert verdict.identical
    assert "trained under nnlc's default settings" in words(verdict)
    change(path, random_seed=1)
    (verdict,) = verify(path, campaign=results)
    assert [difference.name for difference in verdict.specification] == ["random_seed"]
    change(path, dataset="pictures")
    (verdict,) = verify(path)
    assert "the size of pictures images is not known" in verdict.problem


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"optimizer": "Lion"}, "nnlc trains with SGD"),
        ({"loss_fn": "MSELoss"}, "nnlc trains with CrossEntropyLoss"),
        ({"batch_size": 1001}, "too large for 4000 training images"),
        ({"conv_kernels": (1000,)}, "does not fit"),
        ({"dataset": "CIFAR100"}, "its dataset CIFAR-100 is not among those of campaign tiny"),
    ],
)
def test_what_nnlc_could_not_have_trained_is_not_tried(remembered, results, values, reason):
    path = tables_of(results)[0]
    change(path, **values)
    (verdict,) = verify(path)
    assert reason in verdict.problem
    assert verdict.differs
    assert not remembered


def test_a_network_that_cannot_be_trained_is_told_and_the_next_is_verified(remembered, results):
    job = run(*tables_of(results)[2:5])
    assert job.exit_code == 3
    assert [line.split(": ", 1)[1] for line in job.stdout.splitlines()[:3]] == [
        "identical, 2 half epochs in arithmetic 1",
        "not verified: out of memory: it said so",
        "identical, 2 half epochs in arithmetic 1",
    ]
    assert len(remembered) == 2  # a process that failed is of no more use


def test_a_network_whose_steps_can_not_be_captured_is_trained_again_in_another_process(
    remembered, results, monkeypatch
):
    monkeypatch.setattr(Remembering, "not_captured", ("4",))
    told: list[str] = []
    assert all(verdict.identical for verdict in verify(tables_of(results)[4:], tell=told.append))
    assert [line for line in told if "again, without CUDA graphs: not permitted" in line]
    assert len(remembered) == 2


def test_how_far_a_long_training_is_is_told_now_and_then(remembered, results, monkeypatch):
    monkeypatch.setattr(verifying, "_TELL_SECONDS", 0.0)
    told: list[str] = []
    (results / MODELS / "notes").write_text("")
    path = tables_of(results)[0]
    verify(results / MODELS, half_epochs=1, tell=told.append)
    assert told[0] == f"skipped: {results / MODELS / 'notes'}: its name is not <ID>.txt"
    assert told[1] == f"1/6 {path.stem}: half epoch 1/1"


def test_missing_images_are_one_message_with_the_command_that_brings_them(
    remembered, results, tmp_path
):
    network = next(iter(load_campaign("fashion-mnist").networks()))
    path = tmp_path / f"{network.spec.id}.txt"
    write_table(Table(network.spec, (Row(1.0, 1.0, 1.0),) * 20), path)
    with pytest.raises(NnlcError) as problem:
        verify([results, path], images=tmp_path / "none here")
    assert "train-images-idx3-ubyte is missing" in str(problem.value)
    command = f"run: nnlc stage fashion-mnist --root '{tmp_path / 'none here'}'"
    assert str(problem.value).endswith(command)
    assert not remembered  # before anything is trained


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"half_epochs": 0}, "half_epochs is 0"),
        ({"seeds": 0}, "seeds is 0"),
        ({"threads": 10**9}, "threads is 1000000000"),
        ({"device": "tpu"}, "device is 'tpu'"),
        ({"campaign": "nowhere"}, "nowhere"),
        ({"paths": "no.txt"}, "no.txt: can't be read: No such file"),
    ],
)
def test_a_wrong_argument_is_refused_before_anything_is_trained(
    remembered, results, arguments, reason
):
    with pytest.raises(NnlcError, match=reason):
        verify(**{"paths": results, **arguments})
    assert not remembered


STAND_IN = """
import json, sys, time
def send(kind, **facts):
    print(json.dumps({"kind": kind, **facts}), flush=True)
made = {"device": {"name": "stand-in", "multiprocessors": None, "instructions": None}}
READY
for line in sys.stdin:
    message = json.loads(line)
    if message["kind"] == "circumstances":
        send("circumstances", versions={}, settings={}, **made)
    if message["kind"] == "train":
        send("row", values=[1.0, 2.0, 3.0])
        TRAIN
"""
READY = "send('ready', device={'gpus': 0})"


def stand_in(monkeypatch, train: str, ready: str = READY) -> None:
    code = STAND_IN.replace("READY", ready).replace("TRAIN", train)
    monkeypatch.setattr(verify_trainer, "COMMAND", (sys.executable, "-c", code))


@pytest.mark.parametrize(
    ("train", "reason"),
    [
        ("sys.exit(9)", "its trainer left with status 9"),
        ("import os; os.kill(os.getpid(), 9)", "was killed by SIGKILL, as the kernel does when"),
        ("send('failed', reason='out of memory: so')", "out of memory: so"),
        ("send('fatal', message='mend this')", "mend this"),
    ],
)
def test_the_end_of_a_trainer_is_told(monkeypatch, tmp_path, train, reason):
    stand_in(monkeypatch, train)
    trainer = TrainingProcess(load_campaign("smoke"), tmp_path, "cuda", 1)
    assert trainer.device == "cpu"  # no GPU is there
    assert trainer.circumstances == {"device": "stand-in"}
    network = next(iter(load_campaign("smoke").networks()))
    rows = []
    with pytest.raises((TrainingFailed, NnlcError), match=reason):
        rows.extend(trainer.train(network.spec, network.images, 2))
    trainer.close()
    assert trainer.closed


def test_a_trainer_that_does_not_start_is_a_mistake_to_mend(monkeypatch, tmp_path):
    stand_in(monkeypatch, "", ready="sys.exit(1)")
    with pytest.raises(NnlcError, match="no trainer could be started: its trainer left with"):
        TrainingProcess(load_campaign("smoke"), tmp_path, "cpu", 1)


def test_ctrl_c_ends_the_trainer_and_leaves_nothing_behind(monkeypatch, results, tmp_path):
    stand_in(monkeypatch, "time.sleep(600)")
    (tmp_path / "tmp").mkdir()
    code = (
        "import sys; from nnlc.verification import verify_trainer; from nnlc.cli import main\n"
        f"verify_trainer.COMMAND = {verify_trainer.COMMAND!r}\n"
        "sys.argv[0] = 'nnlc'; main()"
    )
    mark = f"NNLC_TEST_MARK={tmp_path}"
    job = subprocess.Popen(
        [sys.executable, "-c", code, "verify", results],
        env={**os.environ, "TMPDIR": str(tmp_path / "tmp"), "NNLC_TEST_MARK": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # what a terminal signals: all of it
    )
    wait_until(lambda: list((tmp_path / "tmp").glob("nnlc-verify-*")))
    let_pass(0.3)
    os.killpg(job.pid, signal.SIGINT)
    _, errors = job.communicate(timeout=HANG_SECONDS)
    assert job.returncode != 0
    assert "Traceback" not in errors
    assert not processes(verify_trainer.COMMAND[2], mark)
    assert not list((tmp_path / "tmp").glob("nnlc-verify-*"))
