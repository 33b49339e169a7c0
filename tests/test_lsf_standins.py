"""The stand-ins for LSF's commands and jsrun: what they refuse, and what becomes of a job."""

import importlib
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import SimpleNamespace

import pytest
from limits import HANG_SECONDS, let_pass, wait_until
from lsf_cluster import STANDINS, Lsf
from rendered_scripts import rendered
from site_files import GOLDEN

SUMMIT = rendered("summit", campaign="smoke", elements=2, nodes=2)

SHORT = """#!/bin/bash
#BSUB -P ABC123
#BSUB -W 2:00
#BSUB -nnodes 1
"""


@pytest.fixture(scope="module")
def here():
    """bsub and jsrun in this process: none need start for each refusal."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(STANDINS)
        loader = SourceFileLoader("bsub", str(STANDINS / "bsub"))
        bsub = module_from_spec(spec_from_loader("bsub", loader))
        loader.exec_module(bsub)
        yield SimpleNamespace(bsub=bsub, jsrun=importlib.import_module("jsm"))


@pytest.fixture
def lsf(tmp_path):
    cluster = Lsf(tmp_path)
    yield cluster
    cluster.close()


def script(lsf: Lsf, text: str, name: str = "job.sh") -> Path:
    path = lsf.folder / name
    path.write_text(text)
    return path


REFUSALS = [
    ("#BSUB -P ABC123\n", "", "No project was given"),
    ("#BSUB -W 2:00\n", "", "No walltime was given"),
    ("#BSUB -nnodes 2\n", "", "No nodes were given"),
    ("-nnodes 2", "-nnodes 0", "No nodes were given"),
    ("-nnodes 2", "-nnodes 4609", "Too many hosts"),
    ("-nnodes 2", "--nnodes 2", "illegal option"),
    ("-W 2:00", "-W 2:00:00", "Bad RUNLIMIT specification"),
    ("-W 2:00", "-W 2h", "Bad RUNLIMIT specification"),
    ("-W 2:00", "-W 121", "Cannot exceed queue's hard limit"),
    ("-nnodes 2", "-nnodes 2 -n 84", "'-n <slots>' flag is no longer supported"),
    ("-nnodes 2", '-nnodes 2 -R "span[ptile=42]"', "not supported in easy mode"),
    (
        '"NVME smt1 gpumps"',
        "NVME\n#BSUB -alloc_flags smt1",
        "Only one '-alloc_flags' is recognized",
    ),
    ("#BSUB -wt 5\n", "", "Both must be specified"),
    ("#BSUB -wa URG\n", "", "Both must be specified"),
    ("-wt 5", "-wt 0:10:00", "Bad time specification"),
    ("-wt 5", "-wt 120", "Warning time exceeds"),
    ("-wa URG", "-wa URGENT", "Bad job warning action"),
    ("[1-2]", "[0-1]", "Bad array index list"),
    ("[1-2]", "[2-1]", "Bad array index list"),
    ("[1-2]", "[1-2", "Bad job name"),
    ("[1-2]", "[1-1001]", "index too large"),
    ("#BSUB -W", "#BSUB -q none\n#BSUB -W", "No such queue"),
    ("#BSUB -W", "#BSUB -w ended(7)\n#BSUB -W", "7: No matching job found"),
    ("#BSUB -W", "#BSUB -w finally(7)\n#BSUB -W", "Dependency condition syntax error"),
    ("#BSUB -W", "#BSUB -walltime 3\n#BSUB -W", "Bad #BSUB line"),
    ("#BSUB -W", "#BSUB -kill 3\n#BSUB -W", "illegal option"),
]


@pytest.mark.parametrize(("right", "wrong", "problem"), REFUSALS)
def test_bsub_refuses_a_rendered_script_that_breaks_a_rule(
    lsf, here, right, wrong, problem, monkeypatch, capsys
):
    assert right in SUMMIT
    path = script(lsf, SUMMIT.replace(right, wrong, 1))
    monkeypatch.setenv("LSF_STANDIN", str(lsf.queue))
    assert here.bsub.main([str(path)]) == 255
    assert problem in capsys.readouterr().err
    assert here.bsub.Queue().ids() == []


@pytest.mark.parametrize(
    ("elements", "nodes", "minutes"), [(1, 1, 120), (2, 45, 120), (1, 46, 360), (2, 4608, 1440)]
)
def test_bsub_takes_every_rendered_script(lsf, elements, nodes, minutes):
    text = rendered("summit", elements=elements, nodes=nodes, walltime_minutes=minutes)
    job = lsf.submit(script(lsf, text.replace("\nset ", "\nexit 0\nset ", 1)))
    lsf.wait(job, "DONE")


@pytest.mark.parametrize("site", ["lsf", "summit"])
def test_bsub_takes_the_golden_scripts_of_every_site(here, site, tmp_path):
    options = importlib.import_module("lsf_options")
    for path in sorted(GOLDEN.glob(f"{site}-*.sh")):
        job = options.check([], options.read_script(path.read_text()), tmp_path)
        assert job.warning == ("URG", 3)
        assert len(job.indices) == {"smoke": 1, "array": 3, "paper": 12}[path.stem.split("-")[1]]


def test_bsub_tells_all_that_summit_s_filter_finds_at_once(lsf):
    said = lsf.run("bsub", script(lsf, "#!/bin/bash\n#BSUB -n 84\n"), status=255)
    assert "3 ERROR(S) FOUND.  JOB NOT SUBMITTED." in said


def test_bjobs_sees_a_whole_job_or_none(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).with_name("lsf"))
    monkeypatch.setenv("LSF_STANDIN", str(tmp_path))
    queue = importlib.import_module("lsf_queue").Queue()
    seen = []

    class Job:
        indices = (1, 2)

        def write(self, path):
            seen.append(queue.ids())
            path.write_text("{}")

    added = queue.add(Job(), "")
    assert seen == [[]]
    assert queue.ids() == [added]
    assert [element.index for element in queue.elements(added)] == [1, 2]


def test_options_on_the_command_line_win_and_directives_count_wherever_they_stand(lsf):
    path = script(lsf, "#!/bin/bash\n#BSUB -P A\n#BSUB -W 9:00\necho $LSB_JOBNAME\n#BSUB -nnodes 1")
    lsf.run("bsub", path, status=255)
    said = lsf.run("bsub", "-W", "30", "-J", "mine", "-q", "debug", "-o", "out.%J", path)
    assert said == "Job <101> is submitted to queue <debug>.\n"
    said = lsf.run("bsub", "-W30", "-o", "out.%J", text=path.read_text())
    assert said == "Job <102> is submitted to default queue <batch>.\n"
    lsf.wait("101")
    lsf.wait("102")
    assert (lsf.folder / "out.101").read_text().startswith("mine\n")
    assert (lsf.folder / "out.102").read_text().startswith("Not_Specified\n")


def test_a_job_sees_lsf_s_variables_and_no_tmpdir(lsf):
    names = ["JOBID", "JOBINDEX", "JOBNAME", "QUEUE", "HOSTS"]
    words = " ".join(f"$LSB_{name}" for name in names)
    path = script(lsf, f'{SHORT}#BSUB -J "a[2-3]%1"\n#BSUB -o %J-%I\necho {words} ${{TMPDIR-none}}')
    job = lsf.submit(path)
    lsf.wait(job)
    for index in (2, 3):
        first = (lsf.folder / f"101-{index}").read_text().splitlines()[0].split()
        assert first[:4] == ["101", str(index), f"a[{index}]", "batch"]
        assert first[4:] == ["batch1", *["node0001"] * 42, "none"]


@pytest.mark.parametrize(
    ("condition", "code", "starts"),
    [
        ("ended(101)", 75, True),
        ("done(101)", 75, False),
        ("101", 75, False),
        ("exit(101)", 75, True),
        ("done(101)", 0, True),
        ("ended(101) && !exit(101)", 75, False),
        ("started(101[0])", 0, True),
    ],
)
def test_a_dependency_holds_as_lsf_says(lsf, condition, code, starts):
    go = lsf.folder / "go"
    text = f"{SHORT}until [ -e '{go}' ]; do sleep 0.1; done; exit {code}"
    lsf.submit(script(lsf, text))
    lsf.wait("101", "RUN")
    following = lsf.submit("-w", condition, script(lsf, SHORT, "next.sh"))
    let_pass(0.2)
    if "started" not in condition:
        assert lsf.states(following) == ["PEND"]
    go.touch()
    lsf.wait("101")
    if starts:
        lsf.wait(following, "DONE")
    else:
        let_pass(0.2)
        assert lsf.states(following) == ["PEND"]


def test_a_job_is_warned_then_told_to_end_then_killed(lsf):
    text = "#BSUB -wa URG\n#BSUB -wt 10\n#BSUB -o out\n"
    text += "trap 'echo warned' URG\ntrap 'echo told' USR2\necho there\nwhile :; do sleep 0.1; done"
    job = lsf.submit(script(lsf, SHORT + text))
    out = lsf.folder / "out"
    wait_until(lambda: out.exists() and out.read_text() == "there\n")
    lsf.pass_time(111)
    wait_until(lambda: out.read_text() == "there\nwarned\n")
    lsf.pass_time(10)
    wait_until(lambda: "told\n" in out.read_text())
    assert lsf.states(job) == ["RUN"]
    lsf.pass_time(10)
    lsf.wait(job)
    assert lsf.jobs() == [(job, "0", "EXIT", "140")]
    assert "TERM_RUNLIMIT" in out.read_text()
    # bacct: -UF leaves lines whole, and its times are in seconds.
    whole, broken = (lsf.run("bacct", *words, "-l", job).splitlines() for words in (["-UF"], []))
    assert "Completed <exit>; TERM_RUNLIMIT: job killed after" in "\n".join(whole)
    assert max(map(len, broken)) == 79 < max(map(len, whole))
    columns = whole.index("Accounting information about this job:") + 2
    _, wait, turnaround, *_ = map(float, whole[columns].split()[:3])
    assert 0 <= turnaround - wait - 131 * 60 < HANG_SECONDS


def test_time_can_run_faster(lsf):
    path = script(lsf, f"{SHORT}sleep 100")
    job = lsf.submit("-W", "5", path, LSF_STANDIN_MINUTE="0.1")
    lsf.wait(job)
    assert lsf.jobs() == [(job, "0", "EXIT", "140")]


def test_what_a_job_leaves_behind_ends_with_it(lsf):
    left = lsf.folder / "left"
    loop = f"(while :; do date +%s%N > '{left}'; sleep 0.05; done) &"
    job = lsf.submit(script(lsf, f"{SHORT}{loop}\nuntil [ -e '{left}' ]; do sleep 0.1; done"))
    lsf.wait(job)
    before = left.read_text()
    let_pass(0.3)
    assert left.read_text() == before


def test_four_run_at_a_time_and_bkill_ends_what_runs_and_what_waits(lsf, tmp_path):
    here = tmp_path / "here"
    here.mkdir()
    body = f'{SHORT}: > "{here}/$LSB_JOBINDEX"; exec sleep 100'
    job = lsf.submit("-J", "many[1-6]", script(lsf, body))
    # All at work, so that the first signal ends them.
    wait_until(lambda: len(list(here.iterdir())) == 4)
    assert lsf.states(job).count("RUN") == 4
    assert lsf.states(job).count("PEND") == 2
    assert lsf.run("bjobs", "-noheader").count("many[") == 6
    assert lsf.run("bkill", f"{job}[6]") == f"Job <{job}[6]> is being terminated\n"
    wait_until(lambda: (job, "6", "EXIT", "-") in lsf.jobs())
    assert lsf.run("bkill", job) == f"Job <{job}> is being terminated\n"
    lsf.wait(job)
    assert lsf.jobs()[0] == (job, "1", "EXIT", "130")
    assert "already finished" in lsf.run("bkill", job, status=255)
    ended = lsf.run("bacct", "-UF", "-l", job)
    assert (ended.count(f"\nJob <{job}["), ended.count("] dispatched ")) == (6, 4)
    assert "No matching job found" in lsf.run("bacct", "-l", "999", status=255)
    assert "No matching job found" in lsf.run("bkill", "999", status=255)
    assert "Job <999> is not found" in lsf.run("bjobs", "999", status=255)
    assert lsf.run("bjobs") == "No unfinished job found\n"


def test_bjobs_tells_of_the_jobs_that_are_asked_for(lsf):
    job = lsf.submit("-J", "one", "-Jd", "my mark", script(lsf, f"{SHORT}exit 3"))
    lsf.wait(job)
    assert lsf.run("bjobs", job).splitlines()[0].split()[:3] == ["JOBID", "USER", "STAT"]
    assert lsf.run("bjobs", "-o", "jobid stat exit_code", job).split() == [
        *("JOBID", "STAT", "EXIT_CODE"),
        *(job, "EXIT", "3"),
    ]
    form = "jobid job_description delimiter='|'"
    assert lsf.run("bjobs", "-noheader", "-o", form, job) == f"{job}|my mark\n"


# jsrun, as a job of two nodes sees it

JSRUN = "-n 4 -r 2 -a 1 -c 7 -g 1 -b rs -d packed -l gpu-cpu -E OMP_NUM_THREADS=1 "
JSRUN += "--smpiargs=-disable_gpu_hooks"


def variables(lsf: Lsf) -> dict[str, str]:
    hosts = script(lsf, "\n".join(["batch1", *["node1"] * 42, *["node2"] * 42]), "hosts")
    return {"LSB_JOBID": "7", "LSB_DJOB_HOSTFILE": str(hosts)}


def jsrun(lsf: Lsf, options: str, *command: str, status: int = 0) -> str:
    return lsf.run("jsrun", *options.split(), *command, status=status, **variables(lsf))


def test_jsrun_starts_a_program_once_a_task(lsf):
    tell = 'echo "$JSM_NAMESPACE_RANK $JSM_NAMESPACE_LOCAL_RANK $OMP_NUM_THREADS"'
    said = jsrun(lsf, JSRUN, "bash", "-c", tell)
    assert said == "0 0 1\n1 1 1\n2 0 1\n3 1 1\n"


def test_jsrun_ends_with_the_status_of_its_tasks(lsf):
    jsrun(lsf, "-n1", "bash", "-c", "exit 3", status=3)
    jsrun(lsf, "-n2 -a1 -c1", "python3", "-c", "import sys; sys.exit(75)", status=75)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ("-n 4 -r 2 -a 1 -c 7", "no GPU for a program that wants one"),
        ("-n 4 -r 2 -a 1 -c 7 -g 0", "no GPU for a program that wants one"),
        ("-n 12 -r 6 -a 1 -c 8 -g 1", "not possible to create 12 resource sets"),
        ("-n 14 -r 7 -a 1 -c 1 -g 1", "not possible to create 14 resource sets"),
        ("-n 18 -r 6 -a 1 -c 7 -g 1", "not possible to create 18 resource sets"),
        ("-n 2 -r 1 -a 1 -c 43 -g 1", "not possible to create 2 resource sets"),
        ("-n 0 -g 1", "not possible to create 0 resource sets"),
        ("-n two -g 1", "invalid value for nrs"),
        ("-n 2 -c 0 -g 1", "at least one core"),
        ("-n 4 -g 1 -b cores", "invalid value for bind"),
        ("-n 4 -g 1 -d spread", "invalid value for launch_distribution"),
        ("-n 4 -g 1 -l gpu", "invalid value for latency_priority"),
        ("-n 4 -g 1 -smpiargs=-gpu", "invalid option -- 's'"),
        ("-n 4 -g 1 --gpus 1", "unrecognized option '--gpus'"),
        ("-n 4 -n 4 -g 1", "option nrs is given twice"),
        ("-n 12 -r 6 -g 1 --exclude_hosts=node1", "not possible to create 12 resource sets"),
        ("-n 1 -g 1 --exclude_hosts=node1,node3", "no host of this job: node3"),
    ],
)
def test_jsrun_refuses_what_summit_s_nodes_cant_hold(
    lsf, here, options, problem, monkeypatch, capsys
):
    for name, value in variables(lsf).items():
        monkeypatch.setenv(name, value)
    assert here.jsrun.main([*options.split(), "python3", "-m", "nnlc.worker"]) == 1
    assert problem in capsys.readouterr().err


def test_jsrun_outside_a_job_is_refused(lsf):
    assert "within a job" in lsf.run("jsrun", "-n", "1", "date", status=1)
