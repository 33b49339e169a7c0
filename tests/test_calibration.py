"""A machine is fitted to a journal, judged on networks it has not seen, kept, and used."""

import json
import random
from dataclasses import asdict
from functools import cache
from math import inf
from operator import mul
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from nnlc.calibration.assumed_machine import assumed_machine
from nnlc.calibration.calibrate import (
    FEWEST_NETWORKS,
    Sample,
    calibrate,
    calibration_lines,
    cross_validated_errors,
    errors,
    errors_of,
    fit_machine,
)
from nnlc.calibration.machines import (
    ChosenMachine,
    FittedMachine,
    fitted_machines,
    machine_for,
    write_machines,
)
from nnlc.campaign.campaign import Campaign, load_campaign
from nnlc.cli import app
from nnlc.errors import ResultsError
from nnlc.families.article import walk_network
from nnlc.families.article.cost import half_epoch_work
from nnlc.families.article.family import ARTICLE
from nnlc.families.article.memory import memory_bytes
from nnlc.launching.forecast import forecast_campaign
from nnlc.launching.limits import PlanRequest
from nnlc.launching.plan import make_plan
from nnlc.launching.plan_text import plan_lines
from nnlc.networks.device_memory import unmeasured_bytes
from nnlc.networks.machine import CPU, GPU, Machine
from nnlc.networks.setup_time import SetupTime, assumed_setup
from nnlc.networks.work import Work
from nnlc.results.folder import ResultsFolder
from nnlc.results.journal import Journal
from nnlc.schedulers.site import load_site
from nnlc.tables import Row, Table

HALF_EPOCHS = 8
# Nothing like the nominal processor, and not in the same proportion everywhere.
TRUE_CPU = Machine.from_unit_seconds(Work(*map(mul, CPU.unit_seconds, (5, 7, 2, 9, 3, 1, 8, 4, 2))))
TRUE_GPU = Machine.from_unit_seconds(Work(*map(mul, GPU.unit_seconds, (4, 2, 1, 3, 2, 1, 6, 3, 2))))
PROCESSOR = {"name": "A Processor", "instructions": "AVX2"}
V100 = {"name": "Tesla V100-SXM2-16GB", "multiprocessors": 80}


@cache
def campaign() -> Campaign:
    """60 networks of the article's search space."""
    paper = load_campaign("paper")
    few = {"networks_per_depth": 2}
    datasets = {name: s.model_copy(update=few) for name, s in paper.datasets.items()}
    return paper.model_copy(
        update={"datasets": datasets, "name": "few", "epochs": HALF_EPOCHS // 2}
    )


@cache
def networks() -> list:
    return list(campaign().networks())


@cache
def works(device) -> list[Work]:
    settings = campaign().training
    return [
        half_epoch_work(walk_network(n.spec, n.images), n.spec, n.images, settings, device)
        for n in networks()
    ]


def samples(machine: Machine, noise: float = 0.0) -> list[Sample]:
    draw = random.Random(1)
    device = "cuda" if machine.gathered_per_second == inf else "cpu"
    return [
        Sample(w, machine.seconds(w) * (1 + noise * draw.uniform(-1, 1))) for w in works(device)
    ]


@pytest.fixture
def results(tmp_path) -> ResultsFolder:
    folder = ResultsFolder(tmp_path / "results")
    folder.open(campaign())
    return folder


def write_table(results: ResultsFolder, network) -> Path:
    path = results.table_path(network.images, network.spec)
    path.write_bytes(Table(network.spec, (Row(1.0, 1.0, 50.0),) * HALF_EPOCHS).to_bytes())
    return path


def finish(results: ResultsFolder, count: int, machine: Machine, made_on: dict, **facts) -> None:
    """Networks of a journal, with their tables, that were trained on a machine."""
    journal = Journal(results.journal_folder)
    for network, sample in list(zip(networks(), samples(machine, 0.1), strict=True))[:count]:
        known = {"half_epoch_seconds": [sample.seconds] * HALF_EPOCHS, "device": made_on}
        found = {k: v(network) if callable(v) else v for k, v in facts.items()}
        journal.write("finish", id=network.spec.id, **known | found)
        write_table(results, network)


# Fitting


@pytest.mark.parametrize(("true", "nominal"), [(TRUE_CPU, CPU), (TRUE_GPU, GPU)])
def test_a_machine_that_is_nothing_like_the_nominal_one_is_found(true, nominal):
    measured = samples(true, 0.1)
    assert errors(measured, nominal).median > 0.5
    assert cross_validated_errors(measured, nominal).median < 0.1
    assert errors(samples(true), fit_machine(measured, nominal)).median < 0.05


def test_ten_networks_are_enough_for_a_useful_machine():
    measured = samples(TRUE_CPU, 0.1)
    machine = fit_machine(measured[:: len(measured) // FEWEST_NETWORKS], CPU)
    assert errors(measured, machine).median < 0.2


def test_networks_that_were_disturbed_do_not_lead_the_fit_astray():
    measured = samples(TRUE_CPU, 0.1)
    disturbed = [
        s._replace(seconds=6 * s.seconds) if i % 7 == 0 else s for i, s in enumerate(measured)
    ]
    assert errors(samples(TRUE_CPU), fit_machine(disturbed, CPU)).median < 0.1


def test_a_fit_is_the_same_every_time():
    measured = samples(TRUE_CPU, 0.3)
    assert fit_machine(measured, CPU) == fit_machine(measured, CPU)
    assert cross_validated_errors(measured, CPU) == cross_validated_errors(measured, CPU)


def test_what_is_free_on_the_nominal_machine_stays_free():
    machine = fit_machine(samples(TRUE_CPU), GPU)
    assert [key for key, rate in asdict(machine).items() if rate == inf] == [
        "gathered_per_second",
        "narrow_per_second",
    ]


@pytest.mark.parametrize(("true", "nominal"), [(TRUE_CPU, CPU), (TRUE_GPU, GPU)])
def test_without_fourier_convolutions_their_rate_keeps_its_ratio_to_direct_ones(true, nominal):
    def ratio(machine: Machine) -> float:
        return machine.fourier_per_second / machine.operations_per_second

    direct = [s._replace(work=s.work._replace(fourier=0)) for s in samples(true)[::3]]
    direct = [s._replace(seconds=true.seconds(s.work)) for s in direct]
    assert ratio(fit_machine(direct, nominal)) == pytest.approx(ratio(nominal))
    some = [s._replace(work=s.work._replace(fourier=s.work.operations)) for s in direct]
    some = [*direct, *(s._replace(seconds=true.seconds(s.work)) for s in some)]
    assert ratio(fit_machine(some, nominal)) == pytest.approx(ratio(true), rel=0.1)


def test_errors_are_shares_of_what_was_measured():
    found = errors_of([1.1, 0.8, 1.0, 1.3, 1.0])
    assert found.median == pytest.approx(0.1)
    assert found.nine_in_ten == pytest.approx(0.26)


def test_unseen_networks_are_predicted_without_their_own_seconds():
    """One that is like no other is far off, though a fit to all of them would have it right."""
    work = Work(operations=1e12)
    odd = Sample(Work(random=1e9), 1e6)
    measured = [Sample(work, 10.0)] * 9 + [odd]
    machine = fit_machine(measured, CPU)
    assert machine.seconds(odd.work) > 1e4
    assert cross_validated_errors(measured, CPU).nine_in_ten > 0.09


# From a journal to a file


def test_a_journal_is_fitted_and_the_next_prediction_uses_it(results):
    finish(results, 60, TRUE_CPU, PROCESSOR)
    [found] = calibrate(results)
    assert (found.device, found.kind, len(found.samples)) == ("A Processor", "cpu", 60)
    assert found.before.median > 0.5
    assert found.cross_validated.median < 0.1
    known = machine_for(results, {"A Processor"}, "cpu")
    assert known.warning is None
    assert asdict(known.machine) == pytest.approx(asdict(found.machine))
    assert known.fitted.networks == 60
    assert known.fitted.median_error == pytest.approx(found.cross_validated.median, abs=1e-4)


@pytest.mark.parametrize(
    ("names", "device", "nominal"),
    [({"Another"}, "cpu", CPU), ({"A Processor"}, "cuda", GPU), ((), "cuda", GPU)],
)
def test_another_device_is_predicted_by_the_assumed_machine(results, names, device, nominal):
    finish(results, 60, TRUE_CPU, PROCESSOR)
    calibrate(results)
    setup = assumed_setup("Another", device)
    assert machine_for(results, names, device) == ChosenMachine(nominal, None, setup, None)


def test_each_kind_of_device_has_its_machine_and_one_with_too_few_networks_has_none(results):
    finish(results, 30, TRUE_CPU, PROCESSOR)
    journal = Journal(results.journal_folder)
    for network, sample in list(zip(networks(), samples(TRUE_GPU), strict=True))[30:]:
        few = network.index > 55
        device = V100 | ({"name": "another GPU"} if few else {})
        seconds = [sample.seconds] * HALF_EPOCHS
        journal.write("finish", id=network.spec.id, half_epoch_seconds=seconds, device=device)
        write_table(results, network)
    assert [(c.device, c.kind, len(c.samples)) for c in calibrate(results)] == [
        ("A Processor", "cpu", 30),
        ("Tesla V100-SXM2-16GB", "cuda", 26),
    ]
    assert [m.name for m in fitted_machines(results)[0]] == ["A Processor", V100["name"]]


def test_half_epochs_that_were_filled_in_do_not_count(results):
    """Of a network that diverged, most take no time; one was held up."""

    def seconds(network):
        real = TRUE_CPU.seconds(works("cpu")[network.index])
        return [real, 9 * real, real] + [1e-5 * real] * (HALF_EPOCHS - 3)

    finish(results, 60, TRUE_CPU, PROCESSOR, half_epoch_seconds=seconds)
    [found] = calibrate(results)
    assert found.cross_validated.median < 0.02


@pytest.mark.parametrize(("arithmetic", "convolutions"), [("1", "direct"), ("2", "auto")])
def test_networks_count_with_the_work_as_it_was_done(results, arithmetic, convolutions):
    """A campaign with `convolutions = "auto"` may have been begun by an older nnlc."""
    settings = campaign().training.model_copy(update={"convolutions": convolutions})

    def seconds(n) -> float:
        walk = walk_network(n.spec, n.images)
        return TRUE_GPU.seconds(half_epoch_work(walk, n.spec, n.images, settings, "cuda"))

    facts = {
        "versions": {"arithmetic": arithmetic},
        "half_epoch_seconds": lambda n: [seconds(n)] * HALF_EPOCHS,
        "seconds": lambda n: seconds(n) * HALF_EPOCHS,
    }
    finish(results, 60, TRUE_GPU, V100, **facts)
    [found] = calibrate(results)
    assert any(sample.work.fourier for sample in found.samples) == (arithmetic == "2")
    assert found.cross_validated.median < 0.03
    measured = forecast_campaign(campaign(), load_site("summit"), results).measured
    assert (measured.low, measured.ratio, measured.high) == pytest.approx((1, 1, 1), abs=0.05)


@pytest.mark.parametrize(
    "facts",
    [
        {"half_epoch_seconds": None},
        {"half_epoch_seconds": ["x", None, {}]},
        {"half_epoch_seconds": [0, -1, 1e400]},
        {"device": None},
        {"device": {"name": "  ", "instructions": "AVX2"}},
    ],
)
def test_what_says_too_little_is_passed_over(results, facts):
    finish(results, 60, TRUE_CPU, PROCESSOR, **facts)
    with pytest.raises(ResultsError, match="there are none"):
        calibrate(results)


def test_too_few_networks_are_refused_with_what_is_needed_and_nothing_is_written(results):
    finish(results, FEWEST_NETWORKS - 1, TRUE_CPU, PROCESSOR)
    with pytest.raises(ResultsError, match=r"10 networks finished .*there are 9 on A Processor"):
        calibrate(results)
    assert not results.machines_file.exists()


def test_only_networks_whose_own_tables_stand_count(results):
    finish(results, 13, TRUE_CPU, PROCESSOR)
    gone, cut, foreign, *_ = (write_table(results, network) for network in networks())
    gone.unlink()
    content = cut.read_bytes()
    foreign.write_bytes(content)
    cut.write_bytes(content[:-40])
    [found] = calibrate(results)
    assert len(found.samples) == 10


def test_peaks_of_memory_are_compared_where_the_journal_has_them(results):
    every_set = campaign().image_sets().values()

    def peak(network):
        need = memory_bytes(
            network.spec, network.images, campaign().training, "cuda", resident=every_set
        )
        return int((need - unmeasured_bytes("cuda")) / 1.25)

    # Older journals have only what torch had allocated, and predictions are of what it reserves.
    finish(results, 60, TRUE_GPU, V100, peak_memory_bytes=peak)
    assert calibrate(results)[0].memory is None
    finish(results, 60, TRUE_GPU, V100, peak_memory_bytes=1, peak_reserved_bytes=peak)
    [found] = calibrate(results)
    assert found.memory is not None
    assert found.memory.median == pytest.approx(0.25, abs=1e-3)
    assert any("peak memory" in line for line in calibration_lines([found], results))


# The file


@settings(max_examples=50)
@given(
    st.tuples(*[st.floats(1e-300, 1e300) | st.just(inf)] * 8, st.floats(1e-300, 1e300)),
    st.text(min_size=1, max_size=9, alphabet=st.characters(exclude_categories=["Cs", "Cc"])),
    st.sampled_from(["cpu", "cuda"]),
)
def test_a_machine_is_read_as_it_was_written(tmp_path_factory, rates, name, device):
    folder = ResultsFolder(tmp_path_factory.mktemp("r"))
    machine = Machine(**dict(zip(asdict(CPU), rates, strict=True)))
    facts = {"name": name, "device": device, "networks": 12, "median_error": 0.1}
    write_machines(folder, [FittedMachine.of(machine, **facts)])
    assert machine_for(folder, {name}, device).machine == machine


GOOD = """
format = 1
[[devices]]
name = "A Processor"
device = "cpu"
networks = 20
median_error = 0.1
operations_per_second = 1e10
seconds_a_kernel = 1e-5
"""


@pytest.mark.parametrize(
    ("text", "trouble"),
    [
        ("format = ", "not valid TOML"),
        (GOOD.replace("format = 1", "format = 0"), "key format"),
        (GOOD.replace("format = 1", "format = 7"), "has format 7"),
        (GOOD.replace("1e10", "-1.0"), "devices.0.operations_per_second"),
        (GOOD.replace("1e10", "inf"), "devices.0.operations_per_second"),
        (GOOD.replace("1e-5", '"fast"'), "devices.0.seconds_a_kernel"),
        (GOOD.replace("operations_per_second", "operations"), "unknown key"),
        (GOOD.replace("networks = 20", ""), "devices.0.networks"),
    ],
)
def test_a_damaged_file_is_named_and_passed_over(results, text, trouble):
    results.machines_file.write_text(text)
    found = machine_for(results, {"A Processor"}, "cpu")
    assert (found.machine, found.fitted) == (CPU, None)
    assert str(results.machines_file) in found.warning
    assert trouble in found.warning
    assert "nnlc calibrate" in found.warning
    assert "\n" not in found.warning


def test_a_file_that_is_well_is_used(results):
    results.machines_file.write_text(GOOD)
    found = machine_for(results, {"A Processor"}, "cpu")
    assert found.warning is None
    assert found.machine.operations_per_second == 1e10
    assert found.machine.values_per_second == inf


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_machine_of_an_older_format_gets_a_rate_of_fourier_convolutions(results, device):
    nominal = {"cpu": CPU, "cuda": GPU}[device]
    ratio = nominal.fourier_per_second / nominal.operations_per_second
    rates = {}
    for number in (1, 2, 3, 4):
        text = GOOD.replace("format = 1", f"format = {number}").replace("cpu", device)
        results.machines_file.write_text(text)
        rates[number] = machine_for(results, {"A Processor"}, device).machine.fourier_per_second
    assert rates == {1: ratio * 1e10, 2: ratio * 1e10, 3: ratio * 1e10, 4: inf}
    results.machines_file.write_text(GOOD.replace("operations_per_second = 1e10", ""))
    assert machine_for(results, {"A Processor"}, "cpu").machine.fourier_per_second == inf


def test_a_folder_that_is_not_there_knows_no_machine(tmp_path):
    found = machine_for(ResultsFolder(tmp_path / "none"), {"x"}, "cpu")
    assert found == ChosenMachine(CPU, None, SetupTime(), None)


def test_a_file_that_can_not_be_read_is_passed_over_and_one_not_written_is_an_error(results):
    results.machines_file.mkdir()
    assert "this is a folder" in machine_for(results, {"x"}, "cpu").warning
    finish(results, 20, TRUE_CPU, PROCESSOR)
    with pytest.raises(ResultsError, match=r"machines.toml: can't be written"):
        calibrate(results)


# Plans, and the command


def test_a_plan_uses_the_machine_of_its_gpu_and_says_so(results):
    summit = load_site("summit")
    plain = forecast_campaign(campaign(), summit, results)
    finish(results, 60, TRUE_GPU, V100, setup_seconds=lambda n: 1.5 + 0.5 * n.spec.depth)
    [found] = calibrate(results)
    words = "takes 1.5 s and 0.5 s a convolution, measured on 60 networks"
    assert words in "\n".join(calibration_lines([found], results))
    for path in results.journal_folder.iterdir():
        path.unlink()
    for path in results.path.glob("*_models/*.txt"):
        path.unlink()
    planned = forecast_campaign(campaign(), summit, results)
    assert planned.fitted is not None
    for before, after in zip(plain.networks, planned.networks, strict=True):
        n = after.network
        for forecast, machine in ((before, assumed_machine(summit.gpu)), (after, found.machine)):
            expected = ARTICLE.predict_seconds(
                n.spec, n.images, campaign().epochs, machine, campaign().training, "cuda"
            )
            assert forecast.seconds == pytest.approx(expected)
        assert before.nominal_seconds == after.nominal_seconds
    order = planned.hand_out_order(range(60))
    assert order == sorted(range(60), key=lambda i: -planned.networks[i].seconds)
    text = " ".join(" ".join(plan_lines(make_plan(planned, PlanRequest()))).split())
    assert "a machine fitted to 60 networks on Tesla V100-SXM2-16GB" in text
    assert words in text
    assert "assumption of the site file" not in text


def test_a_plan_says_that_a_damaged_file_was_passed_over(results):
    results.machines_file.write_text("format = 7\n")
    planned = forecast_campaign(campaign(), load_site("summit"), results)
    assert planned.fitted is None
    # Without blanks: a long path is broken where the line ends.
    text = "".join("".join(plan_lines(make_plan(planned, PlanRequest()))).split())
    assert "machines.toml:hasformat7" in text
    assert "assumption" in text


def test_the_faster_memory_of_a_site_file_counts():
    gpu = load_site("summit").gpu
    assert assumed_machine(gpu).values_per_second == pytest.approx(0.8 * 900e9 / 4)
    unsaid = gpu.model_copy(update={"memory_gigabytes_per_second": None})
    assert assumed_machine(unsaid).values_per_second == pytest.approx(0.8 * 15.7e12 / 16 / 4)
    assert assumed_machine(unsaid).operations_per_second == pytest.approx(0.35 * 15.7e12)


def test_the_share_of_fourier_convolutions_in_a_site_file_counts(tmp_path):
    site = tmp_path / "mine.toml"
    for lines, share in (("", 0.3), ("efficiency = 0.7", 0.6), ("fourier_efficiency = 0.2", 0.2)):
        site.write_text(f'extends = "summit"\nname = "mine"\n[gpu]\n{lines}\n')
        gpu = load_site(site).gpu
        assert assumed_machine(gpu).fourier_per_second == pytest.approx(share * 15.7e12)


def test_the_command_prints_errors_before_and_after_and_the_constants(results):
    finish(results, 60, TRUE_CPU, PROCESSOR)
    job = CliRunner().invoke(app, ["calibrate", str(results.path)])
    assert job.exit_code == 0, job.output
    for words in ("A Processor: 60 networks", "nominal", "unseen", "operations_per_second"):
        assert words in job.output
    assert str(results.machines_file) in job.output
    job = CliRunner().invoke(app, ["calibrate", str(results.path), "--json"])
    [figures] = json.loads(job.stdout)
    assert figures["networks"] == 60
    assert figures["error_unseen"]["median"] < 0.1 < figures["error_before"]["median"]
    assert figures["calibrated"].keys() == asdict(CPU).keys()


def test_the_command_on_a_folder_without_results_is_a_user_s_mistake(tmp_path):
    job = CliRunner().invoke(app, ["calibrate", str(tmp_path)])
    assert isinstance(job.exception, ResultsError)
    assert "no results folder" in str(job.exception)
