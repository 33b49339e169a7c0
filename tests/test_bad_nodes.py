"""Nodes that take jobs down: what is recorded of them, for how long, and what the next job does."""

import dataclasses
import json
import os
import subprocess
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from gatherer_jobs import Job
from limits import HANG_SECONDS
from rendered_scripts import five_minutes, shipped
from typer.testing import CliRunner

from nnlc.campaign.run_section import RunSection
from nnlc.cli import app
from nnlc.errors import ExitStatus
from nnlc.launching import render as rendering
from nnlc.launching.render import Request, render_script
from nnlc.ranks import node_trouble
from nnlc.ranks.node_trouble import NodeTrouble, record_silence
from nnlc.results.bad_nodes import BadNodes, hosts_to_leave_out, read_bad_nodes, remembered
from nnlc.results.history import read_history
from nnlc.results.journal import Journal
from nnlc.schedulers.lint import lint_script
from nnlc.schedulers.site import load_site


def event(host: object = "n1", days: float = 0, **others: object) -> dict:
    moment = datetime.now(UTC) - timedelta(days=days)
    about = {"event": "node", "host": host, "site": "summit", "reason": "no\ngood"}
    return {"time": moment.isoformat(), **about, **others}


def bad_nodes(*events: dict) -> BadNodes:
    found = BadNodes()
    for each in events:
        found.follow(each)
    return found


def test_a_node_is_left_out_by_jobs_of_its_site_until_it_is_forgotten():
    found = bad_nodes(
        event("old", days=8), event("n1", days=6), event("n2"), event("n3", site="other")
    ).all()
    assert hosts_to_leave_out(found, RunSection(), "summit") == ("n1", "n2")
    assert hosts_to_leave_out(found, RunSection(bad_node_days=1), "summit") == ("n2",)
    assert hosts_to_leave_out(found, RunSection(bad_nodes=1), "summit") == ("n2",)
    assert not hosts_to_leave_out(found, RunSection(bad_nodes=0), "summit")
    assert [node.words for node in remembered(found, RunSection())] == [
        "n1 of summit: no good",
        "n2 of summit: no good",
        "n3 of other: no good",
    ]


def test_a_node_that_fails_again_is_remembered_from_then_on():
    found = bad_nodes(event("n1", days=8), event("n2", days=1), event("n1")).all()
    assert hosts_to_leave_out(found, RunSection(), "summit") == ("n2", "n1")


def test_a_directive_with_other_options_stays_where_a_node_is_left_out():
    slurm = load_site("slurm").scheduler
    given = ('--exclude="n1,n2" --constraint=gpu', "--exclude=n3", "--nice")
    assert slurm.leaving_out(given, ["n4"]) == (given[0], "--nice", "--exclude=n1,n2,n3,n4")
    assert slurm.leaving_out(given, []) == given


def test_an_event_without_a_time_names_no_bad_node():
    assert bad_nodes({"event": "node", "host": "n1"}, event("n2", time=3)).all() == []


def test_a_newer_nnlcs_journal_does_not_end_a_job_that_retires_a_rank(tmp_path):
    newer = {"event": "job", "format": 999, "nnlc": "9.0", "time": "2026-01-01T00:00:00+00:00"}
    (tmp_path / "other.jsonl").write_text(json.dumps(newer) + "\n")
    journal = Journal(tmp_path)
    trouble = NodeTrouble(tmp_path, journal, RunSection(), "slurm", places={3: "n3"})
    trouble.retire(3, "its GPU fails", [])
    assert '"host": "n3"' in journal.path.read_text()


@pytest.mark.parametrize(
    "host", [None, 7, "", "-n1", "n1 n2", "n1,n2", "$(id)", "n1\nn2", "n" * 300]
)
def test_no_text_that_is_no_host_is_left_out(host):
    assert not bad_nodes(event(host), event(time="yesterday"), event(event="attempt")).all()


def test_a_trainer_that_ends_at_once_makes_a_job_unfinished_and_its_node_bad(tmp_path):
    job = Job(tmp_path, 2, greet=False, site="summit")
    job.say(1, kind="died", trainer=0, index=None, reason="killed by SIGKILL")
    job.part()
    assert job.status == ExitStatus.UNFINISHED
    [recorded] = job.events("node")
    assert (recorded["host"], recorded["site"]) == ("n1", "summit")
    assert any("the next job leaves out n1" in line for line in job.progress.messages)
    lines = job.results.bad_nodes_file.read_text().splitlines()
    [(until, *about)] = [line.split() for line in lines]
    assert about == ["summit", "n1"]
    assert abs(int(until) - time.time() - 7 * 24 * 3600) < 3600
    told = CliRunner().invoke(app, ["status", str(job.results.path)]).output
    assert "bad node n1 of summit: rank 1 on n1: killed by SIGKILL" in " ".join(told.split())


def test_without_a_script_that_could_leave_it_out_the_job_ends_with_an_error(tmp_path):
    job = Job(tmp_path, 2, greet=False)
    job.say(1, kind="died", trainer=0, index=None, reason="killed by SIGKILL")
    job.part()
    assert job.status == ExitStatus.ERROR
    assert [each["host"] for each in job.events("node")] == ["n1"]
    assert not job.results.bad_nodes_file.exists()


def test_when_too_many_nodes_were_bad_no_other_job_starts(tmp_path):
    for number in range(3):
        job = Job(tmp_path, 3, greet=False, site="summit", run="bad_nodes = 2")
        job.say(number, kind="died", trainer=0, index=None, reason="killed by SIGKILL")
        job.part()
        assert job.status == (ExitStatus.ERROR if number == 2 else ExitStatus.UNFINISHED)
    assert any(
        "3 nodes (n0, n1, n2), and run.bad_nodes = 2" in line for line in job.progress.messages
    )


def test_a_node_that_should_have_been_left_out_starts_no_other_job(tmp_path):
    for status in (ExitStatus.UNFINISHED, ExitStatus.ERROR):
        job = Job(tmp_path, 2, greet=False, site="summit")
        job.say(1, kind="died", trainer=0, index=None, reason="killed by SIGKILL")
        job.part()
        assert job.status == status
    assert any("n1 should have been left out" in line for line in job.progress.messages)


def test_a_gpu_that_fails_where_others_are_fine_is_its_node_s(tmp_path):
    job = Job(tmp_path, 2, gpus=1, device="cuda", site="summit", greet=False)
    job.greet(0, 1)
    job.greet(1, 0)
    job.part()
    assert job.status == ExitStatus.UNFINISHED
    assert [each["host"] for each in job.events("node")] == ["n1"]


def test_gpus_that_fail_everywhere_are_no_node_s(tmp_path):
    job = Job(tmp_path, 2, device="cuda", site="summit")
    job.part()
    assert job.status == ExitStatus.ERROR
    assert not job.events("node")


def test_a_retired_rank_s_node_is_left_out_by_the_next_job(tmp_path):
    job = Job(tmp_path, 2, site="summit").begin()
    for _ in range(3):
        job.fail(1, job.last_given[1])
        job.idle(1)
    assert [each["host"] for each in job.events("retire")] == ["n1"]
    assert job.status is None
    assert [node.host for node in read_bad_nodes(job.results.journal_folder)] == ["n1"]


def test_the_node_of_a_rank_that_no_longer_answers_is_bad(tmp_path):
    job = Job(tmp_path, 2, site="summit")
    job.gatherer.nodes.silent(1)
    assert [node.host for node in read_bad_nodes(job.results.journal_folder)] == ["n1"]
    assert len(job.results.bad_nodes_file.read_text().splitlines()) == 1


@pytest.mark.parametrize("tells_user", [True, False])
def test_the_silence_of_rank_0_is_recorded_once_by_however_many_ranks(
    tmp_path, monkeypatch, tells_user
):
    job = Job(tmp_path, 2, site="summit")
    shared = job.gatherer._job
    shared.nodes.tells_user = tells_user
    monkeypatch.setenv("SLURMD_NODENAME", "first")  # rank 0's; others' are not asked for
    configuration = json.loads(json.dumps(shared.configuration("cpu")))
    monkeypatch.setattr(node_trouble, "WAIT_SECONDS", 0.0)
    folder = job.results.journal_folder
    before = set(folder.iterdir())
    ranks = [
        threading.Thread(target=record_silence, args=(rank, configuration), daemon=True)
        for rank in range(1, 20)
    ]
    for each in ranks:
        each.start()
    for each in ranks:
        each.join(HANG_SECONDS)
    assert len({*folder.iterdir()} - before - {job.results.bad_nodes_file}) == 1
    assert [each["host"] for each in job.events("node")] == ["first"]
    assert [node.host for node in read_bad_nodes(folder)] == ["first"]
    assert len(job.results.bad_nodes_file.read_text().splitlines()) == 1
    told = [(each.kind, each.facts) for each in read_history(folder).untold]
    assert told == ([("node", {"node": "first"})] if tells_user else [])


def test_the_silence_of_rank_0_in_a_preflight_is_not_recorded(tmp_path):
    job = Job(tmp_path, 2, site="summit").gatherer._job
    before = sorted(job.results.path.rglob("*"))
    preflight = dataclasses.replace(job, only_preflight=True)
    record_silence(1, preflight.configuration("cpu"))
    assert sorted(job.results.path.rglob("*")) == before


def test_slurm_leaves_out_bad_nodes_beside_those_of_the_site_file():
    site = five_minutes("slurm")
    own = site.model_copy(update={"directives": ("--exclude=n[7-8]", "--constraint=gpu")})
    for chosen, hosts in ((site, "n1,n2"), (own, "n[7-8],n1,n2")):
        script = render_script(Request(campaign="smoke", leave_out=("n1", "n2")), chosen)
        assert f"#SBATCH --exclude={hosts}\n" in script
        assert script.count("--exclude") == 1
        assert not [finding for finding in lint_script(script, chosen) if not finding.note]
    assert """ExcNodeList='n[7-8]'"${bad:+,$bad}" ||""" in script


# Scripts of schedulers that can't leave a node out, run by bash with programs that only tell.

TELLS = """#!/bin/bash
echo "${0##*/} $*" >> "$TOLD"
case "${0##*/} $*" in
    jsrun* | mpiexec*) exit "$STATUS" ;;
    *"$REFUSED"*) exit 1 ;;
esac
"""
FORGOTTEN, LATER = 1, 4_000_000_000
"""Seconds since 1970."""


class Script:
    """A script for two nodes of a shipped site, in a folder of the test."""

    def __init__(self, folder: Path, name: str, **words: object) -> None:
        self.folder, self.name, self.told = folder, name, folder / "told"
        self.site = five_minutes(name).model_copy(update={"gpus_per_node": 4})
        self.path = folder / "job.sh"
        results = str(folder / "re sults")
        request = Request(
            campaign="smoke", nodes=2, results=results, script=str(self.path), **words
        )
        self.text = render_script(request, self.site)
        self.path.write_text(self.text)
        (folder / "re sults" / "journal").mkdir(parents=True)
        for program in ("jsrun", "mpiexec", "bsub", "qsub"):
            (folder / program).write_text(TELLS)
            (folder / program).chmod(0o755)

    def run(self, hosts: list[str], *bad: str, status: int = 75, refused: str = "?") -> str:
        """Return what the script says; `bad` are lines of the list of bad nodes."""
        lines = [host for host in hosts for _ in range(2)]
        first = ["launch1"] if self.name == "lsf" else []
        (self.folder / "hosts").write_text("".join(f"{host}\n" for host in [*first, *lines]))
        (self.folder / "re sults" / "journal" / "bad_nodes").write_text("\n".join([*bad, ""]))
        self.told.unlink(missing_ok=True)
        mine = {"PATH": f"{self.folder}{os.pathsep}{os.environ['PATH']}", "REFUSED": refused}
        mine |= {"TOLD": str(self.told), "STATUS": str(status), "PBS_JOBID": "7.s"}
        mine |= {"PBS_ARRAY_INDEX": "0", "LSB_JOBID": "7", "LSB_JOBINDEX": "1"}
        mine |= dict.fromkeys(("LSB_DJOB_HOSTFILE", "PBS_NODEFILE"), str(self.folder / "hosts"))
        done = subprocess.run(
            ["bash", self.path], cwd=self.folder, env=mine, capture_output=True, text=True
        )
        self.status = done.returncode
        return done.stderr

    @property
    def launch(self) -> str:
        """Command that started the ranks."""
        return self.told.read_text().splitlines()[0]

    @property
    def submitted(self) -> list[str]:
        """Commands that submitted a next job."""
        return self.told.read_text().splitlines()[1:]


@pytest.fixture(params=["lsf", "pbs"])
def name(request, monkeypatch):
    monkeypatch.setattr(rendering, "LEAST_SECONDS", 0)
    return request.param


PLAIN = {"lsf": "jsrun -n 8 -r 4 ", "pbs": "mpiexec -n 8 -ppn 4 python "}
SPARE = {"lsf": "-nnodes 3", "pbs": "-l select=3:ncpus="}


def test_without_a_bad_node_of_the_site_ranks_and_the_next_job_are_as_ever(name, tmp_path):
    script = Script(tmp_path, name)
    bad = [f"{FORGOTTEN} {name} n1", f"{LATER} elsewhere n1", f"{LATER} {name} n", "?", "", "$(id)"]
    told = script.run(["n1", "n2"], *bad)
    assert script.launch.startswith(PLAIN[name])
    assert "hosts" not in script.launch
    assert f"--nodes 2 --site {name} " in script.launch
    [command] = script.submitted
    assert SPARE[name] in command  # n is bad, wherever it is
    assert "the next job is submitted" in told
    script.run(["n1", "n2"])
    [command] = script.submitted
    assert SPARE[name] not in command


@pytest.mark.parametrize(
    ("hosts", "bad"),
    [
        (["n1", "n2", "n3"], "n1"),
        (["n1.cluster", "n2.cluster", "n3.cluster"], "n1"),
        (["n1", "n2", "n3"], "n1.cluster"),
        (["n1.a", "n1.b", "n3.a"], "n1.a"),
        (["n-1_x", "*", "n3"], "n-1_x"),
        (["n1", "n12", "xn1"], "n1"),
    ],
)
def test_ranks_start_on_as_many_good_nodes_as_were_planned(name, hosts, bad, tmp_path):
    script = Script(tmp_path, name)
    script.run([*hosts, "one-more"], f"{LATER} {name} {bad}", f"{LATER} {name} *")
    good = [host for host in hosts[1:] if host != "*"] + ["one-more"]
    assert f"{4 * len(good[:2])} -" in script.launch
    assert "--nodes 4 " in script.launch
    if name == "pbs":
        assert f" -hosts {','.join(good[:2])} " in script.launch
    else:
        left_out = ",".join([hosts[0], *(host for host in hosts if host == "*")])
        assert f" --exclude_hosts={left_out} " in script.launch


def test_where_fewer_good_nodes_are_there_fewer_ranks_start(name, tmp_path):
    script = Script(tmp_path, name)
    told = script.run(["n1", "n2"], f"{LATER} {name} n1")
    assert script.launch.startswith(PLAIN[name].replace("8", "4").replace("python ", ""))
    assert "4 ranks on n2, none on n1" in told
    assert SPARE[name] in script.submitted[0]


def test_where_no_good_node_is_left_the_job_ends_with_a_word_and_has_no_next(name, tmp_path):
    script = Script(tmp_path, name)
    told = script.run(["n1", "n2"], f"{LATER} {name} n1", f"{LATER} {name} n2.cluster")
    assert (script.status, script.told.exists()) == (1, False)
    assert "no good node is left: jobs ended or ranks failed on n1,n2" in told


def test_where_no_spare_node_is_to_be_had_the_next_job_asks_for_none(name, tmp_path):
    script = Script(tmp_path, name)
    told = script.run(["n1", "n2"], f"{LATER} {name} n1", refused=SPARE[name])
    assert [SPARE[name] in command for command in script.submitted] == [True, False]
    assert "the next job is submitted" in told
    full = five_minutes(name).model_copy(update={"max_nodes": 2})
    request = Request(campaign="smoke", nodes=2, script="/job.sh", leave_out=("n1",))
    assert SPARE[name] not in render_script(request, full)


def test_an_element_of_an_array_asks_for_a_spare_node_alone(name, tmp_path):
    script = Script(tmp_path, name, elements=2)
    script.run(["n1", "n2"], f"{LATER} {name} n1")
    [command] = script.submitted
    assert SPARE[name] in command


def test_a_job_that_ends_at_once_has_a_next_only_if_it_found_a_bad_node(
    name, tmp_path, monkeypatch
):
    monkeypatch.setattr(rendering, "LEAST_SECONDS", 3600)
    script = Script(tmp_path, name)
    assert "it ran for less than" in script.run(["n1", "n2"], f"{LATER} {name} n1")
    program = tmp_path / script.launch.split()[0]
    found = f"echo {LATER} {name} n2 >> '{tmp_path}/re sults/journal/bad_nodes'\n"
    program.write_text(TELLS.replace("case", f"{found}case", 1))
    assert "the next job is submitted" in script.run(["n1", "n2"], f"{LATER} {name} n1")


@pytest.mark.parametrize("name", ["lsf", "pbs", "summit", "polaris", "derecho"])
def test_a_job_that_is_submitted_while_a_node_is_bad_has_a_spare_one(name):
    site = shipped(name)
    plain = render_script(Request(campaign="smoke"), site)
    script = render_script(Request(campaign="smoke", leave_out=("n1",)), site)
    nodes = site.scheduler.nodes_option
    asked = site.scheduler.directive_options.written(nodes, site.nodes + 1)
    assert asked in script
    assert asked not in plain
    assert "spare=1 " in script
    assert lint_script(script, site) == []


def test_a_template_whose_directives_know_of_no_spare_node_goes_on_working(tmp_path):
    own = tmp_path / "own.sh.j2"
    begin = "{% extends 'lsf.sh.j2' %}{% block directives %}\n#BSUB -P A -W {{ walltime }}\n"
    own.write_text(begin + "#BSUB -nnodes {{ nodes }} -wa URG -wt 5\n{% endblock %}")
    site = five_minutes("lsf").model_copy(update={"template": str(own)})
    script = render_script(Request(campaign="smoke", leave_out=("n1",)), site)
    assert "#BSUB -nnodes 1 " in script
    assert lint_script(script, site) == []
