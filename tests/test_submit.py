"""Putting jobs into a queue: whatever the scheduler says, nothing twice and nothing lost."""

import errno
import fcntl
import json
import os
from pathlib import Path

import pytest
from worker_jobs import write_campaign

from nnlc.campaign.campaign import load_campaign
from nnlc.errors import NnlcError, SchedulerError, SiteError, UnansweredError
from nnlc.launching import submit as submitting
from nnlc.launching.prepare import plain_script_note, prepare
from nnlc.launching.render import Request
from nnlc.launching.submit import cancel, queue, records, submit
from nnlc.results.folder import ResultsFolder
from nnlc.schedulers import commands as scheduler_commands
from nnlc.schedulers.answers import count_states
from nnlc.schedulers.lsf import Lsf
from nnlc.schedulers.pbs import Pbs
from nnlc.schedulers.site import load_site, queue_of
from nnlc.schedulers.slurm import Slurm

# Each writes down its arguments and says what the file beside it holds.
COMMAND = """#!/bin/bash
here=$(dirname "$0")
printf '%s\\n' "$*" >> "$here/$(basename "$0").asked"
{body}
{header}
cat "$here/$(basename "$0").says" 2>/dev/null
exit "$(cat "$here/$(basename "$0").status" 2>/dev/null || echo 0)"
"""

HEADERS = {
    "squeue": "echo ARRAY_JOB_ID STATE REASON",
    "bjobs": '[ -s "$here/bjobs.says" ] && echo "JOBID   STAT" || echo "No unfinished job found"',
}
"""What the real commands say before the jobs, or if there are none."""


class Queue:
    """Commands of a scheduler that answer as a test says."""

    def __init__(self, folder: Path, monkeypatch) -> None:
        self.folder = folder / "commands"
        self.folder.mkdir()
        monkeypatch.setenv("PATH", f"{self.folder}:/usr/bin:/bin")

    def says(
        self, command: str, text: str, status: int = 0, body: str = "", header: str | None = None
    ) -> None:
        """Have a command say a text, after its header unless another is given."""
        path = self.folder / command
        first = HEADERS.get(command, "") if header is None else header
        path.write_text(COMMAND.format(body=body, header=first))
        path.chmod(0o755)
        (self.folder / f"{command}.says").write_text(text)
        (self.folder / f"{command}.status").write_text(str(status))

    def asked(self, command: str) -> list[str]:
        path = self.folder / f"{command}.asked"
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def commands(tmp_path, monkeypatch):
    made = Queue(tmp_path, monkeypatch)
    made.says("squeue", "")
    return made


@pytest.fixture
def folder(tmp_path):
    results = ResultsFolder(tmp_path / "r")
    results.open(load_campaign(write_campaign(tmp_path)))
    return results


def scripts_for(folder, site="slurm", **wishes):
    request = Request(campaign=str(folder.path.parent / "tiny.toml"), **wishes)
    return prepare(request, load_site(site), folder, folder.campaign())


def put(folder, **wishes):
    site = load_site("slurm")
    return submit(scripts_for(folder, **wishes), site, Slurm(), folder)


ANSWERS = {
    "4711\n": "4711",
    "4711;cluster2\n": "4711;cluster2",
    "a site's greeting\n4711\n": "4711",
    "  4711;cluster2  \r\nyou have used 12 of 40 hours\n": "4711;cluster2",
    "Submitted batch job 4711\n": "4711",
    "Submitted batch job 4711 on cluster cluster2\n": "4711;cluster2",
}


@pytest.mark.parametrize(("said", "job"), ANSWERS.items())
def test_a_job_is_found_in_every_form_that_sbatch_has(commands, folder, said, job):
    commands.says("sbatch", said)
    [record] = put(folder)
    assert (record.id, record.job) == ("4711", job)
    assert records(folder) == [record]
    assert Path(record.script).read_text().startswith("#!/bin/bash\n#SBATCH")


def test_an_answer_without_an_id_is_looked_up_in_the_queue_before_anything_is_submitted_again(
    commands, folder
):
    commands.says("sbatch", "Submitted, I think\n")
    with pytest.raises(UnansweredError, match=r"names no job.*the next 'nnlc submit' or"):
        put(folder)
    [record] = records(folder)
    assert record.id is None
    commands.says("squeue", f"99 another\n4712 {record.mark}\n4712 PENDING\n")
    with pytest.raises(SchedulerError, match="its job 4712 is in the queue already"):
        put(folder)
    assert [record.id for record in records(folder)] == ["4712"]
    assert len(commands.asked("sbatch")) == 1


def test_a_scheduler_that_does_not_answer_is_an_error_with_an_end(commands, folder, monkeypatch):
    run = scheduler_commands.subprocess.run

    def run_sbatch_for_a_moment(words, timeout, **how):
        return run(words, timeout=0.3 if words[0] == "sbatch" else timeout, **how)

    commands.says("sbatch", "1\n", body="sleep 5")
    with monkeypatch.context() as patch:
        patch.setattr(scheduler_commands.subprocess, "run", run_sbatch_for_a_moment)
        with pytest.raises(UnansweredError, match="sbatch did not answer within"):
            put(folder)
    commands.says("sbatch", "4713\n")  # the queue knows nothing of the first: it never came in
    assert [record.id for record in put(folder)] == ["4713"]
    assert len(records(folder)) == 1


def test_a_refusal_after_which_the_job_may_be_in_the_queue_submits_no_second_one(commands, folder):
    late = "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation\n"
    commands.says("sbatch", late, status=1)
    with pytest.raises(UnansweredError, match=r"Socket timed out.*the next 'nnlc submit' or"):
        put(folder)
    [record] = records(folder)
    commands.says(
        "squeue", f"ARRAY_JOB_ID COMMENT\n4712 {record.mark}; of the site's own\n4712 PENDING\n"
    )
    with pytest.raises(SchedulerError, match="its job 4712 is in the queue already"):
        put(folder)


def test_an_answer_that_can_t_be_looked_up_now_is_looked_up_by_the_next_call(commands, folder):
    commands.says("squeue", "", body='[ "${*/--me/}" = "$*" ] || { echo "no database"; exit 1; }')
    commands.says("sbatch", "Submitted, I think\n")
    with pytest.raises(UnansweredError, match="names no job"):
        put(folder)
    assert [record.id for record in records(folder)] == [None]


def test_an_answer_of_several_numbers_is_told_apart_by_what_the_queue_knows(commands, folder):
    mark = f"$(cat {folder.jobs_folder}/*.json | grep -o 'nnlc-[0-9a-f]*' | tail -1)"
    commands.says(
        "squeue",
        "",
        header=f'echo ARRAY_JOB_ID COMMENT; [ "$*" = "${{*/--me/}}" ] || echo "4711 {mark}"',
    )
    commands.says("sbatch", "hours left:\n1200\n4711\n")
    [record] = put(folder)
    assert record.id == "4711"


def test_a_refusal_is_told_in_the_schedulers_words_and_leaves_no_record(commands, folder):
    commands.says("sbatch", "sbatch: error: Invalid account\n", status=1)
    with pytest.raises(SchedulerError, match=r"sbatch refused: .*Invalid account") as told:
        put(folder)
    assert f"{folder.path} stays there, for the next 'nnlc submit'" in str(told.value)
    assert records(folder) == []


def test_a_scheduler_that_is_absent_is_named(tmp_path, folder, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SchedulerError, match="sbatch: not found on this machine"):
        put(folder)
    with pytest.raises(SchedulerError, match="the site local has no scheduler"):
        queue_of(load_site("local"))


def test_a_folder_whose_jobs_are_in_the_queue_gets_no_second_ones(commands, folder):
    commands.says("sbatch", "5\n")
    put(folder)
    commands.says("squeue", "5 RUNNING\n5 PENDING\n")
    site, told = load_site("slurm"), list[str]()
    with pytest.raises(SchedulerError, match="its job 5 is in the queue already"):
        submit(scripts_for(folder), site, queue_of(site), folder, lambda: told.append("a note"))
    assert not told
    assert queue(folder, Slurm()) == {"5": ["RUNNING", "PENDING"]}
    commands.says("squeue", "slurm_load_jobs error: Invalid job id specified\n", status=1)
    put(folder)
    assert len(commands.asked("sbatch")) == 2


def test_of_two_at_once_one_submits_and_the_other_forgets_nothing(commands, folder, monkeypatch):
    def meanwhile(*_):
        [record] = records(folder)
        with pytest.raises(SchedulerError, match="is running for this folder"):
            put(folder)
        submitting.settle(folder, Slurm())  # as `nnlc status` does
        assert records(folder) == [record]
        return "7"

    monkeypatch.setattr(Slurm, "submit", meanwhile)
    [record] = put(folder)
    assert records(folder) == [record]


def test_what_a_killed_submit_left_behind_is_in_nobodys_way(commands, folder):
    commands.says("sbatch", "", body="kill -9 $PPID")
    if (child := os.fork()) == 0:
        try:
            put(folder)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -9
    assert [record.id for record in records(folder)] == [None]
    commands.says("sbatch", "7\n")
    assert [record.id for record in put(folder)] == ["7"]
    assert [record.id for record in records(folder)] == ["7"]


def test_a_file_system_without_locks_keeps_nobody_from_submitting(commands, folder, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    commands.says("sbatch", "7\n")
    monkeypatch.setattr(fcntl, "flock", refuse)
    assert [record.id for record in put(folder)] == ["7"]


def test_an_array_beyond_the_sites_limit_is_split_and_no_element_is_lost(commands, folder):
    site = load_site("slurm").model_copy(update={"max_array_elements": 3})
    submission = prepare(
        Request(campaign="smoke", elements=8), site, folder, load_campaign("smoke")
    )
    commands.says("sbatch", "7\n")
    assert len(submit(submission, site, Slurm(), folder)) == 3
    texts = [text for _, text in submission.scripts]
    assert [text.split("--array=")[1].split()[0] for text in texts] == ["0-2", "0-2", "0-1"]
    for first, text in zip((0, 3, 6), texts, strict=True):
        assert f'--elements 8 --element "$(({first} + SLURM_ARRAY_TASK_ID))"' in text


def test_a_script_that_breaks_a_rule_is_not_submitted(commands, folder, tmp_path):
    (tmp_path / "mine.toml").write_text(
        'extends = "slurm"\nsetup = ["export CUDA_VISIBLE_DEVICES=0"]'
    )
    with pytest.raises(SiteError, match="CUDA_VISIBLE_DEVICES"):
        scripts_for(folder, site=str(tmp_path / "mine.toml"))


def test_cancel_ends_what_is_in_the_queue_and_a_job_that_is_gone_is_no_error(commands, folder):
    commands.says("sbatch", "8\n")
    put(folder)
    commands.says("squeue", "8 RUNNING\n")
    gone = "scancel: error: Kill job error on job id 8: Invalid job id\n"
    commands.says("scancel", gone, 1, body=': > "$here/squeue.says"')
    assert cancel(folder, Slurm()) == ["8"]
    assert commands.asked("scancel") == ["8"]
    assert cancel(folder, Slurm()) == []


def test_cancel_looks_again_and_names_what_is_still_in_the_queue(commands, folder, monkeypatch):
    monkeypatch.setattr(submitting, "LEAVE_SECONDS", 1.0)
    commands.says("sbatch", "8\n")
    put(folder)
    commands.says("squeue", "8 RUNNING\n8 PENDING\n8 RUNNING\n8 COMPLETING\n")
    commands.says("scancel", "")
    with pytest.raises(SchedulerError, match="job 8 is still in the queue: 1 PENDING, 2 RUNNING"):
        cancel(folder, Slurm())
    commands.says("squeue", "8 COMPLETING\n8 COMPLETING\n")
    assert cancel(folder, Slurm()) == []


def test_a_job_that_is_ending_is_told_to_stay_away_too(commands, folder):
    """Slurm shows one that goes into the queue again so, until its processes have ended."""
    commands.says("sbatch", "8\n")
    put(folder)
    commands.says("squeue", "8 COMPLETING\n")
    commands.says("scancel", "scancel: error: Job/step already completing or completed\n", 1)
    assert cancel(folder, Slurm()) == []
    assert commands.asked("scancel") == ["8"]


def test_a_job_that_may_not_be_ended_keeps_no_other_from_it(commands, folder):
    for job in ("8", "9"):
        commands.says("sbatch", f"{job}\n")
        put(folder)
    commands.says("squeue", "8 RUNNING\n9 RUNNING\n")
    body = 'if [ "$1" = 8 ]; then echo "Access denied"; exit 1; fi'
    commands.says("scancel", "", body=f'{body}; echo "8 RUNNING" > "$here/squeue.says"')
    with pytest.raises(SchedulerError) as problem:
        cancel(folder, Slurm())
    assert str(problem.value).startswith("cancelled 9\njob 8 is still in the queue: 1 RUNNING\n")
    assert "Access denied" in str(problem.value)


def test_the_next_job_of_a_chain_that_comes_meanwhile_is_ended_too(commands, folder):
    folder.jobs_folder.mkdir()
    chain = folder.jobs_folder / "summit.sh.jobs"
    chain.write_text("Job <11> is submitted to default queue <batch>.\n")
    commands.says("bjobs", "11 RUN\n")
    follow = f"""if [ "$1" = 11 ]; then
        echo "Job <12> is submitted to default queue <batch>." >> '{chain}'
        echo "12 PEND" > $here/bjobs.says
    else : > $here/bjobs.says; fi"""
    commands.says("bkill", "", body=follow)
    assert cancel(folder, Lsf()) == ["11", "12"]


@pytest.mark.parametrize("name", ["nnlc-x.json", "summit.sh.jobs", ""])
@pytest.mark.parametrize("stands", [os.mkfifo, lambda path: path.symlink_to("nowhere")])
def test_what_may_tell_of_jobs_and_can_t_be_read_is_an_error(commands, folder, name, stands):
    commands.says("sbatch", "9\n")
    commands.says("squeue", "9 RUNNING\n")
    put(folder)
    if not name:
        folder.jobs_folder.rename(folder.path / "elsewhere")
    stands(folder.jobs_folder / name)
    for act in (cancel, queue):
        with pytest.raises(SchedulerError, match="it records jobs that may be in the queue"):
            act(folder, Slurm())
    with pytest.raises(NnlcError):
        put(folder)
    assert len(commands.asked("sbatch")) == 1


def test_garbage_among_the_records_is_passed_over(commands, folder):
    commands.says("sbatch", "9\n")
    put(folder)
    (folder.jobs_folder / "nnlc-x.json").write_text("{")
    (folder.jobs_folder / "nnlc-y.json").write_text(json.dumps({"id": 1}))
    assert [record.id for record in records(folder)] == ["9"]


def test_jobs_that_lsf_scripts_chained_belong_to_the_folder_too(commands, folder):
    commands.says("bjobs", "12[1] RUN\n12[2] PEND\n11 DONE\n")
    folder.jobs_folder.mkdir()
    (folder.jobs_folder / "summit.sh.jobs").write_text(
        "Job <11> is submitted to default queue <batch>.\nJob <12> is submitted to queue <q>.\n"
    )
    assert queue(folder, Lsf()) == {"11": [], "12": ["RUN", "PEND"]}
    end = ': > "$here/bjobs.says"'
    commands.says("bkill", "Job <12> is being terminated\n", body=end)
    assert cancel(folder, Lsf()) == ["12"]


@pytest.mark.parametrize(
    ("scheduler", "command", "line", "asked"),
    [
        (Slurm(), "sbatch", '#SBATCH --comment="48 hours"', "--comment=48 hours nnlc-1"),
        (Lsf(), "bsub", "#BSUB -Jd mine -P x", "-Jd mine nnlc-1"),
        (Pbs(), "qsub", "#PBS -v A=b,C", "-v A=b,C,NNLC_MARK=nnlc-1"),
    ],
)
def test_what_a_script_has_the_queue_keep_stays_before_the_mark(
    commands, tmp_path, scheduler, command, line, asked
):
    (tmp_path / "job.sh").write_text(f"#!/bin/bash\n{line}\n")
    commands.says(command, "7.pbs\n7\nJob <7> is submitted to queue <q>.\n")
    assert scheduler.submit(tmp_path / "job.sh", "nnlc-1", command).partition(".")[0] == "7"
    assert asked in commands.asked(command)[0]


# Tabs and other control characters are in the values of variables, which qstat doesn't escape.
QSTAT = """{"timestamp": 1, "Jobs": {
"7[].pbs": {"job_state": "B", "Variable_List": {"NNLC_MARK": "nnlc-1", "PS1": "\ta\x1b"}},
"7[0].pbs": {"job_state": "X"}, "7[1].pbs": {"job_state": "R"}, "7[2].pbs": {"job_state": "Q"},
"8.pbs": {"job_state": "H", "Variable_List": "of another form"},
"9.pbs": {"job_state": "F"}, "11[].pbs": {"job_state": "Q"}
}}
qstat: Unknown Job Id 10.pbs
"""


def test_qstat_tells_of_jobs_and_of_each_element_of_an_array(commands, tmp_path):
    commands.says("qstat", QSTAT, status=153)
    jobs = ["7[].pbs", "8.pbs", "9.pbs", "10.pbs", "11[].pbs"]
    assert Pbs().states(jobs) == {
        "7[].pbs": ["R", "Q"],
        "8.pbs": ["H"],
        "9.pbs": [],
        "10.pbs": [],
        "11[].pbs": ["Q"],  # a qstat that shows no elements
    }
    assert Pbs().find("nnlc-1", tmp_path) == "7[].pbs"
    assert Pbs().find("nnlc-2", tmp_path) is None
    commands.says("qstat", "qstat: 7[].pbs Job has finished, use -x\n", status=35)
    assert Pbs().states(["7[].pbs"]) == {"7[].pbs": []}


NO_JOBS = '{"timestamp": 1, "pbs_version": "2022.1.3", "pbs_server": "pbs"}'
NO_ANSWERS = {
    Pbs(): [
        *(
            '{"Jobs": {"7.pbs": ',
            '{"Jobs": [7]}',
            '{"Jobs": {"x": 3}}',
            '{"timestamp": 1, "Jobs": 7}',
        ),
        *('{"Jobs": {}}', "{}", "{}}", "[]", "null", "42", "", "Welcome to the cluster! <html> 42"),
        *(NO_JOBS[:-1], "qstat: Unknown Job Id 17.pbs"),
    ],
    Slurm(): ["", "Welcome to the cluster!", "42", "7 RUNNING", "[]", "CLUSTER: a"],
    Lsf(): ["", "Welcome to the cluster!", "42", "7 RUN", "[]"],
}


@pytest.mark.parametrize(
    ("scheduler", "answer"), [(one, answer) for one, all_ in NO_ANSWERS.items() for answer in all_]
)
def test_an_answer_without_the_scheduler_s_own_words_is_no_empty_queue(
    commands, folder, scheduler, answer
):
    """A job that is held for gone would be submitted a second time."""
    job, command = {"pbs": "7.pbs"}.get(scheduler.name, "7"), COMMANDS[scheduler.name]
    commands.says(command, answer, header="")
    with pytest.raises(SchedulerError, match="can't read, so it is unknown which jobs are in the"):
        scheduler.states([job])
    with pytest.raises(SchedulerError, match="can't read, so it is unknown which jobs are in the"):
        scheduler.find("nnlc-1", folder.path / "no-script")


COMMANDS = {"pbs": "qstat", "slurm": "squeue", "lsf": "bjobs"}
EMPTY = [
    (Pbs(), NO_JOBS),
    (Pbs(), f"Welcome to {{the}} cluster\n{NO_JOBS}\n}}"),
    (Slurm(), "ARRAY_JOB_ID STATE REASON"),
    (Slurm(), "Welcome\nCLUSTER: a\nARRAY_JOB_ID COMMENT"),
    (Lsf(), "No unfinished job found"),
]


@pytest.mark.parametrize(("scheduler", "answer"), EMPTY)
def test_a_scheduler_that_says_that_there_is_no_job_is_believed(
    commands, folder, scheduler, answer
):
    commands.says(COMMANDS[scheduler.name], f"{answer}\n", header="")
    assert scheduler.states(["7.pbs"]) == {"7.pbs": []}
    assert scheduler.find("nnlc-1", folder.path / "no-script") is None


def test_a_job_that_waits_is_told_with_the_scheduler_s_reason(commands):
    never = "Can Never Run: Insufficient amount of resource: ncpus"
    rows = {
        "7[].pbs": {"job_state": "B", "comment": never},
        "7[0].pbs": {"job_state": "Q"},
        "7[1].pbs": {"job_state": "R", "comment": "Job run at Tue on (n1)"},
        "8.pbs": {"job_state": "H", "comment": "held\n\x1b by qhold"},
    }
    commands.says("qstat", json.dumps({"timestamp": 1, "Jobs": rows}))
    found = Pbs().states(["7[].pbs", "8.pbs"])
    assert count_states(found["7[].pbs"]) == f"1 Q ({never}), 1 R"
    assert count_states(found["8.pbs"]) == "1 H (held ? by qhold)"
    commands.says("qstat", json.dumps({"timestamp": 1, "Jobs": {"8.pbs": {}}}))
    with pytest.raises(SchedulerError, match=r"can't read, .*: '8\.pbs without job_state'"):
        Pbs().states(["8.pbs"])
    commands.says(
        "squeue",
        "7 PENDING ReqNodeNotAvail, UnavailableNodes:n1\n7 PENDING PartitionTimeLimit\n"
        "7 PENDING Priority\n7 PENDING None\n7 RUNNING None\n",
    )
    waits = "ReqNodeNotAvail, UnavailableNodes:n1, PartitionTimeLimit and 1 more"
    assert count_states(Slurm().states(["7"])["7"]) == f"4 PENDING ({waits}), 1 RUNNING"


OTHER_FORMS = [
    (Slurm(), "squeue", "7", ['{"jobs": [{"job_id": 7}]}', "tiny 7 R", "user=me job=7"], "17 R"),
    (Lsf(), "bjobs", "7", ["Job <7>, Job Name <tiny>, Status <RUN>", "JOBID: 7"], "17 RUN"),
    (
        Pbs(),
        "qstat",
        "7[].pbs",
        ["Job Id: 7[].pbs\n    job_state = Q", '{"jobs": {"7[].pbs": {}}}'],
        '{"Jobs": {"17[].pbs": {"job_state": "Q", "depend": "afterany:7[].pbs"}}}',
    ),
]


@pytest.mark.parametrize(("scheduler", "command", "job", "forms", "others"), OTHER_FORMS)
def test_a_job_that_is_told_in_another_form_is_not_held_for_gone(
    commands, scheduler, command, job, forms, others, tmp_path
):
    for said in forms:
        commands.says(command, f"Dear user, 2 nodes are down\n{said}\n")
        with pytest.raises(SchedulerError, match="so it is unknown which jobs are in the queue"):
            scheduler.states([job])
        commands.says(command, said.replace(job, "nnlc-1"))
        with pytest.raises(SchedulerError, match="so it is unknown which jobs are in the queue"):
            scheduler.find("nnlc-1", tmp_path)
    none = NO_JOBS if command == "qstat" else ""
    for said in (f"Dear user, 2 nodes are down\n{none}", others, none):
        commands.says(command, said)
        assert scheduler.states([job]) == {job: []}
        assert scheduler.find("nnlc-1", tmp_path) is None


def test_an_option_that_a_scheduler_lacks_is_told_as_one_of_another_version(commands):
    commands.says("squeue", "squeue: unrecognized option '--federation'", status=1)
    with pytest.raises(SchedulerError, match=r"'--federation'\nthis Slurm lacks an option"):
        Slurm().states(["7"])
    commands.says("bjobs", "bjobs: illegal option -- o", status=255)
    with pytest.raises(SchedulerError, match=r"\nthis LSF lacks .*; bsub -V tells its version"):
        Lsf().states(["7"])


def test_a_log_folder_that_qsub_would_take_for_a_host_is_in_no_directive(tmp_path):
    results = ResultsFolder(tmp_path / "a:b")
    results.open(load_campaign(write_campaign(tmp_path)))
    request = Request(campaign=str(tmp_path / "tiny.toml"))
    for site, inside in (("slurm", True), ("pbs", False)):
        made = prepare(request, load_site(site), results, results.campaign())
        [(_, script)] = made.scripts
        assert (f"{results.path}/logs" in script) == inside
        note = plain_script_note(made, load_site(site), results)
        assert (f"{results.path}/logs" in note) == inside
        assert note.endswith(" and submits the next job if it ends unfinished") != inside


HOSTILE = ["a b", "it's", "$(touch x)", "a\\", "-x", "größe"]


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("command", ["bsub", "bsub <"])
def test_a_script_of_any_name_reaches_bsub_unchanged(commands, tmp_path, name, command):
    script = tmp_path / name
    script.write_text("#BSUB -P x\n")
    commands.says(
        "bsub", "Job <3> is submitted to default queue <batch>.\n", body="cat > /dev/null"
    )
    assert Lsf().submit(script, "nnlc-1", command) == "3"
    asked = "-Jd nnlc-1" if "<" in command else f"-Jd nnlc-1 {script}"
    assert commands.asked("bsub") == [asked]
    assert not (tmp_path / "x").exists()
