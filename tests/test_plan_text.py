"""Plans: what they predict and from what, what they need, and how they are told."""

from dataclasses import replace

import pytest
from plan_samples import FREE, SMOKE, SUMMIT, a_site, forecast_of
from typer.testing import CliRunner

from nnlc.calibration.assumed_machine import is_this_gpu
from nnlc.campaign.campaign import load_campaign, parse_campaign
from nnlc.cli import app
from nnlc.errors import ResultsError, SiteError
from nnlc.families.article.family import ARTICLE
from nnlc.launching.forecast import forecast_campaign
from nnlc.launching.limits import PlanRequest
from nnlc.launching.nothing_left import check_something_left
from nnlc.launching.plan import fewest_nodes, make_plan
from nnlc.launching.plan_text import labelled_lines, plan_lines
from nnlc.launching.render import Request
from nnlc.launching.storage_estimate import disk, images_to_stage, too_large
from nnlc.launching.unneeded_nodes import unneeded_nodes_notes
from nnlc.networks.machine import GPU, gpu_machine
from nnlc.results.folder import ResultsFolder
from nnlc.results.journal import Journal
from nnlc.schedulers.site import load_site
from nnlc.tables import Row, Table, write_table

# What is predicted


@pytest.fixture
def results(tmp_path) -> ResultsFolder:
    folder = ResultsFolder(tmp_path / "results")
    folder.open(SMOKE)
    return folder


def test_no_line_ends_between_a_number_and_its_unit():
    for length in range(60, 90):
        lines = list(
            labelled_lines([("queues", f"{'x' * length} makespan 3.34 h; 9.5 GB, 88.3 % of 4")])
        )
        assert " ".join(" ".join(lines).split()).endswith("makespan 3.34 h; 9.5 GB, 88.3 % of 4")
        assert not any(line.endswith(("3.34", "9.5", "88.3")) or "\xa0" in line for line in lines)


def test_a_folder_that_is_not_there_says_nothing_and_is_not_made(tmp_path):
    found = forecast_campaign(SMOKE, a_site(), ResultsFolder(tmp_path / "none"))
    assert (len(found.left), found.done, found.failed, found.measured) == (8, 0, 0, None)
    assert not list(tmp_path.iterdir())
    machine = gpu_machine(operations_per_second=0.35 * 15.7e12, bytes_per_second=0.8 * 15.7e12 / 16)
    for f in found.networks:
        n = f.network
        assert f.seconds == ARTICLE.predict_seconds(
            n.spec, n.images, SMOKE.epochs, machine, SMOKE.training, "cuda"
        )
        assert f.nominal_seconds == ARTICLE.predict_seconds(
            n.spec, n.images, SMOKE.epochs, GPU, SMOKE.training, "cuda"
        )


def test_finished_and_failed_networks_are_not_planned(results):
    networks = list(SMOKE.networks())
    for n in networks[:3]:
        rows = (Row(2.0, 2.0, 10.0),) * SMOKE.half_epochs
        write_table(Table(n.spec, rows), results.table_path(n.images, n.spec))
    n = networks[7]
    results.table_path(n.images, n.spec).touch()
    Journal(results.journal_folder).write("failure", id=networks[5].spec.id, reason="no memory")
    Journal(results.journal_folder).write("failure", id=networks[0].spec.id, reason="done since")
    found = forecast_campaign(SMOKE, a_site(), results)
    assert [f.network.index for f in found.left] == [3, 4, 6]
    assert (found.done, found.failed, found.not_whole) == (3, 1, 1)
    plan = make_plan(found, PlanRequest(elements=2))
    assert sum(map(len, plan.chosen.replay.spans)) == 3
    assert "1 failed, 1 unusable table; " in "\n".join(plan_lines(plan))


def test_jobs_that_would_have_nothing_to_train_are_refused_in_the_plan_s_words(results):
    networks = list(SMOKE.networks())
    check_something_left(SMOKE, ResultsFolder(results.path / "none"))
    for n in networks[1:]:
        rows = (Row(2.0, 2.0, 10.0),) * SMOKE.half_epochs
        write_table(Table(n.spec, rows), results.table_path(n.images, n.spec))
    check_something_left(SMOKE, results)
    Journal(results.journal_folder).write("failure", id=networks[0].spec.id, reason="no memory")
    with pytest.raises(SiteError, match=r"submit: 7 tables .* 1 network failed; 'nnlc retry /"):
        check_something_left(SMOKE, results)
    n = networks[0]
    write_table(Table(n.spec, rows), results.table_path(n.images, n.spec))
    with pytest.raises(SiteError, match="nothing to submit: all 8 tables are there; --results"):
        check_something_left(SMOKE, results)


def test_where_nothing_is_left_there_is_nothing_to_plan():
    with pytest.raises(SiteError, match="nothing to plan: all 3 tables are there; --results"):
        make_plan(forecast_of(a_site(), [1.0] * 3, waiting=[]), FREE)


def test_measured_seconds_replace_the_efficiency(results):
    plain = forecast_campaign(SMOKE, a_site(), results)
    journal = Journal(results.journal_folder)
    for number, (factor, device) in enumerate(
        [(2, "Tesla V100-SXM2-16GB"), (4, "Tesla V100-SXM2-16GB"), (90, "NVIDIA A100")]
    ):
        f = plain.networks[number]
        seconds = factor * f.seconds
        journal.write("finish", id=f.network.spec.id, seconds=seconds, device={"name": device})
    journal.write("finish", id=plain.networks[4].network.spec.id, device={"name": "Tesla V100"})
    found = forecast_campaign(SMOKE, a_site(), results)
    first, second = (f.seconds for f in plain.networks[:2])
    assert found.measured is not None
    ratio = (2 * first + 4 * second) / (first + second)
    assert found.measured.networks == 2
    assert found.measured.ratio == pytest.approx(ratio)
    assert (found.measured.low, found.measured.high) == (pytest.approx(2), pytest.approx(4))
    assert [f.seconds for f in found.networks] == pytest.approx(
        [ratio * f.seconds for f in plain.networks]
    )
    text = "\n".join(plan_lines(make_plan(found, FREE)))
    assert "2 networks measured on this GPU" in text
    assert "assumption of the site file" not in text


def test_a_folder_of_another_campaign_is_refused_and_one_run_otherwise_is_not(tmp_path, results):
    with pytest.raises(ResultsError, match="belongs to another campaign"):
        forecast_campaign(load_campaign("fashion-mnist"), a_site(), results)
    otherwise = SMOKE.model_copy(update={"run": SMOKE.run.model_copy(update={"attempts": 9})})
    forecast_campaign(otherwise, a_site(), results)


@pytest.mark.parametrize(
    ("model", "device", "same"),
    [
        ("NVIDIA V100 (SXM2, 16 GB)", "Tesla V100-SXM2-16GB", True),
        ("NVIDIA A100 (SXM4, 40 GB)", "NVIDIA A100-SXM4-40GB", True),
        ("AMD MI250X (one GCD, 64 GB)", "AMD Instinct MI250X", True),
        ("NVIDIA A100 (SXM4, 40 GB)", "NVIDIA A10", False),
        ("NVIDIA A100 (SXM4, 40 GB)", "NVIDIA H100 80GB HBM3", False),
        ("NVIDIA GeForce RTX 4090", "NVIDIA GeForce RTX 4090", True),
        ("NVIDIA GeForce RTX 4090", "NVIDIA GeForce RTX 3090", False),
        ("Some GPU", "some gpu", True),
        ("Some GPU", "another gpu", False),
    ],
)
def test_a_device_is_known_by_the_name_of_its_model(model, device, same):
    assert is_this_gpu(model, device) is same


# What a plan needs, and how it is told


def test_images_are_those_of_the_networks_that_are_left():
    campaign = load_campaign("paper")
    svhn = campaign.datasets["SVHN"]
    forecast = forecast_of(a_site(), [1.0])
    assert not list(images_to_stage(forecast))  # the sample comes with nnlc
    networks = [
        replace(forecast.networks[0], network=replace(forecast.networks[0].network, images=images))
        for images in campaign.image_sets().values()
    ]
    two = replace(forecast, campaign=campaign, networks=tuple(networks), waiting=frozenset({1, 2}))
    assert dict(images_to_stage(two)) == {"F-MNIST": 30, "SVHN": 182 + 64 + 1330}
    small = campaign.model_copy(
        update={
            "datasets": campaign.datasets | {"SVHN": svhn.model_copy(update={"train": "train"})}
        }
    )
    assert dict(images_to_stage(replace(two, campaign=small)))["SVHN"] == 182 + 64


def test_a_users_own_file_is_read_where_it_is_and_needs_no_staging(tmp_path):
    own = tmp_path / "own.npz"
    sizes = {"channels": 1, "width": 8, "classes": 2, "train_images": 500, "validation_images": 50}
    section = {"networks_per_depth": 1, "depths": [1, 1], "npz": str(own), "sha256": "0" * 64}
    values = SMOKE.model_dump(exclude={"datasets"}, exclude_none=True)
    campaign = parse_campaign(values | {"datasets": {"own": section | sizes}}, tmp_path)
    some = forecast_of(a_site(), [1.0])
    networks = tuple(replace(some.networks[0], network=each) for each in campaign.networks())
    forecast = replace(some, campaign=campaign, networks=networks)
    assert not list(images_to_stage(forecast))


def test_disk_is_for_every_table_and_for_what_can_be_under_way_at_once():
    plan = make_plan(forecast_of(a_site(), [1.0] * 50), PlanRequest(nodes=2, elements=3))
    assert disk(plan).checkpoints == 3 * 8 * 1000 * (3 * 2 * 2)
    assert disk(plan).tables == 50 * (900 + 68 * 10)
    assert disk(plan).weights == 0


@pytest.mark.parametrize("keep", ["final", "best"])
def test_kept_weights_of_every_network_need_disk_and_the_best_are_in_checkpoints_too(keep):
    run = SMOKE.run.model_copy(update={"keep": keep})
    forecast = forecast_of(a_site(), [1.0] * 50)
    forecast = replace(forecast, campaign=SMOKE.model_copy(update={"run": run}))
    plan = make_plan(forecast, PlanRequest(nodes=2, elements=3))
    weights_alone, more = 50 * 4 * 1000, 4 if keep == "best" else 0
    if keep == "best":
        assert disk(plan).weights == weights_alone
    else:  # some of these networks have momentum
        assert weights_alone < disk(plan).weights < 2 * weights_alone
    assert disk(plan).checkpoints == 3 * (8 + more) * 1000 * (3 * 2 * 2)


def test_networks_that_do_not_fit_into_memory_are_named(tmp_path):
    tiny = a_site(gpu={"model": "toy 1", "fp32_teraflops": 1, "memory_gigabytes": 0.76})
    found = forecast_campaign(SMOKE, tiny, ResultsFolder(tmp_path))
    large = too_large(found)
    assert 0 < len(large) < 8
    text = "\n".join(plan_lines(make_plan(found, FREE)))
    assert f"{len(large)} network" in text
    assert "WARNING" in text
    assert large[0].network.spec.id in text


def test_the_text_fits_a_terminal_and_compares():
    lines = list(plan_lines(make_plan(forecast_of(SUMMIT, [60.0] + [3.0] * 1000), FREE)))
    assert all(len(line) <= 100 and line.isascii() for line in lines)
    compared = [line.split() for line in lines if line.startswith(("this plan", "or "))]
    assert [words[-7 if words[0] == "or" else -8] for words in compared]
    assert [line.split()[1] for line in lines if line.startswith("or ")][-3:] == ["46", "92", "922"]


@pytest.mark.parametrize(("links", "enough"), [(2, False), (9, True)])
def test_links_that_are_too_few_for_a_chain_are_told_and_fill_the_queue(links, enough):
    site = a_site(scheduler="pbs", links_at_once=links, max_queued_jobs=20, requeue=False)
    request = PlanRequest(nodes=1, minutes=120, elements=2)
    told = " ".join(" ".join(plan_lines(make_plan(forecast_of(site, [1] * 16), request))).split())
    assert f"; {links} of each element are submitted at once" in told
    assert ("too few: submit again" in told) == (not enough)
    with pytest.raises(SiteError, match=f"{links} jobs of each element are submitted at once"):
        make_plan(forecast_of(site, [1] * 16), PlanRequest(elements=20 // links + 1))


def test_a_request_is_compared_with_the_free_choice():
    forecast = forecast_of(SUMMIT, [60.0] + [3.0] * 100)
    free, plan = make_plan(forecast, FREE), make_plan(forecast, PlanRequest(nodes=46))
    assert plan.others == (free.chosen,)
    assert not make_plan(forecast, PlanRequest(nodes=free.chosen.nodes)).others


def test_nodes_that_end_nothing_earlier_are_told_at_submission(tmp_path):
    site, folder = load_site("perlmutter"), ResultsFolder(tmp_path / "r")
    asked = Request(campaign="smoke", nodes=4, walltime_minutes=60)
    [note] = unneeded_nodes_notes(SMOKE, site, folder, asked)
    assert "each job asks for 4 nodes, and 1 node would finish as early" in note
    assert not list(unneeded_nodes_notes(SMOKE, site, folder, replace(asked, nodes=1)))
    forecast = forecast_of(a_site(max_walltime_minutes=2880), [10.0] + [1.0] * 30)
    for nodes, enough in ((1, 1), (2, 2), (3, 2), (9, 2)):
        asked_for = PlanRequest(nodes=nodes, minutes=2880, elements=1)
        assert fewest_nodes(forecast, asked_for) == enough


def test_the_command_plans_or_says_in_one_line_why_not(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    job = CliRunner().invoke(app, ["plan", "smoke", "--site", "perlmutter", "--hours", "1.5"])
    assert job.exit_code == 0, job.output
    assert "1 node x 90 min x 1 array element" in job.output
    last = "nnlc submit smoke --site perlmutter --nodes 1 --minutes 90 --account YOURS"
    assert job.output.splitlines()[-1] == last
    asked = "smoke --site perlmutter --nodes 1 --minutes 90 --account A --images /i --queue preempt"
    job = CliRunner().invoke(app, ["plan", *asked.replace("queue", "partition").split()])
    assert job.output.splitlines()[-1] == f"nnlc submit {asked}"
    wrong = CliRunner().invoke(app, ["plan", "smoke", "--site", "summit", "--nodes", "9999"])
    assert isinstance(wrong.exception, SiteError)
    assert not list(tmp_path.iterdir())
