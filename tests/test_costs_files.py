"""Files of counted costs: made, read, refused; and what commands do with and without them."""

import csv
import json
import re
import shutil
from dataclasses import astuple, replace
from pathlib import Path

import pytest
from audit_samples import learning
from hostile import check_message, damaged, quickly
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

import nnlc
from nnlc.campaign.array_split import networks_of_element
from nnlc.campaign.campaign import load_campaign
from nnlc.cli import app
from nnlc.errors import FamilyError, NnlcError
from nnlc.families import counted_costs
from nnlc.families.costs_file import costs_content, read_costs
from nnlc.families.counted_costs import Counted, UnknownCostError, cost_key
from nnlc.launching.forecast import forecast_campaign
from nnlc.launching.plan import _Planner
from nnlc.networks.specification import FamilySpec
from nnlc.results.folder import ResultsFolder
from nnlc.results.folder_costs import read_folder_costs, uncounted, write_folder_costs
from nnlc.results.journal import Journal
from nnlc.schedulers.site import load_site
from nnlc.tables import Table

FAMILY = Path(__file__).parent / "families" / "skipping.py"
CAMPAIGN = f"""
name = "mine"
seed = 5
stamp = 2026-01-02T03:04:05
epochs = 1
family = {{ name = "skipping:Skipping", folder = "{FAMILY.parent}" }}

[datasets.F-MNIST-sample]
networks_per_group = 3
groups = [1, 2]

[space]
widest = 200
batch_size = 500
"""
COUNTS = Counted(*range(1000, 1015))
HOW = "where torch is installed, 'nnlc specs CAMPAIGN --costs FILE' counts the costs"


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch):
    """As in a process that has counted nothing and read no file."""
    monkeypatch.setattr(counted_costs, "_known", {})


@pytest.fixture
def mine(tmp_path, monkeypatch):
    path = tmp_path / "mine.toml"
    path.write_text(CAMPAIGN)
    monkeypatch.chdir(tmp_path)
    return path


@pytest.fixture
def networks(mine):
    return list(load_campaign(mine).networks())


def keys(networks) -> list[str]:
    return [cost_key(network.spec) for network in networks]


def know(networks) -> None:
    """Costs that grow with a network's index."""
    counted_costs.remember(
        {key: Counted(*range(1000 * n, 1000 * n + 15)) for n, key in enumerate(keys(networks), 1)}
    )


@pytest.fixture
def file(networks, tmp_path):
    know(networks)
    path = tmp_path / "costs.json"
    path.write_bytes(costs_content(networks[0].family, keys(networks)))
    counted_costs._known.clear()
    return path


def run(*words: object) -> str:
    done = CliRunner().invoke(app, [*map(str, words)])
    if done.exception and not isinstance(done.exception, SystemExit):
        assert isinstance(done.exception, NnlcError), done.exception
        return f"{done.output}error: {done.exception}"
    return done.output


def test_what_is_written_is_read_again_and_the_file_says_of_which_family(networks, file):
    assert read_costs(file, networks[0].family) == dict.fromkeys(keys(networks)).keys()
    assert not uncounted(networks)
    assert counted_costs.counted_of(networks[2].spec) == Counted(*range(3000, 3015))
    values = json.loads(file.read_text())
    assert values["nnlc_costs"] == 1
    assert values["family"] == "skipping@1"
    assert values["nnlc"] == nnlc.__version__
    assert values["costs"][cost_key(networks[0].spec)] == [*astuple(Counted(*range(1000, 1015)))]
    assert costs_content(networks[0].family, keys(networks)[::-1]) == file.read_bytes()


def test_a_key_is_of_the_columns_that_costs_follow_from_alone(networks):
    first, *_, last = networks
    same = replace(first.spec, id=last.spec.id, random_seed=1, learning_rate=0.5, momentum=0)
    assert cost_key(same) == cost_key(first.spec)
    others = [
        replace(first.spec, batch_size=1),
        replace(first.spec, dataset="MNIST"),
        replace(first.spec, family="skipping@2"),
        last.spec,
    ]
    assert len({cost_key(first.spec), *map(cost_key, others)}) == 5


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"family": "other@1"}, "key family: has costs of 'other@1', and the campaign's family is"),
        ({"code": "f" * 12}, "key code: the code of skipping@1 was other when these costs were"),
        ({"nnlc_costs": 0}, "key counts: not those of format 1"),
        ({"counts": ["size"]}, "key counts: not those of format 1"),
        ({"costs": [1]}, "key costs: must be a table"),
        ({"costs": {"a": [1]}}, "key costs.'a': must be 15 whole numbers from 0"),
        ({"costs": {"a": [-1] * 15}}, "key costs.'a': must be 15 whole numbers from 0"),
        ({"costs": {"a": [True] * 15}}, "key costs.'a': must be 15 whole numbers from 0"),
        ({"costs": {"a": [2**63] * 15}}, "key costs.'a': must be 15 whole numbers from 0"),
    ],
)
def test_a_file_that_is_foreign_or_edited_is_refused_in_a_line_with_its_key(
    networks, file, change, words
):
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(FamilyError, match=re.escape(f"{file}, {words}")) as problem:
        read_costs(file, networks[0].family)
    assert "\n" not in str(problem.value)
    assert uncounted(networks) == networks


def test_a_file_of_a_newer_nnlc_is_refused_with_the_version_to_install(networks, file):
    newer = {"nnlc_costs": 9, "nnlc": "9.0.0"}
    file.write_text(json.dumps(json.loads(file.read_text()) | newer))
    with pytest.raises(FamilyError, match=r"has format 9, .* nnlc 9\.0\.0 has written it"):
        read_costs(file, networks[0].family)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"[" * 10_000, b"\xff", b"9" * 9999])
def test_what_is_no_file_of_costs_is_refused_in_words(networks, file, content):
    file.write_bytes(content)
    check_message(file, FamilyError, lambda: read_costs(file, networks[0].family))


@quickly
@given(data=st.data())
def test_whatever_is_damaged_is_a_short_message(networks, file, data):
    whole = costs_content(networks[0].family, ())
    file.write_bytes(data.draw(damaged(whole)))
    check_message(file, FamilyError, lambda: read_costs(file, networks[0].family))


def test_specs_reads_a_whole_file_without_torch_and_leaves_it_as_it_is(mine, file, monkeypatch):
    monkeypatch.setattr("nnlc.training.complete_costs.count_costs", None)
    before = file.stat().st_mtime_ns
    said = run("specs", mine, "--costs", file)
    assert "groups" in said
    assert "depths" not in said
    assert "Fourier" not in said
    assert file.stat().st_mtime_ns == before
    run("specs", mine, "--costs", file, "--csv", "list.csv")
    rows = list(csv.DictReader(Path("list.csv").read_text().splitlines()))
    assert [row["width:integer"] for row in rows] == [
        str(n.spec.width) for n in load_campaign(mine).networks()
    ]
    assert rows[0]["parameters"] == "1000"


def test_specs_counts_what_a_file_lacks_with_torch_and_writes_it(mine, tmp_path, monkeypatch):
    networks = list(load_campaign(mine).networks())
    first, second, *others = keys(networks)
    answer = {"costs": {key: [*astuple(COUNTS)] for key in others}, "reasons": [], "on_cpu": []}
    asked = []

    def pretend(request):
        asked.extend(each["key"] for each in request["networks"])
        return answer | {"reasons": ["ValueError: too deep"], "on_cpu": ["x: RuntimeError: y"]}

    monkeypatch.setattr("nnlc.training.complete_costs.count_costs", pretend)
    file = tmp_path / "made.json"
    counted_costs.remember({first: COUNTS})
    file.write_bytes(costs_content(networks[0].family, [first]))
    counted_costs._known.clear()
    said = run("specs", mine, "--costs", file)
    assert asked == [second, *others]
    assert "counting the costs of 5 networks" in said
    assert (
        "note: 1 network can't be counted, and taken for as costly as the mean of the others: "
        "ValueError: too deep" in said
    )
    assert "note: 1 network was counted on the processor, not on torch's meta device: x" in said
    counted_costs._known.clear()
    read_costs(file, networks[0].family)
    assert counted_costs.counted_of(networks[1].spec) == COUNTS
    assert not uncounted(networks)


def test_specs_shows_no_sizes_and_writes_no_file_if_no_network_can_be_counted(
    mine, tmp_path, monkeypatch
):
    answer = {"kind": "counted", "costs": {}, "reasons": ["7: ValueError: no"], "on_cpu": []}
    monkeypatch.setattr("nnlc.training.complete_costs.count_costs", lambda request: answer)
    file = tmp_path / "made.json"
    said = run("specs", mine, "--costs", file)
    assert re.search(r"^F-MNIST-sample +6 +1-2 +- +- +- +-$", said, re.MULTILINE)
    assert "-: 6 networks could not be counted, so sizes are unknown" in said
    assert "needs the most" not in said
    assert (
        "note: 6 networks can't be counted, so that no size or cost is known; 'nnlc check-" in said
    )
    assert "fails: 7: ValueError: no" in said
    run("specs", mine, "--costs", file, "--csv", "list.csv")
    [first, *_] = csv.DictReader(Path("list.csv").read_text().splitlines())
    assert (first["parameters"], first["predicted_gpu_seconds"]) == ("", "")
    assert not file.exists()


def test_a_job_begins_in_a_folder_that_has_costs_alone_and_reads_them(mine, networks, file):
    results = ResultsFolder(Path("results/mine"))
    results.path.mkdir(parents=True)
    shutil.copy(file, results.costs_file)
    results.open(load_campaign(mine))
    assert uncounted(networks)
    assert read_folder_costs(results, networks) is None
    assert not uncounted(networks)
    (results.path / "campaign.toml").unlink()
    (results.path / "other.json").write_text("{}")
    with pytest.raises(NnlcError, match="there are files but no campaign"):
        results.check_usable(load_campaign(mine))


def test_specs_overwrites_no_other_file_and_needs_torch_to_count(mine, tmp_path, monkeypatch):
    other = tmp_path / "other.json"
    other.write_text('{"mine": 1}')
    assert f"{other}: is no file of costs" in run("specs", mine, "--costs", other)
    assert other.read_text() == '{"mine": 1}'
    assert "has the name of a .csv file" in run("specs", mine, "--costs", tmp_path / "a.csv")
    monkeypatch.setattr("nnlc.system.extras.missing", list)
    new = tmp_path / "new.json"
    assert "counting costs needs torch, not installed here" in run("specs", mine, "--costs", new)
    assert not new.exists()
    assert "leave this option out" in run("specs", "smoke", "--costs", new)


@pytest.mark.parametrize(
    "words", [["specs"], ["plan"], ["plan", "--site", "perlmutter"], ["specs", "--csv", "-"]]
)
def test_without_costs_a_command_names_the_one_that_counts_them(mine, words):
    verb, *options = words
    said = run(verb, mine, *options)
    assert f"error: the costs of 6 of 6 networks are unknown here; {HOW}" in said


def test_a_plan_reads_costs_from_its_option_or_from_the_results_folder(mine, networks, file):
    plan = ["plan", mine, "--site", "perlmutter"]
    with_option = run(*plan, "--costs", file)
    assert f"nnlc submit {mine} --site perlmutter" in with_option
    assert f"--costs {file}" in with_option
    assert "Fourier" not in with_option
    counted_costs._known.clear()
    Path("results/mine").mkdir(parents=True)
    shutil.copy(file, "results/mine/costs.json")
    found = run(*plan)
    assert found == with_option.replace(f" --costs {file}", "")
    counted_costs._known.clear()
    Path("results/mine/costs.json").write_text("{}")
    assert "is no file of costs" in run(*plan)


def test_costs_of_the_articles_networks_are_not_asked_for(file):
    assert "leave this option out" in run("plan", "smoke", "--site", "perlmutter", "--costs", file)


def submit(mine, *options: object, dry_run: bool = True) -> str:
    Path("site.toml").write_text('extends = "perlmutter"\naccount = "me"\n')
    python = Path(shutil.which("python"))
    words = [mine, "--site", "site.toml", "--nodes", 2, "--python", python, *options]
    return run("submit", *words, *(["--dry-run"] if dry_run else []))


def test_submit_goes_on_without_costs_and_says_how_to_plan(mine, file):
    assert "note: the job will count costs: the costs of 6 of 6 networks" in submit(mine)
    assert "will count" not in submit(mine, "--costs", file)


def test_submit_puts_the_costs_into_the_results_folder(mine, networks, file, monkeypatch):
    monkeypatch.setattr("nnlc.launching.submit.submit", lambda *_: [])
    monkeypatch.setattr("nnlc.schedulers.site.queue_of", lambda _: None)
    said = submit(mine, "--costs", file, dry_run=False)
    assert "shows its progress" in said
    counted_costs._known.clear()
    read_costs(Path("results/mine/costs.json"), networks[0].family)
    assert not uncounted(networks)


def test_array_elements_split_networks_in_turn_whatever_is_known(mine, networks, file):
    campaign = load_campaign(mine)

    def shares(elements):
        return [
            [n.index for n in networks_of_element(campaign, networks, element, elements)]
            for element in range(elements)
        ]

    assert shares(1) == [[0, 1, 2, 3, 4, 5]]
    assert shares(4) == [[0, 4], [1, 5], [2], [3]]
    before = [shares(elements) for elements in range(1, 8)]
    read_costs(file, networks[0].family)
    assert [shares(elements) for elements in range(1, 8)] == before
    forecast = forecast_campaign(campaign, load_site("perlmutter"), ResultsFolder(Path("none")))
    planned = _Planner(forecast)._order(4)
    assert [sorted(share) for share in planned] == shares(4)


def test_status_knows_no_time_left_where_costs_are_unknown_and_does_not_fail(mine, networks, file):
    results = ResultsFolder(mine.parent / "results" / "mine")
    results.open(load_campaign(mine))
    journal = Journal(results.journal_folder)
    device = {"name": "A Processor", "kind": "cpu"}
    finish = {"seconds": 10.0, "half_epoch_seconds": [5.0, 5.0], "device": device}
    journal.write("job", device="cpu", campaign="mine", ranks=[{"rank": 0, "trainers": 1}])
    journal.write("finish", id=networks[0].spec.id, **finish)
    without = run("status", results.path)
    assert "training left" not in without
    assert "done" in without
    assert "costs" not in without
    table = results.table_path(networks[0].images, networks[0].spec)
    rows = learning(networks[0].spec, networks[0].images, 2)
    table.write_bytes(Table(networks[0].spec, rows).to_bytes())
    counting = f"'nnlc specs {results.campaign_file} --costs {results.costs_file}'"
    assert counting in run("calibrate", results.path)


def test_counts_of_two_jobs_are_kept_in_one_file(mine, networks):
    results = ResultsFolder(mine.parent / "results")
    results.open(load_campaign(mine))
    know(networks)
    write_folder_costs(results, networks[:3])
    write_folder_costs(results, networks[3:])
    counted_costs._known.clear()
    read_costs(results.costs_file, networks[0].family)
    assert not uncounted(networks)


def test_an_unknown_cost_is_an_error_of_its_own_that_names_the_network(networks):
    spec: FamilySpec = networks[0].spec
    with pytest.raises(UnknownCostError, match=f"network {spec.id}: its costs are unknown here"):
        networks[0].family.convolutions(spec, networks[0].images)
