"""Kept weights: what a training writes at its end, goes on from, and gives to `nnlc.rebuild`."""

import errno
import os
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from small_networks import CPU, bits, bundled_images, first, loop_on, spec
from test_attempt import Agent
from worker_jobs import TINY

import nnlc
from nnlc.campaign.campaign import Campaign, parse_campaign
from nnlc.results.folder import ResultsFolder
from nnlc.results.weights_header import kept_half_epochs
from nnlc.system import messages
from nnlc.tables import Row, Table, read_table, write_table
from nnlc.training.attempt import Attempt, Interrupted
from nnlc.training.checkpoint import Checkpoints
from nnlc.training.inbox import Inbox
from nnlc.training.kept_weights import KeptWeights

IMAGES = first(bundled_images(), 64, 25)
# A half epoch is 3 steps of training and 2 of validation.
MOMENTUM = {"batch_size": 10, "momentum": 0.9, "dampening": 0.1}
TWO_CONVOLUTIONS = {
    "layer_types": (1, 1),
    "dropout_rate": 0,
    "conv_kernels": (4, 2),
    "conv_strides": (3, 1),
    "conv_paddings": (1, 0),
    "conv_filters": (10, 12),
    **dict.fromkeys(("pool_kernels", "pool_strides", "pool_paddings"), ()),
}
"""Weights of the second one have several input channels, which lie last in memory."""
ADAM = {"batch_size": 10, "optimizer": "Adam", "momentum": 0, "learning_rate": 0.003}

pytestmark = pytest.mark.usefixtures("deterministic")


class Training:
    """One attempt in a folder, told to save after so many steps."""

    def __init__(self, folder, network, epochs, *, keep="final", leave_after=0, software="1"):
        read, write = os.pipe()
        self.steps, self.messages = 0, []
        checkpoints = Checkpoints(folder / "checkpoints", network.id, {"versions.torch": software})
        path = ResultsFolder(folder).weights_path(network.id)
        kept = KeptWeights(path, keep, checkpoints, network, lambda f: f.mkdir(exist_ok=True))

        def step():
            self.steps += 1
            if self.steps == leave_after:
                os.write(write, messages.encode({"kind": "save"}))
            between_steps()

        def make_loop(look):
            nonlocal between_steps
            between_steps = look
            return loop_on(IMAGES, network, epochs, step)

        between_steps = None
        (folder / "checkpoints").mkdir(exist_ok=True, parents=True)
        attempt = Attempt(
            7, checkpoints, Inbox(read), self.messages.append, checkpoint_seconds=1e6, kept=kept
        )
        try:
            self.facts = attempt.run(make_loop, CPU)
        except Interrupted:
            assert leave_after
        self.path = path

    def of(self, kind):
        return [message for message in self.messages if message["kind"] == kind]

    def rows(self):
        resumed = [values for message in self.of("resumed") for values in message["rows"]]
        return [Row(*values) for values in [*resumed, *(m["values"] for m in self.of("row"))]]


@pytest.mark.parametrize("settings", [MOMENTUM, ADAM], ids=["momentum", "Adam"])
def test_more_epochs_go_on_from_the_last_step_with_the_bits_of_a_longer_training(
    tmp_path, settings
):
    network = spec(**settings)
    shorter = Training(tmp_path, network, 1)
    assert shorter.steps == 10
    told = Training(tmp_path, network, 2, leave_after=4)
    assert told.steps == 4
    longer = Training(tmp_path, network, 2)
    assert longer.steps == 6
    assert bits(longer.rows()) == bits(list(loop_on(IMAGES, network, 2)))
    assert sum(longer.facts["half_epoch_seconds"]) == pytest.approx(
        longer.facts["seconds"], abs=0.1
    )
    assert kept_half_epochs(longer.path) == 4


def test_a_table_that_was_lost_is_written_again_without_training(tmp_path):
    network = spec(**MOMENTUM)
    rows = Training(tmp_path, network, 1).rows()
    again = Training(tmp_path, network, 1)
    assert again.steps == 0
    assert bits(again.rows()) == bits(rows)


def test_without_kept_weights_of_this_software_a_training_starts_again_and_says_why(tmp_path):
    network = spec(**MOMENTUM)
    Training(tmp_path, network, 1)
    again = Training(tmp_path, network, 2, software="2")
    assert again.steps == 20
    [aside] = again.of("aside")
    assert "another versions.torch" in aside["reason"]
    assert bits(again.rows()) == bits(list(loop_on(IMAGES, network, 2)))


@pytest.mark.parametrize("change", ["a value", "a setting", "the end"])
def test_damaged_weights_are_told_and_not_used(tmp_path, change):
    network = spec(**MOMENTUM)
    path = Training(tmp_path, network, 1).path
    content = bytearray(path.read_bytes())
    if change == "a value":
        content[-9] ^= 1
    elif change == "a setting":
        content = content.replace(b'lr\\": 0.05', b'lr\\": 0.06')
    path.write_bytes(content[:-5] if change == "the end" else content)
    again = Training(tmp_path, network, 2)
    assert again.steps == 20
    [aside] = again.of("aside")
    assert "damaged" in aside["reason"]


def test_the_best_weights_are_those_after_the_first_best_half_epoch_also_when_interrupted(tmp_path):
    network = spec(**MOMENTUM | TWO_CONVOLUTIONS | {"learning_rate": 1.0})
    rows = list(loop_on(IMAGES, network, 3))
    accuracies = [row.val_accuracy_percent for row in rows]
    best = 1 + accuracies.index(max(accuracies))
    assert 1 < best < 6, "choose another network"
    Training(tmp_path, network, 3, keep="best", leave_after=5 * best + 2)
    ended = Training(tmp_path, network, 3, keep="best")
    assert not ended.of("trouble")
    assert bits(ended.rows()) == bits(rows)
    assert kept_half_epochs(ended.path) == 0, "training can't go on from weights alone"
    loop = loop_on(IMAGES, network, best / 2)
    assert len(list(loop)) == best
    found, wanted = load_file(ended.path), loop.network.state_dict()
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


def test_the_best_weights_of_a_checkpoint_from_before_they_were_kept_are_missing_and_told(tmp_path):
    network = spec(**MOMENTUM | {"learning_rate": 0.5})
    Training(tmp_path, network, 3, keep="none", leave_after=29)
    ended = Training(tmp_path, network, 3, keep="best")
    [trouble] = ended.of("trouble")
    assert "not kept at that time" in trouble["reason"]
    assert not ended.path.exists()


def test_on_a_full_disk_the_network_is_finished_without_weights_and_the_reason_is_told(
    tmp_path, monkeypatch
):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("nnlc.training.kept_weights.write_atomically", full)
    ended = Training(tmp_path, spec(**MOMENTUM), 1)
    assert len(ended.rows()) == 2
    *_, saving, trouble = ended.messages
    assert saving["kind"] == "saving", "writing may take long, and is no hang"
    assert os.strerror(errno.ENOSPC) in trouble["reason"]


def test_nothing_is_kept_unless_the_campaign_says_so(tmp_path):
    assert not Training(tmp_path, spec(**MOMENTUM), 1, keep="none").path.exists()


def trainer_messages(results: ResultsFolder, campaign: Campaign) -> list[dict]:
    network = next(campaign.networks()).on("cpu")
    configure = {"kind": "configure", "campaign": campaign.model_dump(mode="json")}
    folders = {"images": "unused", "results": str(results.path), "device": "cpu"}
    checkpoints = {"checkpoints": str(results.checkpoints_folder)}
    return [
        {**configure, **folders, **checkpoints},
        {"kind": "train", "index": 0, **network.to_json()},
    ]


def test_a_trainer_goes_on_in_a_grown_folder_and_uses_the_checkpoints_of_before(tmp_path):
    text = TINY.replace("epochs = 1", "epochs = EPOCHS\nrun.keep = 'final'")

    def campaign(epochs):
        return parse_campaign(tomllib.loads(text.replace("EPOCHS", str(epochs))), tmp_path)

    started = ResultsFolder(tmp_path / "started")
    started.open(campaign(2))
    whole = Agent(*trainer_messages(started, campaign(2)), then_save=False)
    results = ResultsFolder(tmp_path / "grown")
    results.open(campaign(1))
    leaving = Agent(*trainer_messages(results, campaign(1)), then_save=True)
    assert leaving.of("saved")
    grown = campaign(2).model_copy(update={"grown_from": (campaign(1).generation,)})
    results.rewrite(grown)
    ended = Agent(*trainer_messages(results, grown), then_save=False)
    assert ended.of("resumed"), "a checkpoint of before the growth is of use"
    rows = [message["values"] for message in whole.of("row")]
    assert [message["values"] for message in ended.of("row")] == rows
    for folder in (started, results):
        [path] = folder.weights_folder.iterdir()
        assert kept_half_epochs(path) == 4


@pytest.fixture
def kept(tmp_path):
    """The table of a trained network, in a folder with its final weights."""
    network = spec(**MOMENTUM)
    training = Training(tmp_path, network, 1)
    table = tmp_path / "F-MNIST-sample_models" / f"{network.id}.txt"
    table.parent.mkdir()
    write_table(Table(network, tuple(training.rows())), table)
    return table, training.path


def test_rebuild_loads_the_kept_weights_into_plain_modules(kept):
    table, _ = kept
    loop = loop_on(IMAGES, read_table(table).spec, 1)
    list(loop)
    for plain in (True, False):
        module = nnlc.rebuild(table, weights="final", plain=plain)
        state = module.state_dict()
        assert all(torch.equal(state[k], v) for k, v in loop.network.state_dict().items())
    initial = nnlc.rebuild(table).state_dict()
    assert not all(torch.equal(initial[k], v) for k, v in state.items())


def changed_row(table: Path, _weights: Path) -> None:
    whole = read_table(table)
    write_table(replace(whole, rows=(*whole.rows[:-1], Row(1.0, 1.0, 10.0))), table)


def other_weights(_table: Path, weights: Path) -> None:
    save_file({"0.weight": torch.zeros(2)}, weights)


@pytest.mark.parametrize(
    ("spoil", "which", "words"),
    [
        (lambda _, weights: weights.unlink(), "final", 'keep = "final"'),
        (lambda _, weights: weights.write_bytes(weights.read_bytes()[:-7]), "final", "damaged"),
        (lambda _, weights: weights.write_text("{}"), "final", "damaged"),
        (other_weights, "final", "damaged"),
        (changed_row, "final", "does not belong to this table"),
        (lambda *_: None, "last", "must be 'initial', 'final' or 'best'"),
    ],
)
def test_rebuild_refuses_weights_that_are_missing_damaged_or_of_another_table(
    kept, spoil, which, words
):
    table, weights = kept
    spoil(table, weights)
    with pytest.raises(nnlc.NnlcError, match=words) as refusal:
        nnlc.rebuild(table, weights=which)
    if which == "final":
        assert weights.name in str(refusal.value)


def test_rebuild_says_which_weights_are_there_instead(tmp_path):
    network = spec(**MOMENTUM | {"learning_rate": 0.5})
    table = tmp_path / "F-MNIST-sample_models" / f"{network.id}.txt"
    table.parent.mkdir()
    training = Training(tmp_path, network, 2)
    write_table(Table(network, tuple(training.rows())), table)
    with pytest.raises(nnlc.NnlcError, match=r"of epoch 2; the best ones, of epoch 1\.5"):
        nnlc.rebuild(table, weights="best")
    training = Training(tmp_path, network, 1)
    write_table(Table(network, tuple(training.rows())), table)
    nnlc.rebuild(table, weights="best")  # the last are the best
    with pytest.raises(nnlc.NnlcError, match="needs the table's file"):
        nnlc.rebuild(read_table(table), weights="final")
