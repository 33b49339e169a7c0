"""What `nnlc lint` refuses: for each rule, a rendered script that breaks just this one."""

import re

import pytest
from rendered_scripts import five_minutes, rendered

from nnlc.launching.render import Request, render_script
from nnlc.schedulers.lint import lint_script
from nnlc.schedulers.site import load_site


def refused(name: str, script: str, right: str, wrong: str, where: str, problem: str) -> None:
    """A script with one thing changed: one finding, on the line that holds `where`."""
    assert right in script
    script = script.replace(right, wrong, 1)
    findings = lint_script(script, five_minutes(name))
    assert [problem in finding.problem for finding in findings] == [True], findings
    assert where in script.split("\n")[findings[0].line - 1]
    assert findings[0].remedy
    assert not findings[0].note


# What is right in Summit's script, what is written instead, a piece of the line that is named, and
# a piece of the complaint.
STAGING = 'jsrun -n "$rank_nodes" -r 1 -a 1 -c 1 -g 0 ${left_out:+"--exclude_hosts=$left_out"} '
STAGING += "\\\n    cp"
LSF = [
    ("#BSUB -P ABC123\n", "", "#BSUB -J", "no job without -P"),
    ("#BSUB -W 2:00\n", "", "#BSUB -J", "no -W"),
    ("#BSUB -nnodes 2\n", "", "#BSUB -J", "no -nnodes"),
    ("-nnodes 2", "-nnodes two", "-nnodes two", "-nnodes is 'two'"),
    ("-nnodes 2", "-nnodes 0", "-nnodes 0", "-nnodes is '0'"),
    ("-W 2:00", "-W 2:00:00", "-W 2:00:00", "-W is '2:00:00'"),
    ("-W 2:00", "-W 2h", "-W 2h", "-W is '2h'"),
    ("#BSUB -W", "#BSUB #BSUB -q debug\n#BSUB -W", "#BSUB #", "nothing after the second #BSUB"),
    ("-W 2:00", "-W 0", "-W 0", "-W is '0'"),
    ("-W 2:00", "-W 2:01", "-W 2:01", "summit allows 2 nodes 120 minutes"),
    ("-W 2:00", "-W 121", "-W 121", "summit allows 2 nodes 120 minutes"),
    (
        '"NVME smt1 gpumps"',
        "smt1\n#BSUB -alloc_flags NVME",
        "flags NVME",
        "contradicts -alloc_flags",
    ),
    ("#BSUB -W", "#BSUB -n 84\n#BSUB -W", "-n 84", "refuses -n"),
    ("#BSUB -W", '#BSUB -R "span[ptile=42]"\n#BSUB -W', "-R", "refuses -R"),
    ("-W 2:00", "-W 1:00", "walltime_minutes=", "--time-left counts down from 120 minutes"),
    ("walltime_minutes=120", "walltime_minutes=60", "walltime_minutes=", "--time-left counts"),
    ("#BSUB -W", "#BSUB -q batch\n#BSUB -q debug\n#BSUB -W", "-q debug", "-q contradicts -q of"),
    ("-c 7 -g 1", "-c 7x -g 1", "-c 7x", "cpu_per_rs is '7x'"),
    ("[1-4]", "[2-5]", "-J", "the array's last element is 4"),
    ("$((0 + LSB_JOBINDEX - 1))", "$((1 + LSB_JOBINDEX - 1))", "-J", "last element is 4"),
    ("#BSUB -wt 5\n", "", "-wa URG", "-wa has no effect alone"),
    ("#BSUB -wa URG\n", "", "-wt 5", "-wt has no effect alone"),
    ("-wt 5", "-wt 0:10:00", "-wt", "-wt is '0:10:00'"),
    ("-wt 5", "-wt 120", "-W 2:00", "may come before the job has done anything"),
    ("trap pass_on URG\n", "trap pass_on WINCH\n", "-wa URG", "no trap catches URG"),
    ("--device cuda &", "--device cuda", 'jsrun -n "$ranks"', "jsrun runs in the foreground"),
    ("export OMP", "export TMPDIR=/tmp\nexport OMP", "TMPDIR", "TMPDIR is set"),
    ("#BSUB -W", "#BSUB -env TMPDIR=/tmp\n#BSUB -W", "TMPDIR", "TMPDIR is set"),
    ('jsrun -n "$ranks" ', "jsrun ", "jsrun -r 6", "jsrun without -n"),
    ('-n "$ranks" -r 6 ', '-n "$ranks" ', 'jsrun -n "$ranks"', "jsrun without -r"),
    ("-r 6 -a 1 ", "-r 6 ", 'jsrun -n "$ranks"', "jsrun without -a"),
    ("-a 1 -c 7 ", "-a 1 ", 'jsrun -n "$ranks"', "jsrun without -c"),
    ("-c 7 -g 1 ", "-c 7 ", 'jsrun -n "$ranks"', "jsrun without -g"),
    ("-c 7 -g 1 ", "-c 7 -g 0 ", 'jsrun -n "$ranks"', "-g 0 gives ranks no GPU"),
    ('-n "$ranks" ', "-n 6 ", "jsrun -n 6", "jsrun starts 6 ranks"),
    ("ranks=12 ", "ranks=6 ", 'jsrun -n "$ranks"', "jsrun starts 6 ranks"),
    ('-n "$ranks" -r 6', '-n "$ranks" -r 3', "-r 3", "puts 3 ranks on a node"),
    ("-c 7 -g 1", "-c 8 -g 1", "-c 8", "jsrun wants 48 cores of a node"),
    ("-l gpu-cpu", "-l GPU-CPU", "GPU-CPU", "in capitals"),
    ("-b rs ", "", 'jsrun -n "$ranks"', "-b packed:1, the default"),
    ("-disable_gpu_hooks", "-gpu", "smpiargs", "messages in GPU memory"),
    ("--smpiargs=", "-smpiargs=", "-smpiargs", "jsrun does not know the option 'smpiargs'"),
    ("--smpiargs=", "--smpiarg=", "--smpiarg=", "jsrun does not know"),
    ("--device cuda", "--mps --device cuda", "--mps", "but the system has one"),
    ('"ended(', '"done(', "bsub", "never becomes true after a timeout"),
    ('"ended(${LSB_JOBID}[$LSB_JOBINDEX])"', '"$LSB_JOBID"', "bsub", "after a timeout"),
    ('"$again"', '< "$again"', "bsub", "submits with bsub FILE"),
    ("[1-4]", "[1-1001]", "-J", "allows 1000 elements"),
    ("[1-4]", "[0-3]", "-J", "-J is 'paper[0-3]'"),
    ("[1-4]", "[4-1]", "-J", "-J is 'paper[4-1]'"),
    ("[1-4]", "[1-4", "-J", "-J is 'paper[1-4'"),
    ("%J-%I.out", "%J.out", "-o paper-%J.out", "all elements write to one file"),
    ('"NVME smt1 gpumps"', "smt1", "cp -rT", "-alloc_flags does not ask for it"),
    (STAGING, "cp", "cp -rT", "cp can't see /mnt/bb/$USER"),
    ("# Copy the images", 'ls "/mnt/bb/${USER}"\n# Every', "ls", "ls can't see /mnt/bb/$USER"),
    ("# Copy the images", "date > /mnt/bb/$USER/x\n# Copy", "date", "date can't see"),
    ("# Copy the images", "nnlc stage paper\n# Copy", "nnlc stage", "on the launch node"),
    ("# Copy the images", "python -m nnlc stage paper\n#", "python", "on the launch node"),
]


@pytest.mark.parametrize(("right", "wrong", "where", "problem"), LSF)
def test_a_script_for_lsf_is_refused_by_line_for(right, wrong, where, problem):
    script = rendered("summit", elements=4, nodes=2)
    refused("summit", script, right, wrong, where, problem)


@pytest.mark.parametrize(
    ("right", "wrong", "problems"),
    [
        ("-nnodes 2", "--nnodes 2", ["no -nnodes", "#BSUB does not know the option 'nnodes'"]),
        ('jsrun -n "$ranks"', "mpirun -np 12", ["without jsrun", "mpirun can't see /mnt/bb/$USER"]),
    ],
)
def test_what_breaks_two_rules_for_lsf_is_refused_for_both(right, wrong, problems):
    script = rendered("summit", elements=4, nodes=2).replace(right, wrong, 1)
    findings = lint_script(script, five_minutes("summit"))
    assert [p in f.problem for p, f in zip(problems, findings, strict=True)] == [True, True]


@pytest.mark.parametrize("argument", ["--trainers 2", "--trainers=2"])
def test_several_trainers_of_a_gpu_that_takes_one_are_refused_for_lsf(argument):
    script = rendered("summit").replace("--device cuda", f"{argument} --device cuda")
    assert not lint_script(script, five_minutes("summit"))
    refused("summit", script, "smt1 gpumps", "smt1", "--trainers", "share a GPU")
    one = rendered("summit").replace("--device cuda", "--trainers 1 --device cuda")
    assert not lint_script(one.replace("smt1 gpumps", "smt1"), five_minutes("summit"))


@pytest.mark.parametrize("name", ["slurm", "local"])
def test_several_trainers_that_take_turns_on_a_gpu_are_a_note(name):
    script = rendered(name).replace("--device", "--trainers 4 --device")
    [finding] = lint_script(script, five_minutes(name))
    assert finding.note
    assert "4 trainers take turns on each GPU" in finding.problem
    assert "--trainers" in script.split("\n")[finding.line - 1]
    assert not lint_script(script.replace("--trainers", "--mps --trainers"), five_minutes(name))


def test_in_a_queue_that_the_site_file_does_not_know_its_general_limits_hold():
    site = load_site("derecho", account="A")
    script = render_script(Request(campaign="smoke"), site).replace("-q main", "-q other")
    [note] = lint_script(script, site)
    assert str(note).endswith(
        "note: derecho has no queue other: its own limits are unknown; the site file has main"
    )
    for right, wrong, problem in (
        ("walltime=02:00:00", "walltime=13:00:00", "derecho allows 1 node 720 minutes"),
        ("select=1:", "select=83:", "derecho has max_nodes = 82; found 83"),
    ):
        found = [f.problem for f in lint_script(script.replace(right, wrong), site) if not f.note]
        assert any(problem in each for each in found)


@pytest.mark.parametrize(
    ("name", "line"),
    [("slurm", "#SBATCH --account=mine"), ("lsf", "#BSUB -P mine"), ("pbs", "#PBS -A mine")],
)
def test_a_script_without_the_site_file_s_account_is_a_note(name, line):
    site = load_site(name, account="mine").model_copy(update={"account_required": False})
    script = render_script(Request(campaign="smoke"), site)
    found = lint_script(script.replace(f"{line}\n", ""), site)
    [note] = [finding for finding in found if "account" in finding.problem]
    assert note.note
    assert note.problem == "the script names no account, and the site file has mine"
    assert note.remedy == f"write {line}"
    assert not [finding for finding in lint_script(script, site) if "account" in finding.problem]


def test_the_advice_on_a_missing_select_has_the_whole_chunk():
    site = load_site("derecho", account="A")
    script = re.sub("#PBS -l select=.*\n", "", render_script(Request(campaign="smoke"), site))
    [found] = [f for f in lint_script(script, site) if "no -l select" in f.problem]
    assert found.remedy == "write #PBS -l select=N:ncpus=64:mpiprocs=4:ngpus=4"


def test_more_nodes_than_the_site_has_are_refused():
    for name, right in (("summit", "#BSUB -nnodes 2"), ("frontier", "#SBATCH --nodes=2")):
        script = rendered(name, nodes=2).replace(right, f"{right}0000")
        first = next(f for f in lint_script(script, five_minutes(name)) if "no bin" in f.problem)
        assert script.split("\n")[first.line - 1] == f"{right}0000"


def test_a_signal_that_ends_what_does_not_know_it_is_refused_as_lsf_notice():
    site = five_minutes("summit")
    notice = site.notice.model_copy(update={"signal": "USR2"})
    site = site.model_copy(update={"notice": notice})
    script = render_script(Request(campaign="smoke"), site)
    [finding] = lint_script(script, site)
    assert "-wa USR2 reaches every process" in finding.problem
    assert script.split("\n")[finding.line - 1] == "#BSUB -wa USR2"


SLURM = [
    ("#SBATCH --account=ABC123\n", "", "--job-name", "no job without --account"),
    ("#SBATCH --time=02:00:00\n", "", "--job-name", "no --time"),
    ("--time=02:00:00", "--time=2h", "--time=2h", "--time is '2h'"),
    ("--time=02:00:00", "--time=1:2:3:4", "--time", "--time is '1:2:3:4'"),
    (
        "--time=02:00:00",
        "--time=2-00:01",
        "--time",
        "perlmutter's queue regular allows 2 nodes 2880",
    ),
    ("--time=02:00:00", "--time=2881", "--time", "perlmutter's queue regular allows 2 nodes 2880"),
    ("--time=02:00:00", "--time=0", "--time", "perlmutter's queue regular allows 2 nodes 2880"),
    ("--time=02:00:00", "--time=00:20:00", "walltime_minutes=", "counts down from 120 minutes"),
    ("walltime_minutes=120", "walltime_minutes=500", "walltime_minutes=", "from 500 minutes"),
    ("$((walltime_minutes - ", "$((500 - ", "$((500", "from 500 minutes"),
    ('"$((walltime_minutes - (SECONDS + 59) / 60))"', "500", "--time-left 500", "500 minutes"),
    ('"$((walltime_minutes - (SECONDS + 59) / 60))"', "2h", "--time-left 2h", "time-left is '2h'"),
    ("#SBATCH --nodes=2\n", "", "--job-name", "no --nodes"),
    ("--gpus-per-task=1", "--gpus-per-task=2", "--gpus-per-task=2", "--gpus-per-task is 2"),
    ("#SBATCH --requeue", "#SBATCH --gpus-per-task=2\n#SBATCH --requeue", "=2", "task is 2"),
    ("#SBATCH --requeue", "#SBATCH --gpus=4\n#SBATCH --requeue", "--gpus=4", "--gpus is 4"),
    ("#SBATCH --requeue", "#SBATCH --gpus=four\n#SBATCH --requeue", "four", "gpus is 'four'"),
    ("#SBATCH --requeue", "#SBATCH --mem-per-gpu=40Q\n#SBATCH --requeue", "40Q", "is '40Q'"),
    ("#SBATCH --requeue", "#SBATCH --mem=-4G\n#SBATCH --requeue", "-4G", "mem is '-4G'"),
    ("#SBATCH --requeue", "#SBATCH --mem=64\n#SBATCH --requeue", "=64", "mem is '64'"),
    ("#SBATCH --requeue", "#SBATCH --mem-per-cpu=4\n#SBATCH --requeue", "=4", "cpu is '4'"),
    ("#SBATCH --requeue", "#SBATCH #SBATCH --requeue", "SBATCH #SBATCH", "after the second"),
    ("--cpus-per-task=32\n", "--cpus-per-task=many\n", "many", "is 'many'"),
    (
        "#SBATCH --constraint=gpu",
        "#SBATCH --constraint=gpu\n#SBATCH --constraint=cpu",
        "=cpu",
        "contradicts",
    ),
    ("#SBATCH --requeue", "#SBATCH --no-requeue\n#SBATCH --requeue", "--requeue", "contradicts"),
    (
        "#SBATCH --requeue",
        "#SBATCH --mem=4G\n#SBATCH --mem-per-gpu=4G\n#SBATCH --requeue",
        "mem-per-gpu",
        "--mem-per-gpu contradicts --mem of line",
    ),
    ("--elements 4", "--elements 3", "--array", "the array's last element is 3"),
    (
        '"$((0 + SLURM_ARRAY_TASK_ID))"',
        "0",
        "--element 0",
        "each job of the array trains element 0",
    ),
    ("--array=0-3", "--array=1-4", "--array", "the array's last element is 4"),
    ("--gpus-per-node=4", "--gres=gpu", "--gres", "--gres is gpu"),
    ("--gpus-per-node=4", "--gres=gpu:a100", "--gres", "--gres is gpu:a100"),
    ("--label", "--label --time=30", "--label", "srun --time ends ranks"),
    ('"$((walltime_minutes - (SECONDS + 59) / 60))"', "0", "--time-left 0", "time-left is '0'"),
    ("$((0 + SLURM", "$((4 + SLURM", "--array", "the array's last element is 7"),
    ("--array=0-3", "--array=0-6:2", "--array", "the array's last element is 6"),
    ("--device cuda", "--device gpu", "gpu", "device is 'gpu'"),
    ("--device cuda", "--trainers 0 --device cuda", "trainers", "trainers is '0'"),
    ("--device cuda", "--devise cuda", "devise", "nnlc.worker does not know the option 'devise'"),
    ("#SBATCH --nodes=2", "#SBATCH --nodes=2-4", "--nodes=2-4", "--nodes is '2-4'"),
    ("--ntasks=8\n", "--ntasks=2\n", "--ntasks=2", "--ntasks is 2"),
    ("--ntasks-per-node=4\n", "--ntasks-per-node=1\n", "per-node=1", "--ntasks-per-node is 1"),
    ("#SBATCH --gpus-per-node=4\n", "", "--job-name", "ranks would see no GPU"),
    ("--gpus-per-node=4", "--gpus-per-node=a100:2", "a100:2", "--gpus-per-node is a100:2"),
    ("--gpus-per-node=4", "--gres=gpu:2", "--gres", "--gres is gpu:2"),
    ("--gpus-per-node=4", "--gres=gpu:4,gpu:h100:4", "--gres", "--gres is gpu:4,gpu:h100:4"),
    ("--gpus-per-node=4", "--gres=gpumem:24g", "--job-name", "no --gpus-per-node"),
    ("--array=0-3", "--array=0-1000", "--array", "allows 1000 elements"),
    ("--array=0-3", "--array=0-2000:500", "--array", "allows 1000 elements"),
    ("--array=0-3", "--array=3-0", "--array", "--array is '3-0'"),
    ("--array=0-3", "--array=0-3%0", "--array", "--array is '0-3%0'"),
    ("%A_%a", "%A", "--output", "all elements write to one file"),
    ("#SBATCH --requeue", "#SBATCH -e x.err\n#SBATCH --requeue", "-e x", "write to one file"),
    ("B:URG@300", "B:URG@9:00", "--signal", "--signal is 'B:URG@9:00'"),
    ("B:URG@300", "B:URG@65536", "--signal", "--signal is 'B:URG@65536'"),
    ("B:URG@300", "B:URG@7200", "--time", "may come before the job has done anything"),
    ("B:URG@300", "B:WINCH@300", "--signal", "no trap catches WINCH"),
    ("B:URG@300", "URG@300", "--signal", "the trap of URG never runs"),
    ("B:URG@300", "WINCH@300", "--signal", "ranks don't know WINCH"),
    ("--device cuda &", "--device cuda", "srun --nodes", "srun runs in the foreground"),
    ("#SBATCH --open-mode=append\n", "", "--requeue", "each start empties the log"),
    ("--open-mode=append", "--open-mode=truncate", "--requeue", "each start empties the log"),
    ("#SBATCH --requeue", "#SBATCH --no-requeue", "scontrol", "--no-requeue forbids this"),
    ("    --cpus-per-task=32 \\\n", "", "srun --nodes", "srun without --cpus-per-task"),
    ("    --cpus-per-task=32", "    --cpus-per-task=8", "=8", "--cpus-per-task is 8"),
    ("srun --nodes=2 --ntasks=8", "srun --nodes=2 --ntasks=4", "srun", "--ntasks is 4"),
    ("srun --nodes=2", "srun --nodes=1", "srun", "--nodes is 1"),
    ("--label", "--label --export=NONE", "NONE", "hides the script's variables"),
    ("--label", "--label --ntasks-per-node=1", "node=1", "ntasks-per-node is 1"),
    ("#SBATCH --requeue", "date\n#SBATCH --requeue", "#SBATCH --requeue", "does not read"),
    ("#SBATCH --requeue", "#SBATCH --reqeue", "--reqeue", "does not know the option 'reqeue'"),
    ("#SBATCH --requeue", "#SBTACH --requeue", "#SBTACH", "#SBTACH is only a comment"),
    ("#SBATCH --requeue", "#BSUB --requeue", "#BSUB", "#BSUB is only a comment"),
    ("#SBATCH --requeue", "#sbatch --requeue", "#sbatch", "#sbatch is only a comment"),
    ("--label", "--labell", "--labell", "srun does not know"),
    ("    --kill-on", "    # --kill-on", "--cpu-bind", "starts nnlc.worker without srun"),
]
"""The same for Perlmutter's. Where a directive that others need is gone, they say nothing."""


@pytest.mark.parametrize(("right", "wrong", "where", "problem"), SLURM)
def test_a_script_for_slurm_is_refused_by_line_for(right, wrong, where, problem):
    script = rendered("perlmutter", elements=4, nodes=2)
    if wrong.startswith("date\n"):  # what comes after is not read either
        script = script.replace("#SBATCH --constraint=gpu\n#SBATCH --qos=regular\n", "")
    refused("perlmutter", script, right, wrong, where, problem)


# The same of Polaris'.
PBS = [
    ("#PBS -A ABC123\n", "", "#PBS -N", "no job without -A"),
    ("-l walltime=02:00:00", "-l cput=1", "#PBS -N", "no -l walltime"),
    ("select=10:", "select=ten:", "select", "-l select is 'ten'"),
    ("select=10:", "select=11:", "mpiexec", "mpiexec --np is 40"),
    ("rank_nodes=10 spare=0", "rank_nodes=9 spare=1", "mpiexec", "mpiexec --np is 40"),
    (
        "walltime=02:00:00",
        "walltime=3:00:01",
        "walltime",
        "polaris's queue prod allows 10 nodes 180 min",
    ),
    ("walltime=02:00:00", "walltime=2h", "walltime", "-l walltime is '2h'"),
    ("walltime=02:00:00", "walltime=01:00:00", "walltime_minutes=", "--time-left counts down"),
    ("mpiprocs=4", "mpiprocs=8", "select", "mpiprocs is 8"),
    ("ngpus=4", "ngpus=2", "select", "ngpus is 2"),
    (":ngpus=4", "", "select", "select without ngpus"),
    (":ngpus=4", ":ngpus=4:host=a+2", "select", "asks for different nodes"),
    ("#PBS -l place=scatter\n", "", "#PBS -N", "polaris wants -l place=scatter"),
    ("#PBS -l filesystems=home:eagle\n", "", "#PBS -N", "polaris wants -l filesystems=home:"),
    ("-N paper", "-N 'two words'", "-N", "-N is 'two words'"),
    ("-N paper", "-N a-name-that-is-too-long", "-N", "qstat shows only 15 characters"),
    ("-k doe", "-k all", "-k", "-k is 'all'"),
    ("-j oe", "-y oe", "-y", "#PBS does not know the option 'y'"),
    ("-r y", "-r n", "-r n", "an array can't have -r n"),
    ("-J 0-3", "-J 0-0", "-J", "-J is 0-0: an array has at least two elements"),
    ("-J 0-3", "-J 3", "-J", "-J is 3: an array has at least two elements"),
    ("-J 0-3", "-J 1-4", "-J", "the array's last element is 4"),
    ("-J 0-3", "-J 3-0", "-J", "-J is '3-0'"),
    ("-J 0-3", "-J 0-1000", "-J", "allows 1000 elements"),
    ("cd ", "ls ", "mpiexec -n", "the job starts in the home directory"),
    ("trap 'hear TERM' TERM\n", "", "mpiexec -n", "no trap catches TERM"),
    ("--device cuda &", "--device cuda", "mpiexec -n", "mpiexec runs in the foreground"),
    ("--time-left", "--order longest #", "mpiexec -n", "ranks don't know when the job ends"),
    ('mpiexec -n "$ranks"', "mpiexec", "mpiexec -ppn", "mpiexec without -n"),
    ('mpiexec -n "$ranks"', "mpiexec -n 4", "mpiexec -n 4", "mpiexec --np is 4"),
    ("-ppn 4", "-ppn 2", "-ppn 2", "mpiexec --ppn is 2"),
    ("-ppn 4", "-ppn 4 --depth=17", "--depth", "mpiexec wants 68 cores of a node"),
    ('mpiexec -n "$ranks"', "mpirun -n 40", "mpirun", "starts nnlc.worker without mpiexec"),
    ("#!/bin/bash\n", "#!/bin/bash\nset -u\n", "#PBS -N", "does not read this directive"),
    (
        '| qsub "$@" |',
        "| qsub -W depend=afterok:$PBS_JOBID |",
        "qsub",
        "may never let the next job",
    ),
]


@pytest.mark.parametrize(("right", "wrong", "where", "problem"), PBS)
def test_a_script_for_pbs_is_refused_by_line_for(right, wrong, where, problem):
    script = rendered("polaris", elements=4)
    assert lint_script(script, five_minutes("polaris")) == []
    if "shows only" in problem:
        [note] = lint_script(script.replace(right, wrong, 1), five_minutes("polaris"))
        assert note.note
        assert problem in note.problem
    elif "does not read" in problem:
        findings = lint_script(script.replace(right, wrong, 1), five_minutes("polaris"))
        assert sum(problem in finding.problem for finding in findings) == 11
    else:
        refused("polaris", script, right, wrong, where, problem)


@pytest.mark.parametrize(
    ("right", "other"),
    [
        ("-A ABC123", "-AABC123"),
        ("-l walltime=02:00:00", "-l walltime=7200"),
        ("#PBS -l place=scatter\n#PBS -l fi", "#PBS -l place=scatter,fi"),
        (":ngpus=4\n", ":ngpus=4:system=polaris\n"),
        ("-J 0-3", "-J 0-3:1%2"),
        ('mpiexec -n "$ranks" -ppn 4', "time mpiexec --np=40 --ppn 4"),
        ('| qsub "$@" |', '| qsub -W "depend=afterany:$PBS_JOBID" |'),
    ],
)
def test_another_way_to_write_the_same_for_pbs_is_fine(right, other):
    script = rendered("polaris", elements=4)
    assert right in script
    assert lint_script(script.replace(right, other, 1), five_minutes("polaris")) == []


def test_a_site_s_directive_in_quotes_asks_for_the_same_as_one_without():
    quoted = ("-l 'filesystems=home:eagle' # of the site", "-k doe")
    site = five_minutes("polaris").model_copy(update={"directives": quoted})
    script = rendered("polaris", elements=4)
    assert lint_script(script, site) == []
    without = script.replace("#PBS -l filesystems=home:eagle\n", "")
    [finding] = lint_script(without, site)
    assert finding.remedy == "write #PBS -l filesystems=home:eagle"


EVERYWHERE = [
    ("#!/bin/bash\n", "\n", "", "does not name bash"),
    ("#!/bin/bash\n", "#!/bin/csh\n", "csh", "does not name bash"),
    ("launcher=$!\n", "launcher=$!\r\n", "launcher", "has a DOS line end"),
    ("    wait", "    if wait", "done", "bash can't read the script"),
    ("export CUBLAS_WORKSPACE_CONFIG=:4096:8\n", "", "", "CUBLAS_WORKSPACE_CONFIG is not exported"),
    ("export OMP_NUM_THREADS=1\n", "OMP_NUM_THREADS=1\n", "", "OMP_NUM_THREADS is not exported"),
    ("OMP_NUM_THREADS=1\n", "OMP_NUM_THREADS=7\n", "OMP_NUM_THREADS=7", "OMP_NUM_THREADS is '7'"),
    ("MKL_NUM_THREADS=1\n", "MKL_NUM_THREADS=$N\n", "MKL_NUM_THREADS", "is '$N'"),
    ("# One rank", "MKL_NUM_THREADS=2 # One", "=2", "MKL_NUM_THREADS is '2'"),
    ("# One rank", "export CUDA_VISIBLE_DEVICES=0\n#", "CUDA", "CUDA_VISIBLE_DEVICES overrides"),
    (
        "# One rank",
        "export CUDA_MPS_ACTIVE_THREAD_PERCENTAGE=50\n#",
        "CUDA",
        "takes multiprocessors away",
    ),
    ("#!/bin/bash\n", "\ufeff#!/bin/bash\n", "#!", "a byte-order mark comes before"),
    ("nnlc.worker", "nnlc.works", "", "nothing starts nnlc.worker"),
    ("# One rank", "exec newgrp my_project\n#", "exec", "exec replaces it by newgrp"),
    (" &\nlauncher=$!", " --results &\nlauncher=$!", "--results", "results is empty"),
    (" &\nlauncher=$!", " --images '' &\nlauncher=$!", "--images", "images is empty"),
]


@pytest.mark.parametrize(("right", "wrong", "where", "problem"), EVERYWHERE)
@pytest.mark.parametrize("name", ["summit", "slurm", "derecho", "local"])
def test_a_script_for_any_scheduler_is_refused_by_line_for(name, right, wrong, where, problem):
    if "OMP_NUM_THREADS" in right and name == "summit":
        script = rendered(name).replace(" -E OMP_NUM_THREADS=1", "")  # would say it again
    else:
        script = rendered(name)
    refused(name, script, right, wrong, where, problem)


@pytest.mark.parametrize("line", ["exec > log 2>&1", "exec 3>log", "exec {log}>&1", "exec &> log"])
def test_a_script_may_send_its_words_elsewhere(line):
    script = rendered("slurm").replace("# One rank", f"{line}\n# One rank")
    assert not lint_script(script, five_minutes("slurm"))


@pytest.mark.parametrize("index", ["$SLURM_ARRAY_TASK_ID", "${SLURM_ARRAY_TASK_ID}"])
@pytest.mark.parametrize("first", [0, 1])
def test_an_element_is_understood_in_each_form_that_people_write(index, first):
    script = rendered("slurm", elements=4).replace("--array=0-3", f"--array={first}-{first + 3}")
    ours = '"$((0 + SLURM_ARRAY_TASK_ID))"'
    whole = [f'"{index}"', f'"$((0+{index}))"']
    less = [f'"$(({index} - 1))"', f"$(( {index}-1 ))"]
    for said in whole + less:
        found = lint_script(script.replace(ours, said), five_minutes("slurm"))
        beyond = first == 1 and said in whole
        problem = "the array's last element is 4, but --elements 4 ends before it"
        assert [f.problem for f in found] == [problem] * beyond


@pytest.mark.parametrize("time", ["0", "UNLIMITED"])
def test_a_countdown_of_ones_own_where_nothing_ends_the_job_is_a_note(time):
    script = rendered("slurm").replace("--time=02:00:00", f"--time={time}")
    [finding] = lint_script(script, five_minutes("slurm"))
    assert finding.note
    assert finding.problem.endswith("gives the job no limit")


@pytest.mark.parametrize(
    "minutes", ["$((60 * 2))", "$((2*60 - SECONDS/60))", "${walltime_minutes}"]
)
def test_a_countdown_that_only_the_shell_can_work_out_is_not_judged(minutes):
    ours = '"$((walltime_minutes - (SECONDS + 59) / 60))"'
    script = rendered("slurm").replace(ours, f'"{minutes}"')
    assert not lint_script(script, five_minutes("slurm"))


def test_jsrun_does_not_set_another_number_of_threads_behind_the_scripts_back():
    wrong = "-E OMP_NUM_THREADS=7"
    refused("summit", rendered("summit"), "-E OMP_NUM_THREADS=1", wrong, wrong, "is '7'")


@pytest.mark.parametrize("name", ["summit", "slurm", "local"])
def test_a_launcher_that_nobody_waits_for_is_refused(name):
    script = (
        rendered(name).replace('    wait "$launcher"', "    true").replace("status=$?", "status=0")
    )
    [finding] = lint_script(script, five_minutes(name))
    assert "the job ends at once" in finding.problem


def test_a_signal_that_only_the_ranks_hear_is_a_note():
    script = rendered("slurm").replace("B:URG", "URG")
    script = "\n".join(line for line in script.split("\n") if not line.startswith("trap "))
    [finding] = lint_script(script, five_minutes("slurm"))
    assert finding.note
    assert "the ranks get the signal, the script does not" in finding.problem


def test_a_script_that_srun_would_take_the_variables_of_is_refused():
    script = rendered("slurm").replace(
        "#SBATCH --requeue", "#SBATCH --export=NONE\n#SBATCH --requeue"
    )
    assert lint_script(script, five_minutes("slurm")) == []  # ours has srun forget it
    script = script.replace("SLURM_EXPORT_ENV ", "")
    [finding] = lint_script(script, five_minutes("slurm"))
    assert "--export=NONE hides the script's variables" in finding.problem
    said = script.replace("srun --nodes", "srun --export=ALL --nodes")
    assert lint_script(said, five_minutes("slurm")) == []


def test_a_margin_of_ones_own_before_the_walltime_is_a_note():
    whole = '"$((walltime_minutes - (SECONDS + 59) / 60))"'
    script = rendered("slurm").replace(whole, "110")
    [finding] = lint_script(script, five_minutes("slurm"))
    assert finding.note
    assert "from 110 minutes, but line" in finding.problem


def test_scripts_rendered_before_the_walltime_had_a_line_of_its_own_are_compared_too():
    old = rendered("slurm").replace("walltime_minutes=120\n", "")
    old = old.replace("$((walltime_minutes - ", "$((120 - ")
    assert lint_script(old, five_minutes("slurm")) == []
    refused("slurm", old, "--time=02:00:00", "--time=00:20:00", "$((120", "from 120 minutes")


@pytest.mark.parametrize(
    ("name", "right", "short", "enough"),
    [
        ("slurm", "--time=02:00:00", "--time=6", "--time=7"),
        ("slurm", "--signal=B:URG@300", "--signal=B:URG@7081", "--signal=B:URG@7080"),
        ("summit", "-W 2:00", "-W 5", "-W 6"),
        ("summit", "-wt 5", "-wt 120", "-wt 119"),
    ],
)
def test_a_walltime_must_leave_time_before_the_warning(name, right, short, enough):
    for change in (short, enough):
        script = rendered(name).replace(right, change)
        minutes = change.partition("=")[2] or change.split()[1]
        if "time" in change or "-W" in change:
            script = script.replace("walltime_minutes=120", f"walltime_minutes={minutes}")
        found = [finding.problem for finding in lint_script(script, five_minutes(name))]
        assert len(found) == (change == short)
        assert all("may come before" in problem for problem in found)


def test_lint_knows_every_option_of_the_worker(monkeypatch):
    import argparse

    from nnlc.ranks.worker_options import parse_options
    from nnlc.schedulers.options import WORKER

    seen = {}

    def add(self, *names, **words):
        for name in names:
            if name.startswith("--"):
                seen[name.removeprefix("--")] = "action" not in words
        return original(self, *names, **words)

    original = argparse.ArgumentParser.add_argument
    monkeypatch.setattr(argparse.ArgumentParser, "add_argument", add)
    parse_options(["smoke"])
    assert {name for name, valued in seen.items() if valued} == WORKER.valued
    assert {name for name, valued in seen.items() if not valued} == WORKER.flags
