"""`notify`: a command is told each event once, whatever it does, and harms no job."""

import json
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import threading
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from limits import HANG_SECONDS, wait_until
from test_job_scripts import FAKE_MPIRUN
from typer.testing import CliRunner
from worker_jobs import ONE, events, run_worker, tables, write_campaign

from nnlc.campaign.campaign import load_campaign
from nnlc.cli import app, status_text
from nnlc.errors import CampaignError, ExitStatus, SiteError
from nnlc.launching.notify_source import notify_command
from nnlc.launching.render import Request, render_script
from nnlc.ranks.notifier import Notifier
from nnlc.results import event_sender as sending
from nnlc.results.event_sender import EventSender, failed_key, file_word
from nnlc.results.folder import ResultsFolder
from nnlc.results.history import Reached, read_history
from nnlc.results.journal import Journal
from nnlc.results.stall import IDLE_SECONDS, STILL_SECONDS, StallWatch
from nnlc.results.status import read_status
from nnlc.results.user_events import UserEvent
from nnlc.schedulers.container import Container
from nnlc.schedulers.lint import lint_script
from nnlc.schedulers.site import load_site
from nnlc.system import notify_command as running
from nnlc.system.notify_command import run_notify

HOSTILE = "it's $(touch x) `touch x` \"; # \\ é"


def keeper(folder: Path) -> tuple[str, Path]:
    """A command that keeps each event that it gets, and the file where it does."""
    kept = folder / f"told {HOSTILE[:20]}"
    return f"cat >> {shlex.quote(str(kept))}", kept


def told(kept: Path) -> list[dict]:
    return [json.loads(line) for line in kept.read_text().splitlines()] if kept.exists() else []


@pytest.fixture
def folder(tmp_path):
    results = ResultsFolder(tmp_path / "r")
    results.open(load_campaign(write_campaign(tmp_path, ONE)))
    return results


def sender(folder: ResultsFolder, command: str) -> EventSender:
    return EventSender(command, folder, "tiny", folder.ready)


def event(key: str, text: str = "why", kind: str = "failed") -> UserEvent:
    return UserEvent(kind, key, text)


def next_start(folder: ResultsFolder, command: str) -> None:
    """Rank 0 of another job tells of what nobody told of."""
    untold = read_history(folder.journal_folder).untold
    Notifier(sender(folder, command), untold).finish(ExitStatus.UNFINISHED)


# The command.


def test_a_command_gets_the_event_as_one_line_of_json_whatever_its_texts_are(tmp_path):
    command, kept = keeper(tmp_path)
    event = {"event": "failed", "text": HOSTILE}
    assert run_notify(command, event) == ""
    assert told(kept) == [event]
    assert kept.read_bytes().count(b"\n") == 1


def test_what_the_command_prints_goes_nowhere_and_megabytes_do_no_harm(capfd):
    assert run_notify("head -c 50000000 /dev/zero; head -c 50000000 /dev/zero >&2", {}) == ""
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        ("exit 3", "ended with status 3"),
        ("exec /no/such/program", r"ended with status 127 \(.*/no/such/program.*not found\)"),
        ("kill -9 $$", "ended with status -9"),
        ("exec <&-; true", ""),
        ("echo no >&2; printf 'n\\033[0m mail\\n\\n' >&2; exit 4", r"ended .* 4 \(n\?\[0m mail\)"),
        ("sleep 1000 & echo why >&2; exit 5", r"ended with status 5 \(why\)"),
    ],
)
def test_a_command_that_fails_or_reads_nothing_is_told_in_words(command, problem):
    assert re.fullmatch(problem, run_notify(command, {"text": "x" * 2000}))


def test_the_command_runs_in_its_folder_unless_that_is_away(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "r").mkdir()
    for folder in (tmp_path / "r", tmp_path / "away", None):
        assert run_notify("pwd >> places", {}, folder=folder) == ""
    assert (tmp_path / "r" / "places").read_text() == f"{tmp_path}/r\n"
    assert (tmp_path / "places").read_text() == f"{tmp_path}\n" * 2


def test_a_command_that_hangs_is_killed_with_all_that_it_started(tmp_path):
    pids = tmp_path / "pids"
    command = f"trap '' TERM INT; sleep 1000 & echo $! $$ > {pids}; wait; sleep 1000"
    found: list[str] = []
    for seconds in (1, 4, 16, 64, 256):  # until the machine is quick enough to start both
        assert run_notify(command, {}, seconds=seconds) == f"did not end within {seconds} s"
        found += pids.read_text().split() if pids.exists() else []
        if len(found) > 1:
            break
    assert len(found) > 1
    for pid in map(int, found):
        wait_until(lambda pid=pid: not _runs(pid))


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


# Each event once.


def test_an_event_is_told_once_by_however_many_processes_at_a_time(folder, tmp_path):
    command, kept = keeper(tmp_path)
    one = [
        threading.Thread(target=sender(folder, command).tell, args=(event(HOSTILE),))
        for _ in range(8)
    ]
    for each in one:
        each.start()
    for each in one:
        each.join()
    [found] = told(kept)
    assert found.pop("time")
    assert found.pop("host")
    assert found == {
        "event": "failed",
        "text": "why",
        "campaign": "tiny",
        "results": str(folder.path),
    }
    sender(folder, command).tell(event("another"))
    assert len(told(kept)) == 2


def test_an_event_is_told_also_where_nothing_can_be_written(folder, tmp_path):
    command, kept = keeper(tmp_path)
    (folder.journal_folder).rmdir()
    folder.journal_folder.write_text("no folder")
    sender(folder, command).tell(event("key", "the disk is full"))
    assert [event["text"] for event in told(kept)] == ["the disk is full"]


def journalled(folder: ResultsFolder, command: str, *written: tuple[str, dict]) -> Notifier:
    notifier = Notifier(sender(folder, command))
    journal = notifier.journal(folder.journal_folder, folder.ready, "n1-12-34")
    for event, facts in written:
        journal.write(event, **facts)
    return notifier


EVERY = [
    ("script", {"job": "109[0].pbs-01"}),
    ("job", {"process": {"host": "n1"}, "ranks": []}),
    ("start", {"id": "a"}),
    ("retire", {"rank": 3, "reason": "its GPU is gone", "ids": [], "host": "n7"}),
    ("node", {"host": "n9", "reason": "rank 1 no longer answered"}),
    ("lost", {"ids": ["earlier"], "reason": "the job of noon on n5"}),
    ("end", {"status": "ERROR", "reason": f"error: {HOSTILE}"}),
]


def test_the_journal_s_events_are_told_beside_the_job_and_not_again_by_the_next(folder, tmp_path):
    command, kept = keeper(tmp_path)
    journalled(folder, command, *EVERY).finish(ExitStatus.ERROR)
    found = sorted(told(kept), key=lambda event: (event["event"], event.get("node")))
    assert [event["event"] for event in found] == ["failed", "lost", "node", "node"]
    assert [event.get("node") for event in found] == [None, None, "n7", "n9"]
    here = "job 109[0].pbs-01 on n1"
    lost = "the job of noon on n5 ended without a word (killed, or its node was lost), found by "
    assert found[1]["text"].endswith(lost + here)
    assert f"rank 3 gets no more networks, in {here} " in found[2]["text"]
    assert f"node n9 took its job down, in {here} " in found[3]["text"]
    assert HOSTILE.split()[0] in found[0]["text"]
    next_start(folder, command)
    sender(folder, command).tell_of_failure("n1-12-34", "as its script knows it")
    assert len(told(kept)) == 4


def test_what_a_crash_left_untold_is_told_by_the_next_start_once(folder, tmp_path, monkeypatch):
    command, kept = keeper(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(EventSender, "tell", lambda *_, **__: "")  # the job is killed before
        journalled(folder, command, *EVERY).finish(ExitStatus.ERROR)
    assert not kept.exists()
    for _ in range(2):
        next_start(folder, command)
        assert [event["event"] for event in told(kept)] == ["node", "node", "lost", "failed"]
    assert "job 109[0].pbs-01 on n1 ended (error: " in told(kept)[-1]["text"]


def test_ends_without_an_error_and_events_of_before_are_no_news(folder, tmp_path):
    command, kept = keeper(tmp_path)
    Journal(folder.journal_folder).write("end", status="ERROR", reason="before notify was set")
    unfinished = ("end", {"status": "UNFINISHED", "reason": "time"})
    journalled(folder, command, unfinished).finish(ExitStatus.UNFINISHED)
    next_start(folder, command)
    assert not kept.exists()


def test_a_command_that_hangs_holds_up_the_end_for_its_time_only_and_is_told_later(
    folder, tmp_path, monkeypatch
):
    goes_on = threading.Event()
    with monkeypatch.context() as patch:
        patch.setattr("nnlc.ranks.notifier.NOTIFY_SECONDS", 0.0)
        patch.setattr("nnlc.ranks.notifier._SLACK_SECONDS", 0.0)
        patch.setattr(sending, "run_notify", lambda *_, **__: goes_on.wait(HANG_SECONDS) * "")
        notifier = journalled(folder, "true", *EVERY)
        wait_until(lambda: list(folder.journal_folder.glob("told-*")))
        notifier.finish(ExitStatus.ERROR)  # though no command has ended
        goes_on.set()
        notifier._thread.join(HANG_SECONDS)
    command, kept = keeper(tmp_path)
    monkeypatch.setattr(sending, "CLAIM_SECONDS", -1)  # a minute later
    next_start(folder, command)
    assert sorted(each["event"] for each in told(kept)) == ["failed", "lost", "node", "node"]


def killed_while_telling(folder: ResultsFolder, monkeypatch, *events: UserEvent) -> None:
    """Leave the claims of a process that is killed while its command runs."""
    with monkeypatch.context() as patch:
        patch.setattr(sending, "run_notify", lambda *_, **__: 1 / 0)
        for each in events:
            with pytest.raises(ZeroDivisionError):
                sender(folder, "true").tell(each)


def test_what_a_killed_process_was_telling_is_told_by_one_other(folder, tmp_path, monkeypatch):
    command, kept = keeper(tmp_path)
    one = event("one")
    killed_while_telling(folder, monkeypatch, one)
    later = sender(folder, command)
    later.tell(one)
    assert not kept.exists()  # since the process may run
    monkeypatch.setattr(sending, "process_lives", lambda its, _: "pid" not in its)
    later.tell_again()
    assert len(told(kept)) == 1
    for _ in range(2):
        later.tell_again()
        sender(folder, command).tell(one)
    assert len(told(kept)) == 1


def test_an_event_that_kills_two_processes_is_not_tried_for_ever(folder, tmp_path, monkeypatch):
    command, kept = keeper(tmp_path)
    monkeypatch.setattr(sending, "CLAIM_SECONDS", -1)
    killed_while_telling(folder, monkeypatch, event("one"), event("one"))
    sender(folder, command).tell(event("one"))
    assert not kept.exists()


def test_a_script_tells_of_the_failure_that_its_killed_rank_0_was_telling(
    folder, tmp_path, monkeypatch
):
    command, kept = keeper(tmp_path)
    killed_while_telling(folder, monkeypatch, event(failed_key("n1-12-34")))
    sender(folder, command).tell_of_failure("n1-12-34", "no word", "7")
    assert [each["text"] for each in told(kept)] == ["job 7 failed: no word"]


@pytest.mark.parametrize("content", ["", "[", "7", '{"event": "telling"}', '{"process": 7}'])
def test_a_damaged_file_of_an_event_loses_no_word(content, folder, tmp_path):
    command, kept = keeper(tmp_path)
    (folder.journal_folder / "told-one.jsonl").write_text(content)
    for _ in range(2):
        sender(folder, command).tell(event("one"))
    assert len(told(kept)) == 1


def test_a_node_is_told_of_once_however_many_of_its_ranks_are_retired(folder, tmp_path):
    command, kept = keeper(tmp_path)
    retired = [("retire", {"rank": n, "reason": "x", "host": f"n{n // 3}"}) for n in range(6)]
    journalled(folder, command, *retired).finish(ExitStatus.UNFINISHED)
    next_start(folder, command)
    assert [each["node"] for each in told(kept)] == ["n0", "n1"]


def test_a_job_that_several_jobs_find_lost_is_told_of_once(folder, tmp_path):
    command, kept = keeper(tmp_path)
    for _ in range(2):
        lost = ("lost", {"ids": ["earlier"], "reason": "the job of noon"})
        journalled(folder, command, lost).finish(ExitStatus.UNFINISHED)
    [found] = told(kept)
    assert found["text"].endswith(
        ": the job of noon ended without a word (killed, or its node was lost)"
    )


def test_a_failed_job_is_told_before_older_events(folder, tmp_path, monkeypatch):
    command, kept = keeper(tmp_path)
    goes_on = threading.Event()
    run = sending.run_notify
    patient = lambda *w, **k: goes_on.wait(HANG_SECONDS) and run(*w, **k)  # noqa: E731
    monkeypatch.setattr(sending, "run_notify", patient)
    notifier = journalled(folder, command, *EVERY)
    goes_on.set()
    notifier.finish(ExitStatus.ERROR)
    kinds = [each["event"] for each in told(kept)]
    assert sorted(kinds) == ["failed", "lost", "node", "node"]
    assert kinds.index("failed") <= 1  # the first one may have begun before


def test_an_error_while_telling_ends_nothing(folder, capsys, monkeypatch):
    monkeypatch.setattr(EventSender, "tell", lambda *_: 1 / 0)
    journalled(folder, "true", *EVERY).finish(ExitStatus.ERROR)
    assert "warning: the notify command was not run: ZeroDivisionError" in capsys.readouterr().err


# Jobs.


def test_a_campaign_s_end_is_told_once_by_the_job_that_ends_it(tmp_path):
    """The campaign's own command wins over the site's, and a failing one changes no status."""
    command, kept = keeper(tmp_path)
    text = f"{ONE}\n[run]\nnotify = {json.dumps(command)}\n"
    campaign = write_campaign(tmp_path, text)
    words = [campaign, "--results", tmp_path / "r", "--notify", "touch of-the-site"]
    for _ in range(2):
        done = run_worker(*words, cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        [event] = told(kept)
    assert (event["event"], event["tables"], event["without_table"]) == ("ended", 1, 0)
    assert event["text"] == "campaign tiny has ended: 1 table"
    assert not (tmp_path / "of-the-site").exists()
    assert len(tables(tmp_path / "r")) == len(events(tmp_path / "r", "told")) == 1
    plain = write_campaign(tmp_path, ONE)
    (tmp_path / "r" / "F-MNIST-sample_models").rename(tmp_path / "tables")
    hangs = [plain, "--results", tmp_path / "r", "--notify", "echo x; exit 9"]
    done = run_worker(*hangs)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "warning: the notify command ended with status 9: echo x; exit 9" in done.stderr


def test_a_job_that_fails_for_good_is_told_with_its_reason(tmp_path):
    command, kept = keeper(tmp_path)
    campaign = write_campaign(tmp_path, ONE)
    words = [campaign, "--results", tmp_path / "r", "--notify", command, "--notify-as", "n1-1-1"]
    done = run_worker(*words, "--device", "cuda", CUDA_VISIBLE_DEVICES="-1")
    assert done.returncode == 1
    [event] = told(kept)
    assert event["event"] == "failed"
    assert "--device cuda" in event["text"]


class Scripted:
    """A rendered `local` script with an mpirun that ends at once, and a notify command."""

    def __init__(
        self, folder: Path, command: str, python: str = sys.executable, **changes: object
    ) -> None:
        self.folder, self.log = folder, ""
        site = load_site("local").model_copy(update={"notify": command, **changes})
        request = Request(campaign="smoke", results=str(folder / f"r {HOSTILE}"), python=python)
        self.script = render_script(request, site)
        (folder / "job.sh").write_text(self.script)
        (folder / "mpirun").write_text(FAKE_MPIRUN)
        (folder / "mpirun").chmod(0o755)

    def run(self, status: int) -> list[str]:
        """Run it; return what mpirun was given."""
        environment = {
            "PATH": f"{self.folder}{os.pathsep}{os.environ['PATH']}",
            "RECORD": str(self.folder),
            "FAKE_STATUS": str(status),
        }
        done = subprocess.run(
            ["bash", "job.sh"], cwd=self.folder, env=environment, capture_output=True, text=True
        )
        assert done.returncode == status, done.stderr
        self.log = done.stderr
        return (self.folder / "argv").read_bytes().decode().split("\0")


@pytest.mark.parametrize("status", [0, 3, 75, 1, 137])
def test_a_script_tells_of_a_failure_that_rank_0_could_not_tell_of(status, tmp_path):
    command, kept = keeper(tmp_path)
    scripted = Scripted(tmp_path, command)
    words = scripted.run(status)
    at = words.index("--notify")
    assert words[at + 1] == command
    assert words[at + 2] == "--notify-as"
    texts = [event["text"] for event in told(kept)]
    reason = {1: "an error; see the message above", 137: "ranks ended by SIGKILL"}
    assert texts == ([f"a job failed: {reason[status]}"] if status in reason else [])
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("command", ["cat >> told", "exit 4"])
def test_a_script_whose_python_is_missing_tells_by_itself_in_the_results_folder(command, tmp_path):
    scripted = Scripted(tmp_path, command, python="/no/such/python3")
    results = tmp_path / f"r {HOSTILE}"
    scripted.run(127)  # the results folder is away
    assert (tmp_path / "told").exists() == (command != "exit 4")
    results.mkdir()
    scripted.run(127)
    log = scripted.log.splitlines()
    at = next(n for n, line in enumerate(log) if line.startswith("job script: status 127: "))
    assert "/no/such/python3" in log[at + 1]
    assert "the script runs the notify command itself" in log[at + 2]
    if command == "exit 4":
        assert log[-1] == "job script: nobody was told: the notify command failed with status 4"
        return
    [event] = told(results / "told")
    assert datetime.fromisoformat(event.pop("time")).utcoffset() == timedelta(0)
    assert event.pop("host") == platform.node()
    text = "a job of campaign smoke failed, and nnlc could not tell why: see its log"
    about = {"event": "failed", "text": text, "campaign": "smoke", "status": 127}
    assert event == {**about, "results": str(results)}
    assert len(log) == at + 3
    assert not (tmp_path / "x").exists()


def test_a_failing_command_is_run_once_by_a_script_whose_python_is_there(tmp_path):
    scripted = Scripted(tmp_path, "echo >> times; echo why >&2; exit 3")
    ResultsFolder(tmp_path / f"r {HOSTILE}").open(load_campaign("smoke"))
    scripted.run(1)
    assert (tmp_path / f"r {HOSTILE}" / "times").read_text() == "\n"
    assert "warning: the notify command ended with status 3 (why): echo >> times" in scripted.log


def test_a_setup_line_that_fails_is_told(tmp_path):
    command, kept = keeper(tmp_path)
    Scripted(tmp_path, command, setup=("false",), template=None)
    script = tmp_path / "job.sh"
    script.write_text(script.read_text().replace("set +eu +o pipefail", "").replace("|| true", ""))
    subprocess.run(["bash", "job.sh"], cwd=tmp_path, capture_output=True)
    assert ["failed with status 1: false" in event["text"] for event in told(kept)] == [True]


@pytest.mark.parametrize("site", ["slurm", "lsf", "pbs", "frontier", "summit"])
def test_a_script_tells_of_a_chain_that_breaks_and_of_none_that_goes_on(site, tmp_path):
    boxed = Container.read("apptainer exec --nv '/a b/nnlc.sif'")
    own = {"notify": f"echo {HOSTILE}", "container": boxed}
    site = load_site(site, account="A").model_copy(update={**own, "exclusive": False})
    request = Request(campaign="paper", results="/p/r", script="/p/r/jobs/a.sh", images="/p/i")
    script = render_script(request, site)
    assert not lint_script(script, site)
    beside_python = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    # SC2016: the command has single quotes, so that nothing in it expands.
    shellcheck = [shutil.which("shellcheck", path=beside_python), "--exclude=SC1091,SC2016", "-"]
    done = subprocess.run(shellcheck, input=script, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    begin, end = script.index("tell() {"), script.index("end_job() {")
    run = f"heard=$3 alone=$4\ntimeout() {{ echo told >&2; }}\n{script[begin:end]}\n"
    run += 'tell "$1" "$2"'
    alone, go_on = "unfinished", "submit it again to continue"

    def tells(status: int, reason: str, heard: str = "", plain: str = alone) -> bool:
        given = f"this_job=j go_on='{go_on}'\n{run}"
        words = ["bash", "-euc", given, "bash", str(status), reason, heard, plain]
        done = subprocess.run(words, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return "told" in done.stderr

    killed = "ranks ended by SIGKILL"
    assert not any(tells(status, "done") for status in (0, 3))
    assert tells(1, "an error")
    assert not tells(1, "an error", heard="TERM")
    assert f'\ngo_on="{go_on}"\n' in script
    assert not tells(75, f"{alone}; {go_on}")
    assert tells(75, f"{alone}; bsub refused the next job; {go_on}")
    assert tells(75, f"{alone}, after SIGTERM; qsub refused the next job; {go_on}", heard="TERM")
    asked = f"{alone}, after SIGTERM; no next job, since a signal asked it to end; {go_on}"
    assert not tells(75, asked, heard="TERM")
    assert tells(75, f"{alone}; not requeued, since it ran for less than 60 s; {go_on}")
    assert not tells(75, f"{alone}; the next job is submitted")
    assert not tells(137, f"{killed}; the next job is submitted", plain=killed)
    assert not tells(137, killed, plain=killed)  # a chain without a word goes on by itself
    assert tells(137, f"{killed}; scontrol requeue failed", plain=killed)


def test_a_site_without_a_command_has_the_script_that_it_had(tmp_path):
    script = render_script(Request(campaign="smoke"), load_site("slurm"))
    assert "notify" not in script
    assert "tell" not in script


# Stalls, and the command by hand.


def test_a_campaign_stalls_if_no_job_goes_on_or_no_network_gets_further(folder):
    now, found = [0.0], read_status(folder)
    watch = StallWatch(lambda: now[0])
    idle, runs, waits = (
        {"is_busy": busy, "is_running": running}
        for busy, running in ((False, False), (True, True), (True, False))
    )
    assert watch.look(found, **idle) == ""
    now[0] += IDLE_SECONDS - 1
    assert watch.look(found, **idle) == ""
    now[0] += 1
    assert watch.look(found, **idle) == "1 network is left, and no job is running or in the queue"
    assert watch.look(found, **idle) == ""
    now[0] += 1e6
    assert watch.look(found, **waits) == ""
    now[0] += 1e6
    assert watch.look(found, **waits) == ""
    assert watch.look(found, **runs) == ""
    now[0] += STILL_SECONDS
    assert watch.look(found, **runs).endswith("none has got further for 60 minutes")
    found.datasets["F-MNIST-sample"].rows += 1
    found.left.update(dict.fromkeys(found.left, Reached(pace=STILL_SECONDS)))
    assert watch.look(found, **runs) == ""
    now[0] += 9 * STILL_SECONDS
    assert watch.look(found, **runs) == ""
    now[0] += STILL_SECONDS
    assert watch.look(found, **runs).endswith("none has got further for 600 minutes")
    found.left.clear()
    now[0] += 1e6
    assert watch.look(found, **idle) == ""


def test_watching_tells_of_a_stall_once_also_if_two_watch(tmp_path, monkeypatch, capsys):
    command, kept = keeper(tmp_path)
    text = f"{ONE}\n[run]\nnotify = {json.dumps(command)}\n"
    results = ResultsFolder(tmp_path / "r")
    results.open(load_campaign(write_campaign(tmp_path, text)))
    monkeypatch.setattr("nnlc.results.stall.IDLE_SECONDS", 0.0)
    for _ in range(2):
        rounds = iter(range(2))

        def sleep(_, rounds=rounds):
            if next(rounds, None) is None:
                raise KeyboardInterrupt

        # Python's own module stays: waiting for the command sleeps too.
        monkeypatch.setattr(status_text, "time", SimpleNamespace(sleep=sleep))
        with pytest.raises(KeyboardInterrupt):
            status_text.watch_status(results.path, 10)
    assert capsys.readouterr().out.count("the campaign stalls: 1 network is left, and no job") == 2
    [event] = told(kept)
    assert event["event"] == "stalled"
    assert event["text"].startswith("campaign tiny stalls: 1 network is left")


def test_the_command_is_tried_by_hand_and_the_site_s_is_known_from_its_jobs(
    folder, tmp_path, capfd
):
    command, kept = keeper(tmp_path)
    none = CliRunner().invoke(app, ["notify", str(folder.path)])
    assert "no notify command: write one into the campaign's [run]" in str(none.exception)
    folder.jobs_folder.mkdir()
    for number, value in enumerate(["false", command]):
        record = {"mark": f"m{number}", "script": "s", "scheduler": "slurm", "site": "s"}
        record |= {"time": f"2026-01-0{number + 1}", "id": "1", "cluster": "", "notify": value}
        (folder.jobs_folder / f"m{number}.json").write_text(json.dumps(record))
    assert notify_command(folder, folder.campaign()) == command
    for _ in range(2):
        done = CliRunner().invoke(app, ["notify", str(folder.path)])
        sent, last = done.output.splitlines()
        assert last == f"told: {command}"
        assert json.loads(sent.removeprefix("sent: ")) == told(kept)[-1]
    assert [event["event"] for event in told(kept)] == ["test", "test"]
    failed = CliRunner().invoke(app, ["notify", str(folder.path), "--command", "exit 4"])
    assert "the notify command ended with status 4: exit 4" in str(failed.exception)
    CliRunner().invoke(app, ["notify", str(folder.path), "--command", "echo out; echo err >&2"])
    assert capfd.readouterr() == ("out\n", "err\n")


@pytest.mark.parametrize("text", ["", "a\nb", "a\x00b"])
def test_a_command_that_is_no_line_is_refused_with_its_file_and_key(text, tmp_path):
    campaign = write_campaign(tmp_path, f"{ONE}\n[run]\nnotify = {json.dumps(text)}\n")
    with pytest.raises(CampaignError, match=r"tiny.toml, key run.notify: must "):
        load_campaign(campaign)
    site = tmp_path / "site.toml"
    site.write_text(f'extends = "local"\nname = "s"\nnotify = {json.dumps(text)}\n')
    with pytest.raises(SiteError, match=r"site.toml, key notify: must "):
        load_site(site)


def test_keys_of_any_length_and_letters_are_names_of_files():
    keys = ["a", HOSTILE, "x" * 1000, "x" * 1001, "../a", "é", "_"]
    names = [file_word(key) for key in keys]
    assert len(set(names)) == len(keys)
    assert all(len(name) < 120 and "/" not in name and name.isascii() for name in names)
    assert running.NOTIFY_SECONDS == 30
