"""Every benchmark runs, in its smallest form, and checks what it measured."""

import importlib
import os
import re
import sys
from concurrent.futures import Executor, Future
from pathlib import Path

import pytest
import torch
from curve_samples import saturating, table
from tabular_samples import write_networks

FOLDER = Path(__file__).parent.parent / "benchmarks"


class Pool(Executor):
    """This process, in the place of another."""

    def submit(self, work, *arguments):
        done = Future()
        done.set_result(work(*arguments))
        return done


def HERE(*_):  # noqa: N802
    return Pool()


@pytest.fixture
def output_of(monkeypatch, capsys):
    """A function that runs a benchmark in this process, and returns what it prints."""
    monkeypatch.syspath_prepend(FOLDER)

    def run_benchmark(name, *arguments):
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        try:
            status = importlib.import_module(name.removesuffix(".py")).main()
        except SystemExit as end:
            status = end.code
        told = capsys.readouterr()
        assert not status, told
        return told.out

    return run_benchmark


@pytest.fixture
def run(output_of):
    """A function that returns the numbers of the last line that a benchmark prints."""
    return lambda *words: [
        float(n) for n in re.findall(r"[\d.]+", output_of(*words).splitlines()[-1])
    ]


@pytest.mark.parametrize(
    "name", ["campaign", "convolutions", "exactness", "heavy_layers", "pooling"]
)
def test_help_says_in_words_what_each_option_is_for(name, output_of, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    told = output_of(name, "--help").partition("options:")[2].strip().splitlines()
    assert len(told) > 3
    # A long option has its help on the next line.
    bare = [line for line in told if len(line.rpartition("  ")[2].split()) < 3]
    assert bare == [line for line in bare if line.endswith("}")]


def test_rank_0_gathers_the_articles_networks_from_trainers_that_train_nothing(run, tmp_path):
    words = ["--ranks", 3, "--per-depth", 1, "--folder", tmp_path]
    ranks, networks, rows_a_second, networks_a_second, work, *_ = run("gather.py", *words)
    assert (ranks, networks) == (3, 30)
    for done, a_second in ((30, networks_a_second), (30 * 80, rows_a_second)):
        rounding = 0.5 * (work + 0.1) + 0.05 * a_second + 0.1  # of what is printed
        assert done == pytest.approx(a_second * work, abs=rounding)
    assert not list(tmp_path.iterdir())


def test_the_time_of_a_whole_job_is_set_against_that_of_its_training(run, tmp_path):
    words = ["--ranks", 1, "--per-depth", 1, "--epochs", 1, "--folder", tmp_path]
    ranks, networks, training, whole, start, _, in_all, steady, *shares = run(
        "orchestra.py", *words
    )
    assert (ranks, networks, len(shares)) == (1, 2, 1)
    assert whole + 0.15 > start + training  # each is rounded to a tenth
    assert in_all > steady >= 0.99


def test_commands_on_many_tables_are_measured_and_lose_none(run, tmp_path):
    words = ["--networks", 60, "--rounds", 1, "--only", "merge", "--folder", tmp_path]
    (queries_a_second,) = run("tables.py", *words)
    assert queries_a_second > 0
    assert not list(tmp_path.iterdir())


def test_penguin_is_set_against_its_published_engine(run, tmp_path):
    lost = [*[50.0] * 8, float("nan"), 50.0]
    for number, accuracies in enumerate([*saturating(3, 10, seed=4), lost]):
        one = table(number, accuracies)
        (tmp_path / f"{one.spec.id}.txt").write_bytes(one.to_bytes())
    alike, networks, differing, unsure = run("engine.py", tmp_path, "--epoch", 5)
    assert networks == 3
    assert (alike + differing, differing) == (3, unsure)


@pytest.mark.needs("Chromium")
def test_a_page_is_opened_and_used_in_a_browser(run):
    typical, most = run("page.py", "--networks", 60, "--rounds", 1)  # of scrolling to the end
    assert 0 < typical == most


class OneCore:
    """This process, in the place of a machine whose cores all do the same."""

    cores = 1

    def __init__(self, *_):
        pass

    def time(self, way, of, seconds):
        return way(of, seconds, torch.device("cpu"))


SMALLEST = {
    "campaign.py": (
        ["--networks", 2, "--campaign", "smoke", "--ways", "resident", "direct"],
        {"Machine": OneCore, "SECONDS": 0.01},
        r"^all +8 100\.0% +3 +\d+\.\d\d ± \d.* 1\.00 ± 0\.00 *\nours: ",
    ),
    "convolutions.py": (
        ["--layers", 1, "--campaign", "smoke", "--check"],
        {"trainer_process": HERE},
        r"^all passes: direct/chosen \d.* of [23] choices lose more than 10%",
    ),
    "exactness.py": (
        ["--layers", 1, "--images", 1, "--campaign", "smoke"],
        {"trainer_process": HERE, "EPOCHS": 0.5, "SEEDS": 2, "MOST_OPERATIONS": 2e10},
        r"^weights' gradient: nnlc's error is \d\.\d\d times torch's",
    ),
    "heavy_layers.py": (
        ["--sampled", 1, "--campaign", "smoke"],
        {"trainer_process": HERE},
        r"^sum of 1: ours \d.*; torch/ours \d.* in sum, at least ",
    ),
    "checkpoints.py": (
        ["--saves", 1],
        {"HIDDEN_UNITS": {"median": 8, "99th percentile": 16}},
        r"^median .*\n99th percentile ",
    ),
    "loop.py": (
        ["--networks", 1, "--seconds", 0.01, "--rounds", 1, "--cores", 1],
        {"own_process": HERE, "trainer_process": HERE},
        r"^geometric means: ours ",
    ),
    "recipe_loops.py": (
        ["residual-smoke", "--networks", 1, "--seconds", 0.01, "--rounds", 1],
        {"own_process": HERE, "trainer_process": HERE},
        r"^geometric mean: the usual loop takes \d",
    ),
    "cost.py": (
        ["--networks", 4, "--memory", 1, "--rounds", 1],
        {"trainer_process": HERE, "LONGEST_STEP": 0.02},
        r"^predicted over measured: \d",
    ),
    "reading.py": (["--networks", 30, "--rounds", 1], {}, r"^inventory +\d"),
    "schedule.py": (
        ["--site", "summit", "--gpus", 6, "--copies", 1, "--seeds", 1],
        {},
        r"^summit +6 +600 .* by all +1\.000 +1\.000 ",
    ),
}
"""Options, what is smaller here or in this process, and what is printed but for its figures."""


@pytest.mark.parametrize("name", SMALLEST)
def test_a_benchmark_runs_in_its_smallest_form(name, output_of, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options, smaller, told = SMALLEST[name]
    benchmark = importlib.import_module(name.removesuffix(".py"))
    for attribute, value in smaller.items():
        monkeypatch.setattr(benchmark, attribute, value)
    if name == "loop.py":
        assert "% of a half epoch" in output_of(name, "--counting", *options)
    if name == "exactness.py":
        assert "points between ways, by" in output_of(name, "--curves", 1)
    if name == "schedule.py":
        every_tenth(benchmark, monkeypatch)
        found = benchmark.array_row("summit", 24, 4, 1)  # takes too long as it is printed
        assert found[:3] == ["summit", 24, 4]
        assert all(1 <= float(ratio) < 1.5 for ratio in found[3:])
    assert re.search(told, output_of(name, *options), re.MULTILINE)


def test_ways_that_nnlc_chooses_are_timed_however_many_windows_they_copy(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    layers, ways = map(importlib.import_module, ("convolution_layers", "convolutions"))
    monkeypatch.setattr(ways, "MOST_WINDOW_BYTES", 0)
    chosen, smoke = set(), layers.load_campaign("smoke").networks()
    for asked in layers.draw_by_cost(layers.convolutions(smoke), 6, 1):
        plans = [ways.planned(asked.at_batch(2), setting) for setting in ("auto", "direct")]
        for name, timed in ways.calls(asked.at_batch(2)).items():
            needed = {getattr(plan.ways, name) for plan in plans}
            assert needed <= timed.keys()
            chosen |= needed
    assert "product" in chosen


def test_sums_over_a_campaign_are_estimated_without_bias_from_draws_by_cost(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    campaign = importlib.import_module("campaign")
    costs = [float(1 + n**3) for n in range(50)]
    seconds = {n: cost * (1 + n % 3) for n, cost in enumerate(costs)}
    errors, within = [], 0
    for seed in range(60):
        parts = campaign.draw_parts(costs, 20, seed)
        assert parts[0].draws[0].network == 49
        assert campaign.estimate(parts, dict(enumerate(costs)))[0] == pytest.approx(sum(costs))
        value, error = campaign.estimate(parts, seconds, dict(enumerate(costs)))
        errors.append(value - sum(seconds.values()) / sum(costs))
        within += abs(errors[-1]) <= 2 * error
    assert abs(sum(errors)) / 60 < 0.05
    assert within > 45


@pytest.mark.parametrize(("seconds_an_image", "is_long"), [(2.0, True), (0.01, False)])
def test_a_way_with_long_steps_is_timed_with_25_images(monkeypatch, seconds_an_image, is_long):
    monkeypatch.syspath_prepend(FOLDER)
    campaign, steps = map(importlib.import_module, ("campaign", "step_times"))
    monkeypatch.setattr(campaign, "TRIAL_OPERATIONS", 0)
    of = next(n for n in campaign.load_campaign("smoke").networks() if n.spec.batch_size > 100)
    asked = []

    class Machine(OneCore):
        def time(self, way, of, seconds):
            asked.append(of.spec.batch_size)
            return steps.Rates(of.spec.batch_size * seconds_an_image, 0)

    found = campaign.training_seconds(Machine(), campaign.ours, of, epochs=3)
    assert asked == [25, of.spec.batch_size][: 1 if is_long else 2]
    assert found.is_scaled == is_long
    assert found.all == pytest.approx(3 * 4000 * seconds_an_image, rel=0.05)


def test_searches_of_tables_come_closer_to_the_best_network_with_more_cost(
    output_of, monkeypatch, tmp_path
):
    monkeypatch.setattr("search.find_spec", lambda name: None)
    folder = write_networks(tmp_path, 24)
    first, _, *rows, last = output_of("search.py", folder, "--seeds", 2).splitlines()
    assert first.endswith("-: some seed has no network by then")
    assert last == "not compared: Optuna is not installed, Syne Tune is not installed"
    regrets = {row[:34].strip(): list(map(float, row[34:].split()[2:])) for row in rows}
    assert len(regrets) == 4
    assert all(found == sorted(found, reverse=True) for found in regrets.values())
    assert regrets["random search as in Syne Tune"][-1] == 0  # it has trained every network
    for tool in ("Optuna", "Syne Tune"):
        random_search, halving = (
            regrets[f"{m} as in {tool}"] for m in ("random search", "halving")
        )
        assert halving != random_search


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--seeds", 0], "argument --seeds: 0 is less than 1"),
        ([], "is in this folder or its subfolders"),
    ],
)
def test_a_mistake_in_what_is_searched_is_one_line(output_of, tmp_path, given, words):
    with pytest.raises(AssertionError, match=words):
        output_of("search.py", tmp_path, *given)


def test_a_process_of_its_own_has_the_environment_that_is_given(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    given = os.environ | {"NNLC_TEST_MARK": "given"}
    with importlib.import_module("own_process").own_process(given, os.getpid) as pool:
        assert pool.submit(os.getenv, "NNLC_TEST_MARK").result() == "given"
    assert "NNLC_TEST_MARK" not in os.environ


def every_tenth(schedule, monkeypatch):
    """Have the benchmark replay a tenth of the campaign's networks."""
    work = schedule.work_at("summit")
    tenth = schedule.Work(work.images[::10], work.true[::10], work.nominal[::10])
    monkeypatch.setattr(schedule, "work_at", lambda _: tenth)


def test_every_program_among_the_benchmarks_is_run():
    programs = {
        path.name
        for path in FOLDER.glob("*.py")
        if "argparse.ArgumentParser" in path.read_text(encoding="utf-8")
    }
    others = "test_stopping_jobs.py", "gpu/test_first_gpu.py"
    files = Path(__file__), *(Path(__file__).parent / name for name in others)
    tests = "".join(path.read_text(encoding="utf-8") for path in files)
    assert {name for name in programs if f'"{name}"' not in tests} == set()


def test_pooling_in_two_passes_is_compared_with_one_bit_by_bit_for_every_shape(run):
    widest, comparisons = run("pooling.py", "--shapes", 5)
    strides_and_paddings = [kernel * (kernel // 2 + 1) for kernel in range(1, 6)]
    shapes = sum(sum(strides_and_paddings[:width]) for width in range(2, 6))
    assert (widest, comparisons) == (5, 2 * shapes)
