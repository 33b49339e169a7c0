"""The Slurm of virtual nodes: it runs MPI, loses nodes, and leaves nothing behind."""

import os
import re
import shlex
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest
import slurm_cluster
from limits import HANG_SECONDS, wait_until
from site_files import GOLDEN, SITES, render
from slurm_cluster import SlurmCluster

from nnlc.schedulers.site import load_site

pytestmark = pytest.mark.needs("Slurm", "root")

HELLO = """
import os
from mpi4py import MPI
nodes = MPI.COMM_WORLD.allgather(os.environ["SLURMD_NODENAME"])
gpu, seen = os.environ["CUDA_VISIBLE_DEVICES"], os.environ["ROCR_VISIBLE_DEVICES"]
print(f"{nodes[MPI.COMM_WORLD.rank]} GPU {gpu} {seen} of {len(set(nodes))} nodes", flush=True)
"""
OF_SLURM = [name for name in SITES if load_site(name).scheduler.name == "slurm"]
PARTITIONS = ("gpu", "extended", "normal", "debug", "standard-g", "small-g")
"""Partitions that the golden scripts name."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    folder = tmp_path_factory.mktemp("slurm")
    size = {"nodes": 4, "cpus": 288, "gpus_per_node": 8}
    of_sites = {"features": "gpu,nvme", "partitions": PARTITIONS}
    with SlurmCluster(folder, **size, **of_sites, MaxArraySize=3, KillWait=1) as running:
        yield running


def submit(cluster: SlurmCluster, folder: Path, body: str, *options: str) -> str:
    script = folder / "job.sh"
    script.write_text(f"#!/bin/bash\n{body}\n")
    return cluster.run(
        ["sbatch", "--parsable", f"--chdir={folder}", "--time=5", *options, script]
    ).stdout.strip()


def left_of(folder: Path) -> list[str]:
    """Commands of processes that know the folder, this test's own left out."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
            text = command + (process / "environ").read_bytes()
        except OSError:
            continue
        if os.fsencode(folder) in text and int(process.name) != os.getpid():
            found.append(command.replace(b"\0", b" ").decode())
    return found


def test_each_element_of_an_array_runs_mpi_on_all_nodes_with_a_gpu_a_rank(cluster, tmp_path):
    """Each rank starts by the lines that the site lumi has for its ranks."""
    hello = tmp_path / "hello.py"
    hello.write_text(HELLO)
    script = render("smoke", load_site("lumi", account="A"))
    wrapper = script[script.index("    bash -c") : script.index("    python -m nnlc.worker")]
    rank = f"{wrapper} {shlex.join([sys.executable, str(hello)])}"
    step = f"srun --mpi=pmi2 --gpus-per-task=1 {rank}"
    options = ["--nodes=4", "--ntasks-per-node=2", "--gpus-per-node=2", "--output=%a.out"]
    job = submit(cluster, tmp_path, step, "--array=0-1", *options)
    assert cluster.wait_for_job(job) == "COMPLETED"
    for element in (0, 1):
        lines = (tmp_path / f"{element}.out").read_text().splitlines()
        told = [re.fullmatch(r"(n\d) GPU (\d) (\d) of 4 nodes", line).groups() for line in lines]
        assert sorted((node, seen) for node, _, seen in told) == [*product(cluster.names, "01")]
        assert len({(node, gpu) for node, gpu, _ in told}) == 8
    refused = cluster.run(["sbatch", "--array=3", "--wrap=true"], check=False)
    assert "Invalid job array specification" in refused.stderr


def test_sbatch_takes_the_golden_script_of_every_site(cluster):
    """Large jobs are asked for on fewer nodes, and long arrays with fewer elements."""
    paths = [path for name in OF_SLURM for path in sorted(GOLDEN.glob(f"{name}-*.sh"))]
    assert len(paths) >= 3 * len(OF_SLURM)
    for path in paths:
        smaller = []
        if path.stem.endswith("-paper"):
            each = re.search(r"^#SBATCH --ntasks-per-node=(\d+)$", path.read_text(), re.M)[1]
            smaller = ["--nodes=1", f"--ntasks={each}", "--array=0-2"]
        done = cluster.run(["sbatch", "--test-only", *smaller, path], check=False)
        assert done.returncode == 0, f"{path.name}: {done.stderr}"
        assert re.match(r"sbatch: Job \d+ to start at ", done.stderr), done.stderr


def test_a_command_meets_the_environment_of_who_asks_and_the_cluster_s_own_questions_do_not(
    cluster, tmp_path, monkeypatch
):
    for name, value in {"SBATCH_JOB_NAME": "outer", "SCONTROL_LOCAL": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SLURM_CLUSTERS", "nowhere")
    refused = cluster.run(["squeue"], check=False)
    assert "nowhere" in refused.stderr
    monkeypatch.delenv("SLURM_CLUSTERS")
    job = submit(cluster, tmp_path, "true", "--hold")
    monkeypatch.setenv("SLURM_CLUSTERS", "nowhere")
    assert cluster.jobs(job)[0]["JobName"] == "outer"
    assert cluster.nodes_up() == cluster.names


def test_a_killed_node_is_down_and_its_job_starts_again_on_others(cluster, tmp_path):
    body = '[ -n "$SLURM_RESTART_COUNT" ] || srun sleep 600'
    job = submit(cluster, tmp_path, body, "--nodes=2", "--requeue")
    assert cluster.wait_for_job(job, {"RUNNING"}) == "RUNNING"
    victim = re.fullmatch(r"n\[(\d)-\d\]", cluster.jobs(job)[0]["NodeList"])[1]
    cluster.kill_node(f"n{victim}")
    assert cluster.wait_for_job(job) == "COMPLETED"
    assert cluster.jobs(job)[0]["Restarts"] == "1"
    others = [name for name in cluster.names if name != f"n{victim}"]
    assert cluster.nodes_up() == others
    cluster.start_node(f"n{victim}")
    wait_until(lambda: cluster.nodes_up() == cluster.names, pause=0.2)


@pytest.fixture
def short(tmp_path_factory):
    """A folder whose path leaves room for the names of sockets."""
    return tmp_path_factory.mktemp("s")


def test_the_command_stops_all_that_it_started(short):
    folder = short / "slurm"

    def command(verb, *options):
        words = [sys.executable, slurm_cluster.__file__, verb, folder, *options]
        return subprocess.run(
            words, check=True, capture_output=True, text=True, timeout=HANG_SECONDS
        ).stdout

    command("start", "--nodes", "1")
    try:
        assert command("env").strip() == f"export SLURM_CONF={folder}/slurm.conf"
        cluster = SlurmCluster(folder)
        job = submit(cluster, short, "setsid --fork sleep 600; srun sleep 600")
        cluster.wait_for_job(job, {"RUNNING"})
        assert left_of(folder)
    finally:
        command("stop")
    assert left_of(folder) == []


def test_nothing_stays_when_the_test_itself_is_killed(short):
    folder = short / "slurm"
    code = (
        "import os, sys, slurm_cluster\n"
        "with slurm_cluster.SlurmCluster(sys.argv[1], nodes=1) as cluster:\n"
        "    cluster.run(['sbatch', '--output=/dev/null', '--wrap=sleep 600'])\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    here = Path(slurm_cluster.__file__).parent
    status = subprocess.call([sys.executable, "-c", code, folder], cwd=here, timeout=HANG_SECONDS)
    try:
        assert status == -9
        assert (folder / "slurm.conf").exists()
        wait_until(lambda: not left_of(folder), pause=0.2)
    finally:
        SlurmCluster(folder).stop()


def test_a_start_that_fails_shows_the_log_and_leaves_nothing(short):
    with (
        pytest.raises(RuntimeError, match="select/no_such"),
        SlurmCluster(short / "slurm", nodes=1, SelectType="select/no_such"),
    ):
        pass
    assert left_of(short / "slurm") == []
    with pytest.raises(ValueError, match="at most 70 characters"):
        SlurmCluster(short / ("x" * 80)).start()
