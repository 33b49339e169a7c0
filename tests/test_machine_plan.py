"""Plans for this machine: what is known of its speed, from where, and how uncertain it is."""

import re
import sys
import threading
import time
from functools import partial
from io import BytesIO
from math import inf
from operator import mul
from types import SimpleNamespace

import pytest
from limits import HANG_SECONDS
from typer.testing import CliRunner

from nnlc.calibration import probe as probing
from nnlc.calibration.calibrate import calibration_of, fit_machine
from nnlc.calibration.machines import (
    FittedMachine,
    keep_machines,
    machine_for,
    user_machines_file,
    write_machines,
)
from nnlc.calibration.probe import MOST_NETWORKS, draw_by_cost, probe
from nnlc.campaign.campaign import load_campaign
from nnlc.cli import app
from nnlc.errors import NnlcError, SiteError
from nnlc.families.article import NetworkSpec, walk_network
from nnlc.families.article.cost import forward_work, training_work
from nnlc.families.article.family import ARTICLE
from nnlc.launching import machine_plan
from nnlc.launching.limits import PlanRequest
from nnlc.launching.machine_plan import MachinePlan, machine_plan_lines, plan_machine
from nnlc.networks import ImageSet
from nnlc.networks.machine import CPU, Machine
from nnlc.networks.work import Work
from nnlc.results.folder import ResultsFolder
from nnlc.results.journal import Journal
from nnlc.schedulers.site import THIS_MACHINE, load_site
from nnlc.system import hardware, messages
from nnlc.tables import Row, Table, write_table
from nnlc.training import step_timing

SMOKE = load_campaign("smoke")
TRUE = Machine.from_unit_seconds(Work(*map(mul, CPU.unit_seconds, (5, 7, 2, 9, 3, 1, 8, 4, 2))))
HERE = "A Processor"
DEVICE = {"name": HERE, "kind": "cpu"}
"""Device that a probe's processes find."""
LATE = {"is_late": False}
"""State of a probe's processes."""
LOCAL = load_site(THIS_MACHINE)


@pytest.fixture(autouse=True)
def this_machine(tmp_path, monkeypatch):
    """Two cores of a processor without a GPU, whose user keeps nothing yet."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(machine_plan, "gpu_names", list)
    monkeypatch.setattr(machine_plan, "core_count", lambda: 2)
    monkeypatch.setattr(machine_plan, "processor_name", lambda: HERE)


@pytest.fixture
def timed(monkeypatch):
    """Requests of a probe; each step takes as long as on the machine TRUE."""
    asked = []

    def answer(request):
        asked.append(request)
        times = []
        for number, spec, images in request["networks"]:
            spec, images = NetworkSpec.from_json(spec), ImageSet(**images)
            walk = walk_network(spec, images)
            asked_for = walk, spec, SMOKE.training, "cpu"
            steps = training_work(*asked_for), forward_work(*asked_for)
            times.append([number, *map(TRUE.seconds, steps)])
        return {"device": DEVICE, "loaded": time.monotonic(), "networks": times} | LATE

    monkeypatch.setattr(probing, "_ask", answer)
    return asked


@pytest.fixture
def no_probe(monkeypatch):
    monkeypatch.setattr(machine_plan, "probe", lambda *_: pytest.fail("probed"))


def fitted(machine: Machine = TRUE, **facts) -> FittedMachine:
    known = {"name": HERE, "device": "cpu", "networks": 80, "median_error": 0.1}
    origin = {"campaign": "curves", "date": "2026-11-29"}
    return FittedMachine.of(machine, **known | origin | facts)


def planned(campaign: str = "smoke", **options) -> MachinePlan:
    return plan_machine(campaign, LOCAL, PlanRequest(), **options)


def text(plan: MachinePlan) -> str:
    return " ".join(" ".join(machine_plan_lines(plan)).split())


def true_seconds(machine: Machine = TRUE) -> list[float]:
    return [
        ARTICLE.predict_seconds(n.spec, n.images, SMOKE.epochs, machine, SMOKE.training, "cpu")
        for n in SMOKE.networks()
    ]


def said(*words: str) -> str:
    result = CliRunner().invoke(app, ["plan", *words])
    return " ".join((result.output + str(result.exception or "")).split())


# By a probe


def test_a_probe_is_fitted_as_calibrate_fits_and_its_seconds_are_predicted(timed):
    plan = planned()
    assert plan.probe is not None
    samples = plan.probe.calibration.samples
    assert len(samples) == 8
    assert plan.fitted.machine == fit_machine(samples, CPU)
    assert plan.fitted == calibration_of(HERE, "cpu", samples).fitted
    assert plan.training_seconds == pytest.approx(sum(true_seconds()), rel=0.1)
    assert plan.training_seconds > 1.5 * sum(true_seconds(CPU))
    # Two ranks share the work; the longest network is trained first.
    work = plan.makespan_seconds - plan.start_seconds
    assert plan.training_seconds / 2 <= work < plan.training_seconds


def test_a_probe_has_as_many_processes_as_there_are_ranks_and_networks(timed, monkeypatch):
    monkeypatch.setattr(machine_plan, "core_count", lambda: 20)
    planned(ranks=3)
    shares = [{number for number, *_ in request["networks"]} for request in timed]
    assert sorted(map(len, shares)) == [2, 3, 3]
    assert set().union(*shares) == set(range(8))
    timed.clear()
    plan = planned(ranks=20)
    assert len(timed) == 8
    assert plan.makespan_seconds - plan.start_seconds == pytest.approx(
        max(f.seconds for f in plan.forecast.left), abs=0.01
    )


def test_a_plan_says_source_uncertainty_and_command(timed, tmp_path):
    shown = text(planned(images=tmp_path / "my images", python="/opt/python"))
    assert shown.startswith(f"campaign smoke on this machine: {HERE} networks 8 to train")
    assert re.search(r"based on a probe of \d+ s, which timed steps of 8 networks", shown)
    assert re.search(r"off by \d+% in the median. Nine in ten outcomes are expected", shown)
    assert re.search(r"makespan [\d.]+ \w+ \([\d.]+ \w+ to [\d.]+ \w+\) with 2 ranks", shown)
    assert re.search(r"training time [\d.]+ \w+ \([\d.]+ \w+ to [\d.]+ \w+\), summed", shown)
    assert "GPU" not in shown
    command = f"mpirun -np 2 /opt/python -m nnlc.worker smoke --images '{tmp_path}/my images'"
    assert shown.endswith(command)


def test_the_worse_the_fit_the_wider_the_range(timed):
    plan = planned()

    def factor(**facts) -> float:
        return MachinePlan.factor.fget(
            SimpleNamespace(
                fitted=fitted(**facts),
                forecast=plan.forecast,
                training_seconds=plan.training_seconds,
            )
        )

    assert 1.1 < factor(median_error=0.0, campaign="smoke") < factor(campaign="smoke")
    assert factor(campaign="smoke") < factor(campaign="curves")  # its errors may have one sign
    assert factor(campaign="smoke", networks=80) < factor(campaign="smoke", networks=8)


@pytest.mark.parametrize(("kind", "label"), [("cuda", "GPU time"), ("cpu", "training time")])
def test_gpus_are_planned_unless_the_probe_finds_that_torch_has_none(
    kind, label, timed, monkeypatch
):
    monkeypatch.setattr(machine_plan, "gpu_names", lambda: ["NVIDIA A100"] * 3)
    monkeypatch.setitem(DEVICE, "kind", kind)
    plan = planned()
    assert [request["device"] for request in timed] == ["cuda"] * 3
    assert plan.fitted.device == kind
    assert f" {label} " in text(plan)
    assert "with 3 ranks" in text(plan)


def test_networks_are_drawn_by_what_they_cost():
    networks = [(SimpleNamespace(index=i), 1.0 if i < 900 else 100.0) for i in range(1000)]
    drawn = [n.index for n in draw_by_cost(networks)]
    assert len(drawn) == len(set(drawn)) == MOST_NETWORKS
    assert 0 < sum(i < 900 for i in drawn) < 10  # a twelfth of the cost
    assert drawn != sorted(drawn)
    assert len(draw_by_cost(networks[:5])) == 5


def test_long_steps_are_timed_with_smaller_batches(timed):
    paper = load_campaign("paper")
    several = [n for n, _ in zip(paper.networks(), range(20), strict=False)]
    probe(paper, [(n, 1.0) for n in several], 1, "cpu")
    [request] = timed
    batches = {NetworkSpec.from_json(s).id: s["batch_size"] for _, s, _ in request["networks"]}
    smaller = [batches[n.spec.id] < n.spec.batch_size for n in several]
    assert any(smaller)
    assert not all(smaller)


def test_each_process_begins_with_the_network_whose_steps_are_quickest(timed):
    probe(SMOKE, [(n, 1.0) for n in SMOKE.networks()], 2, "cpu")
    for request in timed:
        asked = [(NetworkSpec.from_json(s), ImageSet(**i)) for _, s, i in request["networks"]]
        steps = [ARTICLE.predict_step_seconds(*each, CPU, SMOKE.training, "cpu") for each in asked]
        assert len(steps) == 4
        assert steps[0] == min(steps)


def test_a_process_answers_in_the_middle_of_a_step_that_takes_too_long(monkeypatch):
    gone, out = threading.Event(), BytesIO()

    def answers(_):
        yield {"networks": [1], "is_late": False}
        gone.wait(HANG_SECONDS)  # a step
        yield {"networks": [1, 2], "is_late": False}

    monkeypatch.setattr(step_timing, "answers", answers)
    monkeypatch.setattr(step_timing, "make_deterministic", lambda: None)
    monkeypatch.setattr(step_timing.os, "_exit", lambda _: gone.set())
    request = BytesIO(messages.encode({"late_seconds": 0.0}))
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=request))
    monkeypatch.setattr(sys, "stdout", SimpleNamespace(buffer=out))
    step_timing.main([])
    assert gone.is_set()
    assert messages.decode(out.getvalue()) == {"networks": [1], "is_late": True}


def test_a_plan_warns_of_networks_whose_steps_take_too_long(timed, monkeypatch):
    assert "WARNING" not in text(planned())
    monkeypatch.setitem(LATE, "is_late", True)
    assert "WARNING 1 network was still in the first steps after 30 s" in text(planned(ranks=1))
    answer = {"device": DEVICE, "loaded": 0.0, "networks": []} | LATE
    monkeypatch.setattr(probing, "_ask", lambda _: answer)
    with pytest.raises(NnlcError, match=r"timed no network within 30 s; after .* 'nnlc calibrate'"):
        planned()


def test_steps_of_real_networks_are_timed_in_a_process_of_their_own(monkeypatch):
    monkeypatch.setattr(machine_plan, "probe", partial(probe, seconds=0))
    monkeypatch.setattr(probing, "LIMIT_SECONDS", HANG_SECONDS)
    plan = planned(ranks=1)
    samples = plan.probe.calibration.samples
    assert len(samples) >= 1  # one is timed however slow the machine is
    assert all(0 < sample.seconds < inf for sample in samples)
    assert plan.fitted.name == hardware.processor_name()
    assert 0 < plan.probe.start_seconds < plan.probe.seconds


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("raise SystemExit('no torch here')", "its process ended: no torch here"),
        ("import os; os._exit(3)", "its process ended: "),
        ("import time; time.sleep(60)", "did not answer within 0 s; after a job of"),
    ],
)
def test_a_probe_that_fails_is_one_message(program, words, monkeypatch):
    monkeypatch.setattr(probing, "COMMAND", (sys.executable, "-S", "-c", program))
    monkeypatch.setattr(probing, "LIMIT_SECONDS", 0.3 if "sleep" in program else HANG_SECONDS)
    with pytest.raises(NnlcError, match=words):
        planned()


# By what calibrate has learned


def test_what_calibrate_learned_serves_another_campaign_on_the_device(no_probe):
    assert str(user_machines_file()) in keep_machines([fitted()])
    plan = planned()
    assert plan.probe is None
    assert plan.training_seconds == pytest.approx(sum(true_seconds()))
    shown = text(plan)
    assert "80 networks of campaign curves, measured on this device by 'nnlc calibrate'" in shown
    assert "on 2026-11-29; predictions of unseen networks were off by 10% in the median" in shown


def test_a_job_predicts_by_it_too_and_by_its_own_folder_first(tmp_path):
    results = ResultsFolder(tmp_path / "results" / "smoke")
    results.open(SMOKE)
    keep_machines([fitted()])
    assert machine_for(results, {HERE}, "cpu").machine == fitted().machine
    write_machines(results, [fitted(CPU)])
    assert machine_for(results, {HERE}, "cpu").machine == fitted(CPU).machine
    assert planned().training_seconds == pytest.approx(sum(true_seconds(CPU)))


@pytest.mark.parametrize(
    "other", [{"name": "Another"}, {"device": "cuda"}, {"threads": 4}], ids=["name", "kind", "4"]
)
def test_another_device_or_number_of_threads_is_not_used(other, timed):
    keep_machines([fitted(CPU, **other)])
    assert planned().probe is not None


def test_kept_machines_are_merged_by_device_and_threads():
    keep_machines([fitted(), fitted(name="Another"), fitted(threads=4)])
    keep_machines([fitted(CPU)])
    text = user_machines_file().read_text()
    assert text.count("[[devices]]") == 3
    assert machine_for(ResultsFolder(user_machines_file()), {HERE}, "cpu").machine == CPU


def test_a_damaged_file_of_the_user_is_one_message_and_a_probe_replaces_it(timed):
    path = user_machines_file()
    path.parent.mkdir(parents=True)
    path.write_text("what is this")
    plan = planned()
    assert plan.probe is not None
    shown = "".join("".join(machine_plan_lines(plan)).split())  # long paths are broken
    assert shown.count("WARNING") == 1
    assert f"{path}:notvalidTOML" in shown
    keep_machines([fitted()])
    assert path.with_suffix(".unread").read_text() == "what is this"
    assert planned().probe is None


def test_a_file_of_the_user_that_can_not_be_written_is_a_warning(monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", "/dev/null")
    assert keep_machines([fitted()]).startswith("warning: nothing is kept for other campaigns")


def test_measured_networks_of_the_folder_scale_a_plan_for_this_machine(no_probe, tmp_path):
    results = ResultsFolder(tmp_path / "results" / "smoke")
    results.open(SMOKE)
    keep_machines([fitted()])
    seconds = true_seconds()
    for n in list(SMOKE.networks())[:2]:
        write_table(Table(n.spec, (Row(2.0, 2.0, 9.0),) * 10), results.table_path(n.images, n.spec))
        measured = {"seconds": 2 * seconds[n.index], "device": {"name": HERE}}
        Journal(results.journal_folder).write("finish", id=n.spec.id, **measured)
    plan = planned()
    assert plan.training_seconds == pytest.approx(2 * sum(seconds[2:]))
    assert "2 networks finished here took 2 times as long" in text(plan)
    assert "6 to train, 2 done" in text(plan)


# The command


def test_without_a_site_and_with_a_local_one_this_machine_is_planned(no_probe):
    keep_machines([fitted()])
    assert "with 2 ranks" in said("smoke")
    assert "with 1 rank," in said("smoke", "--site", "local", "--ranks", "1")
    assert "with 2 ranks," in said("smoke", "--site", "local")
    assert "mpirun -np 1 python -m nnlc.worker smoke --results r" in said(
        "smoke", "--ranks", "1", "--results", "r"
    )


def test_options_that_mean_nothing_here_are_refused(no_probe):
    keep_machines([fitted()])
    assert "--minutes: nothing ends a job on local" in said("smoke", "--minutes", "60")
    assert "2 cores for 5 ranks; the nearest possible is --ranks 2" in said("smoke", "--ranks", "5")
    with pytest.raises(SiteError, match="this machine has no GPU: plan on a machine with its GPU"):
        plan_machine("smoke", LOCAL.model_copy(update={"device": "cuda"}), PlanRequest())
    assert "--ranks: summit starts a rank on each GPU" in said(
        "smoke", "--site", "summit", "--ranks", "2"
    )


def test_ranks_that_need_more_memory_than_the_machine_has_are_a_warning(no_probe, monkeypatch):
    keep_machines([fitted()])
    assert " memory the largest network needs about" in said("smoke")
    monkeypatch.setattr(machine_plan, "main_memory_bytes", lambda: 10**9)
    assert "WARNING the largest network needs about" in said("smoke")


def test_gpus_and_cores_are_counted_without_torch(tmp_path, monkeypatch):
    for number in range(2):
        gpu = tmp_path / "gpus" / str(number)
        gpu.mkdir(parents=True)
        (gpu / "information").write_text("Model: \t\t NVIDIA A100\nIRQ: 7\n")
    monkeypatch.setattr(hardware, "_GPUS", tmp_path / "gpus")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert hardware.gpu_names() == ["NVIDIA A100"] * 2
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert hardware.gpu_names() == []
    assert hardware.core_count() >= 1
    assert hardware.main_memory_bytes() > 10**8
