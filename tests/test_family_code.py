"""Changed code of a family: one message everywhere, and what the user's acceptance changes."""

import json
import signal
import subprocess
import sys

import pytest
from limits import HANG_SECONDS
from own_family import CAMPAIGN, MODULE, tables_of, write_campaign, write_results
from test_family_loading import forgotten  # noqa: F401  (a fixture)
from typer.testing import CliRunner
from worker_jobs import events, run_worker, start_worker, tables, wait_for

from nnlc.campaign.campaign import load_campaign
from nnlc.cli import app
from nnlc.errors import FamilyError, NnlcError, ResultsError
from nnlc.families import loading
from nnlc.results.accepted_code import accept_code
from nnlc.results.folder import ResultsFolder
from nnlc.results.journal import Journal
from nnlc.system.process import this_process

OTHER = MODULE.replace("nn.Flatten()", "nn.Flatten(1)")
SECOND = MODULE.replace('version = "1"', 'version = "2"')
ONE = CAMPAIGN.replace("networks_per_group = 2", "networks_per_group = 1\ngroups = [1, 1]")
OFTEN = f"{ONE}[run]\ncheckpoint_minutes = 0.001\n"
SLOW = 'print("noise")\n' + MODULE.replace(
    "        layers, inputs",
    "        import time\n"
    "        class Slow(nn.Identity):\n"
    "            def forward(self, images):\n"
    "                time.sleep(0.2)\n"
    "                return images\n\n"
    "        layers, inputs",
).replace("layers += [", "layers += [Slow(),")


def change(folder, module: str) -> None:
    """Give a family other code, which a new process would see."""
    (folder / "ladder.py").write_text(module)
    loading.forget_all()


def run(*words: object) -> tuple[int, str]:
    loading.forget_all()
    done = CliRunner().invoke(app, list(map(str, words)))
    told = str(done.exception) if isinstance(done.exception, NnlcError) else ""
    return done.exit_code, (done.output + told)


@pytest.fixture
def results(tmp_path):
    write_results(tmp_path / "r")
    return tmp_path / "r"


COMMANDS = {
    "upgrade": lambda r: ("upgrade", r),
    "grow": lambda r: ("grow", r, r.parent / "ladders.toml"),
    "a campaign that extends its campaign.toml": lambda r: ("specs", r / "campaign.toml"),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_other_code_is_one_message_with_both_digests_and_what_to_do(command, results):
    recorded = load_campaign(results.parent / "ladders.toml").family.code
    change(results.parent, OTHER)
    now = load_campaign(results.parent / "ladders.toml").family.code
    before = (results / "campaign.toml").read_bytes()
    status, told = run(*COMMANDS[command](results))
    assert status != 0
    assert told.count("its code has changed") == 1
    accepting = f"'nnlc upgrade {results} --accept-code'"
    for words in ("family ladder@1", recorded, now, accepting, "put the old code back"):
        assert words in told
    assert (results / "campaign.toml").read_bytes() == before
    change(results.parent, MODULE + "# only a comment\n")
    assert "its code has changed" not in run(*COMMANDS[command](results))[1]


@pytest.mark.parametrize("command", COMMANDS)
def test_another_version_is_one_message_and_can_not_be_accepted(command, results):
    change(results.parent, SECOND)
    words = COMMANDS[command](results)
    accepting = [] if words[0] not in ("upgrade", "grow") else ["--accept-code"]
    status, told = run(*words, *accepting)
    assert status != 0
    assert told.count("it is ladder@2 now, and was ladder@1") == 1
    assert "another version has other networks" in told


@pytest.mark.parametrize("command", ["upgrade", "grow"])
def test_accepted_code_is_written_down_and_tables_stay(command, results):
    before = {path: path.read_bytes() for path in tables_of(results)}
    change(results.parent, OTHER)
    code = load_campaign(results.parent / "ladders.toml").family.code
    words = COMMANDS[command](results)
    recorded = (results / "campaign.toml").read_bytes()
    assert run(*words, "--accept-code", "--dry-run")[0] == 0
    assert (results / "campaign.toml").read_bytes() == recorded
    status, told = run(*words, "--accept-code")
    assert status == 0, told
    assert f"its code has digest {code} now" in told
    assert ResultsFolder(results).campaign().family.code == code
    [event] = events(results, "code")
    assert (event["family"], event["now"]) == ("ladder@1", code)
    assert event["before"] != code
    assert {path: path.read_bytes() for path in tables_of(results)} == before
    status, told = run("status", results)
    assert "other code of the family was accepted" in told
    assert ": accepted;" not in run(*words, "--accept-code")[1]


def test_code_is_not_accepted_while_a_job_is_at_work_with_the_old(results):
    journal = Journal(ResultsFolder(results).journal_folder)
    journal.write("job", process=this_process(), ranks=[], campaign="ladders", device="cpu")
    recorded = (results / "campaign.toml").read_bytes()
    change(results.parent, OTHER)
    other = load_campaign(results.parent / "ladders.toml")
    with pytest.raises(ResultsError, match="is at work there with the code of before"):
        list(accept_code(ResultsFolder(results), other))
    assert "is at work there" in run("upgrade", results, "--accept-code")[1]
    assert (results / "campaign.toml").read_bytes() == recorded
    journal.write("end", status="DONE")
    [line] = accept_code(ResultsFolder(results), other)
    assert line.startswith("family ladder@1: its code has digest")
    assert not list(accept_code(ResultsFolder(results), other))


def test_code_is_no_difference_between_campaigns_but_the_family_is(results):
    change(results.parent, OTHER)
    other = load_campaign(results.parent / "ladders.toml")
    with pytest.raises(FamilyError, match="its code has changed"):
        ResultsFolder(results).open(other)
    residual = CAMPAIGN.replace("ladder:Ladder", "residual").replace("widest = 6", "")
    file = write_campaign(results.parent, text=residual)
    assert "family.name is 'ladder:Ladder' there" in run("grow", results, file)[1]


def test_a_folder_that_has_moved_with_its_code_names_the_new_place(results, tmp_path):
    new = tmp_path / "new"
    campaign = load_campaign(write_campaign(new))
    ResultsFolder(results).open(campaign)
    assert ResultsFolder(results).campaign().family.folder == str(new)
    (tmp_path / "ladder.py").unlink()
    assert run("status", results)[0] == 0


def test_a_folder_is_read_without_its_familys_code(results):
    (results.parent / "ladder.py").unlink()
    loading.forget_all()
    assert ResultsFolder(results).campaign().network_count == 4
    for words in (("show", tables_of(results)[0]), ("audit", results)):
        status, told = run(*words)
        assert status == 0, told


def test_a_network_begun_under_other_code_starts_again_when_that_is_accepted(tmp_path):
    """Without acceptance nothing is done. What a module prints disturbs no trainer."""
    campaign, results = write_campaign(tmp_path, SLOW, OFTEN), tmp_path / "r"
    job = start_worker(campaign, "--results", results, "--device", "cpu")
    wait_for(results, "checkpoint", process=job)
    job.send_signal(signal.SIGTERM)
    assert job.wait() == 75

    change(tmp_path, OTHER)
    refused = run_worker(campaign, "--results", results, "--device", "cpu")
    assert (refused.returncode, tables(results)) == (1, {})
    assert (refused.stdout + refused.stderr).count("its code has changed") == 1

    words = (campaign, "--results", results, "--device", "cpu", "--accept-code")
    done = run_worker(*words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 network starts again" in done.stdout
    assert "family code was" in done.stdout
    assert not events(results, "resume")
    [start, again] = events(results, "job")
    [accepted] = events(results, "code")
    assert (accepted["before"], accepted["now"]) == (start["code"], again["code"])
    assert len(tables(results)) == 1


FAILING = (
    "import os\n"
    'if "1" in (os.environ.get("PMI_RANK"), os.environ.get("OMPI_COMM_WORLD_RANK")):\n'
    '    raise RuntimeError("no such disk here")\n'
)


def test_an_import_that_fails_on_one_rank_ends_the_job_before_any_network(tmp_path):
    campaign, results = write_campaign(tmp_path, FAILING + MODULE), tmp_path / "r"
    done = run_worker(campaign, "--results", results, "--device", "cpu", ranks=3)
    told = done.stdout + done.stderr
    assert done.returncode != 0
    assert told.count("RuntimeError: no such disk here") == 1
    assert "rank 1 on " in told
    assert not events(results, "start")


def test_an_agent_loads_only_what_its_campaign_names(tmp_path):
    """No code of the article's for another family, and the other way round."""
    code = (
        "import sys, json\n"
        "from nnlc.ranks.agent import Agent\nimport nnlc.ranks.lead\n"
        "from nnlc.campaign.campaign import load_campaign\n"
        "list(load_campaign(sys.argv[1]).networks())\n"
        "print(json.dumps(sorted(sys.modules)))\n"
    )
    write_campaign(tmp_path)
    own, residual, article = (loaded(code, name, tmp_path) for name in CAMPAIGNS)
    for found in (own, residual):
        assert not {name for name in found if name.startswith("nnlc.families.article")}
    assert not {name for name in article | own if name.startswith("nnlc.families.residual")}
    others = {"own_family", "code_digest", "importing", "class_rules"}
    assert not article & {f"nnlc.families.{name}" for name in others}
    assert "torch" not in own | residual | article


CAMPAIGNS = ("ladders.toml", "residual-smoke", "smoke")


def loaded(code: str, campaign: str, folder) -> set[str]:
    """Modules that a process has loaded."""
    words = [sys.executable, "-c", code, campaign]
    limit = {"timeout": HANG_SECONDS, "check": True}
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, **limit)
    return set(json.loads(done.stdout))
