"""From a checkpoint a network goes on as if it had never been interrupted."""

import contextlib
import copy
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from checkpoint_cases import (
    EPOCHS,
    IMAGES,
    NETWORKS,
    STEPS,
    InterruptionError,
    checkpoints,
    network_of,
    train,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from small_networks import bits, loop_on

import nnlc.training.loop
from nnlc.training.loop import HalfEpochLoop

pytestmark = pytest.mark.usefixtures("every_step_counts")

HAS_DIVERGED = HalfEpochLoop._has_diverged


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Rows, steps, and right predictions of each network when nothing interrupts it."""
    trained = {name: train(name, tmp_path_factory.mktemp("undisturbed")) for name in NETWORKS}
    assert all(len(taken) == STEPS for _, taken in trained.values())
    return {
        name: (bits(loop.rows), taken, loop.train_correct)
        for name, (loop, taken) in trained.items()
    }


def goes_on_as_if_nothing_had_been(undisturbed, name, stops):
    with tempfile.TemporaryDirectory() as folder:
        loop, taken = train(name, Path(folder), stops)
    return (bits(loop.rows), taken, loop.train_correct) == undisturbed[name]


@pytest.mark.parametrize("name", NETWORKS)
def test_from_a_checkpoint_of_any_step_come_the_same_rows_and_no_step_is_repeated(
    undisturbed, tmp_path, name
):
    rows, taken, correct = undisturbed[name]
    network, chosen = network_of(name)

    def save():
        checkpoints(tmp_path / str(len(loop.images.taken)), network).save(loop.state())

    loop = loop_on(IMAGES, network, EPOCHS, save, **chosen)
    save()
    assert bits(list(loop)) == rows
    for step in range(STEPS + 1):
        resumed, taken_then = train(name, tmp_path / str(step))
        assert (bits(resumed.rows), taken_then) == (rows, taken[step:]), step
        assert resumed.train_correct == correct


@pytest.mark.parametrize("name", NETWORKS)
def test_interrupted_after_every_step_it_has_the_same_rows_and_repeats_no_step(undisturbed, name):
    assert goes_on_as_if_nothing_had_been(undisturbed, name, range(STEPS + 1))


@settings(max_examples=20)
@given(name=st.sampled_from(sorted(NETWORKS)), stops=st.sets(st.integers(0, STEPS), max_size=8))
def test_interrupted_several_times_it_has_the_same_rows_and_repeats_no_step(
    undisturbed, name, stops
):
    assert goes_on_as_if_nothing_had_been(undisturbed, name, stops)


def test_a_diverged_network_goes_on_as_one(undisturbed, tmp_path, monkeypatch):
    monkeypatch.setattr(HalfEpochLoop, "_has_diverged", HAS_DIVERGED)
    rows, taken, correct = undisturbed["diverging"]
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
        assert (bits(resumed.rows), resumed.train_correct) == (rows, correct)
        assert len(taken_then) <= len(loop.images.taken)
    assert taken_then == []  # from a half epoch that was filled in


def test_these_networks_differ_and_one_of_them_diverges(undisturbed):
    assert len({str(rows) for rows, *_ in undisturbed.values()}) == len(NETWORKS)
    assert undisturbed["diverging"][0][-1][:2] == ["nan", "nan"]
    for name in set(NETWORKS) - {"diverging"}:
        assert not {"nan", "inf"} & {value for row in undisturbed[name][0] for value in row}


def test_half_epochs_that_an_older_version_began_have_no_right_predictions_and_later_ones_do(
    undisturbed,
):
    rows, _, correct = undisturbed["no momentum"]
    network, chosen = network_of("no momentum")

    def save():
        if len(loop.images.taken) == 5 + 2:
            states.append(copy.deepcopy(loop.state()))

    states, loop = [], loop_on(IMAGES, network, EPOCHS, save, **chosen)
    list(loop)
    del states[0]["train_correct"]
    for _ in range(2):
        resumed = loop_on(IMAGES, network, EPOCHS, **chosen)
        resumed.resume(states[0])
        states = [copy.deepcopy(resumed.state())]
    assert bits([*resumed.rows[:1], *resumed]) == rows
    assert resumed.train_correct == [None, None, *correct[2:]]
    assert None not in correct


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
