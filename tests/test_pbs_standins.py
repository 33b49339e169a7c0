"""The stand-in for PBS Professional: what its commands refuse, and what becomes of a job."""

import importlib
import re
import sys
from pathlib import Path

import pytest
from limits import let_pass, wait_until
from pbs_cluster import STANDINS, Pbs

POLARIS = """#!/bin/bash
#PBS -N name
#PBS -A Catalyst
#PBS -q debug
#PBS -l select=2:ncpus=64:ngpus=4:system=polaris
#PBS -l place=scatter
#PBS -l walltime=1:00:00
#PBS -l filesystems=home:eagle
#PBS -j oe
#PBS -k doe
#PBS -r y
#PBS -J 0-1
exit 0
"""
SHORT = "#!/bin/bash\n#PBS -N short\n#PBS -l select=1,walltime=60\n#PBS -j oe\n"


@pytest.fixture
def pbs(tmp_path):
    cluster = Pbs(tmp_path)
    yield cluster
    cluster.close()


@pytest.fixture
def polaris(tmp_path):
    cluster = Pbs(tmp_path, "polaris")
    yield cluster
    cluster.close()


def script(pbs: Pbs, text: str, name: str = "job.sh") -> Path:
    path = pbs.folder / name
    path.write_text(text)
    return path


def until(path: Path) -> str:
    """A line of a script that waits for a file."""
    return f"until [ -e '{path}' ]; do sleep 0.05; done\n"


REFUSALS = [
    ("#PBS -A Catalyst\n", "", 32, "Account_Name is required to be set."),
    ("#PBS -l walltime=1:00:00\n", "", 32, "Resource: walltime is required to be set."),
    ("#PBS -l filesystems=home:eagle\n", "", 32, "Resource: filesystems is required to be set."),
    ("home:eagle", "home:grand", 32, "filesystems: unknown grand"),
    ("-k doe", "-k oe", 32, "Keep_Files must be doe"),
    ("walltime=1:00:00", "walltime=1:00:00:00", 166, "Resource_List.walltime"),
    ("walltime=1:00:00", "walltime=1h", 166, "Resource_List.walltime"),
    ("walltime=1:00:00", "walltime=1:00:01", 188, "violates queue and/or server resource limits"),
    ("select=2:", "select=3:", 188, "violates queue and/or server resource limits"),
    ("select=2:", "select=0:", 166, "attribute or resource value Resource_List.select"),
    ("select=2:ncpus", "select=2:walltime=0:1:0:ncpus", 166, "Resource_List.select"),
    ("select=2:ncpus", "select=2:walltime=60:ncpus", 4, 'invalid in "select" specification'),
    ("ngpus=4", "gpus=4", 187, "Unknown resource: gpus"),
    ("ngpus=4", "ngpus=four", 166, "Resource_List.select"),
    ("ngpus=4", "ncpus=4", 166, "Resource_List.select"),
    ("-l walltime", "-l ncpus=64,walltime", 5, 'cannot be used with "select" or "place"'),
    ("select=2:ncpus=64:ngpus=4:system=polaris\n", "software=x\n", 7, 'Cannot have "place"'),
    ("place=scatter", "place=scattered", 166, "Resource_List.place"),
    ("place=scatter", "place=scatter:pack", 166, "Resource_List.place"),
    ("place=scatter", "place=:excl", 166, "Resource_List.place"),
    ("-q debug", "-q none", 170, "Unknown queue"),
    ("-q debug", "-q prod", 191, "Job rejected by all possible destinations"),
    ("-J 0-1", "-J 0-0", 2, "illegal -J value"),
    ("-J 0-1", "-J 1,2", 2, "illegal -J value"),
    ("-J 0-1", "-J 1-0", 2, "illegal -J value"),
    ("-J 0-1", "-J 0-10000", 3, "Array job exceeds server or queue size limit"),
    ("-r y", "-r n", 1, "cannot submit non-rerunable Array Job"),
    ("-r y", "-r yes", 1, "directive error: -r yes"),
    ("-N name", "-N 'a name'", 2, "illegal -N value"),
    ("-j oe", "-j both", 2, "illegal -j value"),
    ("-k doe", "-k all", 2, "illegal -k value"),
    ("-j oe", "-j oe # joined", 1, "directive error: -j oe # joined"),
    ("-j oe", "-t 1-4", 1, "invalid option -- 't'"),
    ("-r y", "-W depend=afterany:7[1].pbs-01", 2, "dependancy on subjob or range"),
    ("-r y", "-W depend=finally:7", 2, "illegal -W value"),
    ("-r y", "-W depend=afterany:", 2, "illegal -W value"),
    ("-r y", "-v NEVER_SET", 1, "cannot send environment with the job"),
]


@pytest.fixture(scope="module")
def options():
    """The module of the stand-in that checks a job: quicker than its commands."""
    sys.path.insert(0, str(STANDINS))
    module = importlib.import_module("pbs_options")
    module.SITES = importlib.import_module("pbs_site").SITES
    yield module
    sys.path.remove(str(STANDINS))


@pytest.mark.parametrize(("right", "wrong", "code", "problem"), REFUSALS)
def test_qsub_refuses_a_script_that_breaks_a_rule(options, right, wrong, code, problem):
    assert right in POLARIS
    polaris = options.SITES["polaris"]
    assert len(options.check([], POLARIS, "job.sh", polaris).chunks) == 2
    with pytest.raises(options.RefusalError, match=re.escape(problem)) as refusal:
        options.check([], POLARIS.replace(right, wrong, 1), "job.sh", polaris)
    assert refusal.value.code == code


def test_what_qsub_refuses_is_no_job_and_a_second_reading_tells_why(polaris):
    path = script(polaris, POLARIS.replace("#PBS -A Catalyst\n", ""))
    assert polaris.run("qsub", path, status=32) == "qsub: Account_Name is required to be set.\n"
    assert polaris.run("qsub", "-J", "0-0", "-A", "x", path, status=2) == "qsub: illegal -J value\n"
    assert "illegal -r value" in polaris.run("qsub", "-r", "x", path, status=2)
    assert "No such file" in polaris.run("qsub", "nothing.sh", status=1)
    assert polaris.jobs() == {}
    assert polaris.run("qstat") == ""


def test_directives_end_at_the_first_command_and_the_command_line_wins(options):
    text = "#!/bin/sh\n\n# a comment\n  #PBS -N first\n##PBS -N no\n:\nset -e\n#PBS -q none\n"
    job = options.check([], text, "job.sh", options.SITES["pbs"])
    assert (job.name, job.queue, job.rerunnable, job.indices) == ("first", "workq", True, [])
    given = [("N", "second"), ("l", "walltime=90:00"), ("J", "2-7:2%2"), ("W", "depend=after:2")]
    given += [("l", "select=3:ncpus=2")]
    text = f"#PBS -W depend=afterany:1\n#PBS -l select=1:ncpus=4,place=scatter\n{text}"
    job = options.check(given, text, "job.sh", options.SITES["pbs"])
    assert job.depend == [("after", ["2"])]
    assert (job.name, job.indices, job.at_once) == ("second", [2, 4, 6], 2)
    assert options.seconds(job.resources["walltime"]) == 90 * 60
    assert (job.resources["select"], job.resources["place"]) == ("3:ncpus=2", "scatter")


def test_a_job_starts_at_home_with_pbs_s_variables_and_none_of_the_submitter_s(pbs):
    names = "PBS_O_WORKDIR PBS_JOBID PBS_JOBNAME PBS_QUEUE PBS_ENVIRONMENT MINE OTHER"
    body = f"pwd; for n in {names}; do echo ${{!n-unset}}; done; cat $PBS_NODEFILE\n"
    text = SHORT.replace("select=1", "select=2:ncpus=64:mpiprocs=2") + body
    job = pbs.submit("-v", "MINE=a b", "-o", "out", script(pbs, text), OTHER="x")
    assert job == "101.pbs-01"
    found = pbs.wait(job)
    assert (found["job_state"], found["Exit_status"]) == ("F", 0)
    assert found["Resource_List"] == {
        "select": "2:ncpus=64:mpiprocs=2",
        "place": "free",
        "walltime": "00:01:00",
        "ncpus": 128,
        "mpiprocs": 4,
        "nodect": 2,
    }
    assert (pbs.folder / "out").read_text().splitlines() == [
        *(str(pbs.home), str(pbs.folder), job, "short", "workq", "PBS_BATCH", "a b", "unset"),
        *("nid001", "nid001", "nid002", "nid002"),
    ]


def test_the_commands_know_jobs_as_pbs_does(pbs):
    go, here = pbs.folder / "go", pbs.folder / "here"
    body = f"trap 'echo heard; exit 7' USR1\ntouch '{here}'\n{until(go)}"
    job = pbs.submit(script(pbs, SHORT + body))
    wait_until(here.exists)
    assert pbs.run("qstat", job).splitlines()[2].split() == [
        job,
        "short",
        "tester",
        "0",
        "R",
        "workq",
    ]
    assert pbs.run("qsig", "-s", "SIGNONE", job, status=165) == (
        f"qsig: Unknown/illegal signal name {job}\n"
    )
    assert pbs.run("qsig", "-s", "SIGUSR1", "101") == ""
    assert pbs.wait(job)["Exit_status"] == 7
    # All processes of the job have heard it, the script's sleep too.
    assert (pbs.folder / "short.o101").read_text().endswith("heard\n")
    finished = f"qstat: {job} Job has finished, use -x or -H to obtain historical job information\n"
    assert pbs.run("qstat", job, status=35) == finished
    assert pbs.run("qdel", job, status=35) == f"qdel: Job has finished {job}\n"
    assert pbs.run("qsig", "9.pbs-01", status=153) == "qsig: Unknown Job Id 9.pbs-01\n"
    assert pbs.run("qdel", "9[].pbs-01", status=153) == "qdel: Unknown Job Id 9[].pbs-01\n"
    assert "illegally formed" in pbs.run("qdel", "job", status=1)
    said = pbs.run("qstat", "-f", "-F", "json", "101[]", status=153)
    assert "Unknown Job Id 101[]" in said
    assert '"Jobs"' not in said
    assert "job_state = F\n" in pbs.run("qstat", "-x", "-f", job)


def test_a_job_ends_at_its_walltime_with_sigterm_and_then_sigkill(pbs):
    here, body = pbs.folder / "here", "trap 'echo heard' TERM\n"
    body += f"touch '{pbs.folder / 'here'}'\nwhile :; do sleep 0.05; done\n"
    job = pbs.submit(script(pbs, SHORT + body))
    wait_until(here.exists)
    pbs.pass_time(59)
    let_pass(0.2)
    assert pbs.state(job) == "R"
    pbs.pass_time(2)
    spool = pbs.server / "jobs" / "101" / f"{job}.OU"
    wait_until(lambda: "heard" in spool.read_text())
    assert pbs.state(job) == "R"
    pbs.pass_time(10)
    found = pbs.wait(job)
    assert found["Exit_status"] == -29
    assert found["comment"].endswith("and exceeded resource walltime")
    assert found["resources_used"]["walltime"] == "00:01:11"
    said = (pbs.folder / "short.o101").read_text()
    assert re.match(r"=>> PBS: job killed: walltime \d+ exceeded limit \d+\n", said)


def test_an_array_has_ids_in_brackets_and_each_subjob_its_own(pbs):
    go = pbs.folder / "go"
    body = f"echo $PBS_ARRAY_INDEX $PBS_JOBID $PBS_ARRAY_ID\n{until(go)}exit $PBS_ARRAY_INDEX\n"
    job = pbs.submit("-J", "0-2", "-k", "doe", script(pbs, SHORT + body))
    assert job == "101[].pbs-01"
    pbs.wait("101[2].pbs-01", "R")
    assert pbs.state(job) == "B"
    assert pbs.run("qstat", "101", status=153) == "qstat: Unknown Job Id 101\n"
    assert list(pbs.jobs()) == [job, *(f"101[{i}].pbs-01" for i in range(3))]
    pbs.run("qdel", "101[2]")
    deleted = pbs.wait("101[2].pbs-01")
    assert (deleted["job_state"], deleted["Exit_status"]) == ("X", 256 + 15)
    assert "invalid for finished array subjob" in pbs.run("qdel", "101[2]", status=55)
    go.touch()
    assert pbs.wait(job, "F")["Exit_status"] == 1
    assert [pbs.jobs()[f"101[{i}].pbs-01"]["Exit_status"] for i in range(2)] == [0, 1]
    assert (pbs.folder / "short.o101.1").read_text() == "1 101[1].pbs-01 101[].pbs-01\n"


def test_a_dependency_holds_a_job_until_the_others_have_ended(pbs):
    go = pbs.folder / "go"
    array = pbs.submit("-J", "0-1", script(pbs, SHORT + until(go)))
    following = [
        pbs.submit("-W", f"depend={kind}:{array}", script(pbs, SHORT, "next.sh"))
        for kind in ("afterany", "afternotok")
    ]
    unknown = pbs.submit("-W", "depend=afterany:99", script(pbs, SHORT, "next.sh"))
    assert pbs.wait(unknown)["comment"] == "Job deleted as result of dependency on another"
    pbs.wait("101[1].pbs-01", "R")
    assert [pbs.state(job) for job in following] == ["H", "H"]
    go.touch()
    assert pbs.wait(following[0])["Exit_status"] == 0
    assert "Exit_status" not in pbs.wait(following[1])
    late = pbs.submit("-W", f"depend=afterany:{following[0]}", script(pbs, SHORT, "next.sh"))
    assert pbs.wait(late)["Exit_status"] == 0


def test_a_job_may_be_deleted_before_it_ran_and_then_none_that_waits_for_it_runs(pbs):
    pbs.configure(nodes=1)
    first = pbs.submit(script(pbs, SHORT + until(pbs.folder / "go")))
    pbs.wait(first, "R")
    waiting = pbs.submit(script(pbs, SHORT))
    after = pbs.submit("-W", f"depend=afterany:{waiting}", script(pbs, SHORT))
    assert pbs.state(waiting) == "Q"
    pbs.run("qsig", waiting, status=168)
    pbs.run("qdel", waiting, first)
    for job in (waiting, after):
        assert "Exit_status" not in pbs.wait(job)
    assert pbs.wait(first)["comment"].endswith("terminated by tester@login1")


# mpiexec, and nodes

RANK = """import os, sys
from mpi4py import MPI
world = MPI.COMM_WORLD
names = ("RANKID", "LOCAL_RANKID", "LOCAL_SIZE", "NODEID", "DEPTH")
mine = [os.environ[f"PALS_{name}"] for name in names] + [os.environ["OMP_NUM_THREADS"]]
told = world.gather(" ".join(mine))
if world.rank == 0:
    print(*told, sep="\\n")
"""


def test_mpiexec_starts_real_ranks_on_the_nodes_of_the_job(pbs):
    rank = script(pbs, RANK, "rank.py")
    text = SHORT.replace("select=1", "select=2:ncpus=64,place=scatter") + "cd $PBS_O_WORKDIR\n"
    text += "mpiexec -n 4 --ppn 2 --depth=16 --cpu-bind depth --env OMP_NUM_THREADS=3 "
    job = pbs.submit(script(pbs, f"{text} python {rank}\n"))
    assert pbs.wait(job)["Exit_status"] == 0
    assert (pbs.folder / "short.o101").read_text().splitlines() == [
        *("0 0 2 0 16 3", "1 1 2 0 16 3", "2 0 2 1 16 3", "3 1 2 1 16 3")
    ]


DIES = """import os, signal, time
from mpi4py import MPI
signal.signal(signal.SIGUSR1, lambda *_: os._exit(9))
world = MPI.COMM_WORLD
world.Barrier()
if world.rank == 0:
    os._exit(3)
time.sleep(float(os.environ["STAYS"]))
print("one went on", flush=True)
os._exit(0)
"""


def mpiexec(pbs: Pbs, *words: object, status: int = 0, **variables: str) -> str:
    """What mpiexec says within a job of two nodes."""
    nodes = script(pbs, "nid001\nnid002\n", "nodes")
    variables |= {"PBS_NODEFILE": str(nodes), "PBS_JOBID": "1.pbs-01"}
    return pbs.run("mpiexec", *words, status=status, **variables)


def test_a_rank_that_fails_ends_all_unless_mpiexec_is_told_otherwise(pbs):
    words = ("-n", 2, "--ppn", 1, "python", script(pbs, DIES, "rank.py"))
    assert mpiexec(pbs, "--env", "STAYS=600", *words, status=137).count("went on") == 0
    words = ("--env", "STAYS=0.3", *words)
    for option, variable in ((["--no-abort-on-failure"], "1"), ([], "0")):
        said = mpiexec(pbs, *option, *words, status=3, PALS_ABORT_ON_FAILURE=variable)
        assert said.count("one went on") == 1


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ("-n 5 --ppn 2", "5 ranks, but 2 a node on 2 nodes"),
        ("-n none", "invalid value for np"),
        ("-n 4 --ppn 2 --cpu-bind cores", "invalid --cpu-bind cores"),
        ("-n 8 --ppn 4 --depth 32 --cpu-bind depth", "do not fit a node"),
        ("-n 2 --gpus 1", "unrecognized option 'gpus'"),
        ("-n 2 --hosts nid009", "no node of this job: nid009"),
        ("-n 2 --hostfile /dev/null", "no node of this job"),
    ],
)
def test_mpiexec_refuses_what_the_nodes_cant_hold(pbs, options, problem):
    assert problem in mpiexec(pbs, *options.split(), "date", status=1)


def test_mpiexec_hands_on_a_signal_to_its_ranks_and_ends_with_their_highest_status(pbs):
    here = pbs.folder / "here"
    rank = f"trap 'exit 75' TERM; touch '{here}'; while :; do sleep 0.05; done"
    text = f'{SHORT}trap : TERM\nmpiexec -n 1 bash -c "{rank}" &\nwait; wait $!\n'
    job = pbs.submit(script(pbs, text))
    wait_until(here.exists)
    pbs.run("qsig", job)
    assert pbs.wait(job)["Exit_status"] == 75


def test_a_lost_node_ends_its_ranks_at_once_and_the_job_later_which_runs_again(pbs):
    ranks, again = pbs.folder / "ranks", pbs.folder / "again"
    ranks.mkdir()
    rank = script(pbs, f"touch '{ranks}/'$PALS_NODEID\nsleep 600\n", "rank.sh")
    text = SHORT.replace("select=1,walltime=60", "select=2:ncpus=64,place=scatter")
    text += f"[ ! -e '{again}' ] || exit 0\n"
    text += f"mpiexec -n 2 --ppn 1 bash '{rank}' || echo $? >'{again}'\nsleep 600\n"
    job = pbs.submit(script(pbs, text))
    wait_until(lambda: len(list(ranks.iterdir())) == 2)
    pbs.lose_node("nid002")
    wait_until(again.exists)
    assert pbs.state(job) == "R"
    pbs.pass_time(301)
    found = pbs.wait(job)
    assert (found["Exit_status"], found["run_count"]) == (0, 2)
    assert found["exec_host"] == "nid001/0*64+nid003/0*64"


def test_a_compute_node_may_submit_where_the_site_lets_it(pbs):
    text = f"{SHORT}cd $PBS_O_WORKDIR\nqsub -N next -W depend=afterany:$PBS_JOBID next.sh\n"
    script(pbs, SHORT, "next.sh")
    pbs.wait(pbs.submit(script(pbs, text)))
    assert pbs.wait("102.pbs-01")["depend"] == "afterany:101.pbs-01"
    pbs.configure(submit_from_nodes=False)
    assert pbs.wait(pbs.submit(script(pbs, text)))["Exit_status"] == 160
    assert "Access from host not allowed" in (pbs.folder / "short.o103").read_text()
