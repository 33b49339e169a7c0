"""A results folder whose family's code has changed or is gone: what reads it still tells all."""

import json
import re

import pytest
from own_family import CAMPAIGN, MODULE, tables_of, write_campaign, write_results
from test_family_code import OTHER, change, run
from test_family_loading import forgotten  # noqa: F401  (a fixture)
from worker_jobs import events

import nnlc
from nnlc.campaign.campaign import load_campaign
from nnlc.errors import FamilyError
from nnlc.families import counted_costs, loading
from nnlc.families.costs_file import costs_content
from nnlc.families.counted_costs import Counted, cost_key
from nnlc.launching.forecast import forecast_campaign
from nnlc.ranks.lead import _opened
from nnlc.ranks.worker_options import parse_options
from nnlc.results.folder import ResultsFolder
from nnlc.results.folder_costs import read_folder_costs, uncounted
from nnlc.results.history import read_history
from nnlc.results.journal import Journal
from nnlc.results.readable_networks import readable_networks
from nnlc.schedulers.site import load_site

FAILED = "2026_01_31_12_00_00_000003"


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch):
    monkeypatch.setattr(counted_costs, "_known", {})


@pytest.fixture
def results(tmp_path):
    """A folder with three tables, and a network that has failed."""
    campaign = write_results(tmp_path / "my r")
    folder = ResultsFolder(tmp_path / "my r")
    journal = Journal(folder.journal_folder)
    about = {"device": {"name": "A Processor"}, "seconds": 8.0, "half_epoch_seconds": [2.0] * 4}
    for network in campaign.networks():
        if network.spec.id != FAILED:
            journal.write("finish", id=network.spec.id, **about)
    journal.write("failure", id=FAILED, reason="build raised ValueError: x", attempts=1, rank=0)
    tables_of(folder.path)[-1].unlink()
    return folder.path


def gone(results) -> None:
    (results.parent / "ladder.py").unlink()
    loading.forget_all()


def write_costs(results) -> None:
    networks = list(ResultsFolder(results).campaign().networks())
    keys = [cost_key(network.spec) for network in networks]
    counted_costs.remember({key: Counted(*range(1000, 1015)) for key in keys})
    (results / "costs.json").write_bytes(costs_content(networks[0].family, keys))
    counted_costs._known.clear()


CHANGES = {
    "other code": (lambda results: change(results.parent, OTHER), "its code has changed"),
    "no code": (gone, "there is no module ladder"),
    "another version": (
        lambda results: change(results.parent, MODULE.replace('"1"', '"2"')),
        "it is ladder@2 now, and was ladder@1",
    ),
}


@pytest.mark.parametrize("of", CHANGES)
def test_networks_are_known_as_their_tables_say(of, results):
    folder = ResultsFolder(results)
    campaign = folder.campaign()
    drawn = list(campaign.networks())
    alter, words = CHANGES[of]
    alter(results)
    found, warning = readable_networks(folder, campaign)
    assert words in warning
    assert [n.spec for n in found[:3]] == [n.spec for n in drawn[:3]]
    [lost] = found[3:]
    assert (lost.spec.id, lost.spec.random_seed) == (FAILED, drawn[3].spec.random_seed)
    assert (lost.images, lost.spec.own) == (drawn[3].images, ())


@pytest.mark.parametrize("of", CHANGES)
def test_status_counts_all_states_and_warns_in_one_line(of, results):
    table = tables_of(results)[0]
    table.write_text("no table")
    alter, words = CHANGES[of]
    before = run("status", results)[1]
    alter(results)
    status, told = run("status", results)
    assert status == 0
    [warning] = [line for line in told.splitlines() if words in line]
    assert warning.startswith("warning: ")
    assert told.replace(warning + "\n", "") == before
    assert f"{FAILED} failed after 1 attempt" in told


@pytest.mark.parametrize("of", CHANGES)
def test_retry_clears_failures_and_moves_tables_that_are_not_the_campaigns(of, results):
    first, second, third = tables_of(results)
    first.write_text("no table")
    second.write_bytes(third.read_bytes().replace(b"_000002", b"_000001"))
    alter, words = CHANGES[of]
    alter(results)
    status, told = run("retry", results)
    assert status == 0
    assert told.count(words) == 1
    assert tables_of(results) == [third]
    assert "random_seed" in told or "column 6" in told
    assert not read_history(ResultsFolder(results).journal_folder).failures


def test_calibrate_needs_no_code_of_the_networks_that_it_learns_from(results, monkeypatch):
    monkeypatch.setattr("nnlc.calibration.calibrate.FEWEST_NETWORKS", 3)
    write_costs(results)
    fitted = run("calibrate", results, "--json")
    counted_costs._known.clear()
    gone(results)
    status, told = run("calibrate", results, "--json")
    assert status == fitted[0] == 0
    assert json.loads(told[told.index("[") :]) == json.loads(fitted[1][fitted[1].index("[") :])
    assert "networks are shown as their tables say" in told


def test_a_plan_is_of_the_code_now_and_warns_what_jobs_need_first(results, capsys):
    change(results.parent, OTHER)
    campaign = load_campaign(results.parent / "ladders.toml")
    networks = list(campaign.networks())
    counted_costs.remember({cost_key(n.spec): Counted(*range(1000, 1015)) for n in networks})
    found = forecast_campaign(campaign, load_site("summit"), ResultsFolder(results))
    assert (found.done, found.failed) == (3, 1)
    told = capsys.readouterr().err
    assert told.startswith(f"warning: {results}: family ladder@1: its code has changed")
    assert f"'nnlc upgrade '{results}' --accept-code'" in told
    _, told = run("plan", results / "campaign.toml", "--site", "summit", "--results", results)
    assert "nothing to plan" in told


def test_a_preflight_checks_the_code_now_and_a_job_refuses_it(results):
    change(results.parent, OTHER)
    words = [str(results.parent / "ladders.toml"), "--results", str(results)]
    campaign, folder, _ = _opened(parse_options([*words, "--preflight"]))
    folder.check()
    assert campaign.family.code != folder.campaign().family.code
    with pytest.raises(FamilyError, match="its code has changed") as refused:
        _opened(parse_options(words))
    assert f"'nnlc upgrade '{results}' --accept-code'" in str(refused.value)


@pytest.mark.parametrize("of", CHANGES)
def test_a_dry_run_tells_what_accepting_would_do(of, results):
    alter, words = CHANGES[of]
    alter(results)
    before = (results / "campaign.toml").read_bytes()
    status, told = run("upgrade", results, "--dry-run")
    assert status == 0
    assert told.count(words) == 1
    assert "tables: 3 of 4 stay valid" in told
    if of == "other code":
        assert "the code of the family becomes the present one" in told
        assert "1 failed network is tried again" in told
    assert (results / "campaign.toml").read_bytes() == before
    assert not events(results, "retry")


def test_the_command_in_the_message_does_all_that_goes_on(results):
    """Code, failures and costs: the next start trains what is left, and warns of nothing."""
    write_costs(results)
    change(results.parent, OTHER)
    told = run("upgrade", results)[1]
    command = re.search("'nnlc (upgrade) '(.*)' (--accept-code)'", told).groups()
    status, told = run(*command)
    assert status == 0, told
    assert "1 failed network is tried again" in told
    folder = ResultsFolder(results)
    history = read_history(folder.journal_folder)
    assert not history.failures
    assert "other code of the family was accepted" in history.last_event
    networks = list(folder.campaign().networks())
    assert read_folder_costs(folder, networks) is None
    assert uncounted(networks)
    assert "warning" not in run("status", results)[1]


def test_costs_that_were_counted_with_the_accepted_code_stay(results):
    change(results.parent, OTHER)
    network = next(iter(load_campaign(results.parent / "ladders.toml").networks()))
    content = costs_content(network.family, [])
    (results / "costs.json").write_bytes(content)
    assert run("upgrade", results, "--accept-code")[0] == 0
    assert (results / "costs.json").read_bytes() == content


def test_verify_says_once_why_and_its_advice_leads_to_the_code_now(results):
    change(results.parent, OTHER)
    status, told = run("verify", results)
    assert status == 3
    assert told.count("its code has changed") == 1
    assert told.count("not verified, for the same reason") == 2
    assert "--accept-code" not in told
    assert "--campaign FILE" in told
    status, told = run("rebuild", tables_of(results)[0])
    assert "--campaign FILE" in told
    status, told = run(
        "rebuild", tables_of(results)[0], "--campaign", results.parent / "ladders.toml"
    )
    assert status == 0, told


def test_rebuild_raises_one_exception_that_says_all(results):
    change(results.parent, OTHER)
    with pytest.raises(FamilyError, match="its code has changed") as raised:
        nnlc.rebuild(tables_of(results)[0])
    assert len(raised.traceback) == 2  # this line, and that of rebuild
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__
    module = nnlc.rebuild(tables_of(results)[0], campaign=results.parent / "ladders.toml")
    assert module[0].start_dim == 1


PLACES = {
    "import": ("widest: int = 8\n", "widest: int = 8\n    len(3)\n", "TypeError"),
    "settings": (
        "widest: int = 8\n",
        "widest: int = 8\n\n    def __post_init__(self):\n        [][self.widest]\n",
        "IndexError",
    ),
    "specify": ('"kind": "leaky",', '"kind": [][1],', "IndexError"),
}


@pytest.mark.parametrize("of", PLACES)
def test_an_exception_of_a_familys_code_is_told_with_file_and_line(of, tmp_path):
    before, after, kind = PLACES[of]
    module = MODULE.replace(before, after)
    bad = next(word for word in ("len(3)", "[][self.widest]", "[][1]") if word in module)
    line = module[: module.index(bad)].count("\n") + 1
    with pytest.raises(FamilyError if of != "specify" else nnlc.NnlcError, match=kind) as raised:
        load_campaign(write_campaign(tmp_path, module, CAMPAIGN))
    assert f"({tmp_path / 'ladder.py'}, line {line})" in str(raised.value)


def test_a_module_that_is_no_python_is_told_with_its_own_line_alone(tmp_path):
    with pytest.raises(FamilyError, match="SyntaxError") as raised:
        load_campaign(write_campaign(tmp_path, "\n\nclass"))
    assert str(raised.value).count(", line ") == 1
    assert "(ladder.py, line 3)" in str(raised.value)
