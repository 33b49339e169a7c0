"""Whole jobs: real processes, a real mpirun, real images."""

import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from worker_jobs import TINY, command, events, run_worker, tables, write_campaign

from nnlc import load_campaign, read_table
from nnlc.results import ResultsFolder

LONG = TINY.replace("epochs = 1", "epochs = 500").replace(
    "networks_per_depth = 3\ndepths = [1, 2]", "networks_per_depth = 1\ndepths = [1, 1]"
)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The tiny campaign, trained without any launcher."""
    folder = tmp_path_factory.mktemp("alone")
    campaign, results = write_campaign(folder), folder / "results"
    job = run_worker(campaign, "--results", results)
    assert job.returncode == 0, job.stdout + job.stderr
    return campaign, results


def test_a_job_leaves_a_table_for_every_network_of_the_campaign(alone):
    campaign, results = alone
    networks = list(load_campaign(campaign).networks())
    assert len(tables(results)) == len(networks) == 6
    for network in networks:
        path = results / "F-MNIST-sample_models" / f"{network.spec.id}.txt"
        table = read_table(path, half_epochs=2)
        assert table.spec.random_seed == network.spec.random_seed
        assert not table.spec.train_gpu


@pytest.mark.parametrize(("ranks", "trainers"), [(1, 1), (2, 1), (3, 1), (2, 2)])
def test_the_same_bytes_come_from_any_number_of_ranks_and_trainers(
    alone, tmp_path, ranks, trainers
):
    campaign, results = alone
    job = run_worker(campaign, "--results", tmp_path / "r", "--trainers", trainers, ranks=ranks)
    assert job.returncode == 0, job.stdout + job.stderr
    assert tables(tmp_path / "r") == tables(results)
    if ranks == 2:
        assert {event["rank"] for event in events(tmp_path / "r", "finish")} == {0, 1}


def test_locale_and_hash_seed_change_no_byte(alone, tmp_path):
    campaign, results = alone
    job = run_worker(
        campaign, "--results", tmp_path / "r", PYTHONHASHSEED="77", LC_ALL="tr_TR.UTF-8"
    )
    assert job.returncode == 0, job.stdout + job.stderr
    assert tables(tmp_path / "r") == tables(results)


def test_a_second_start_trains_only_what_is_missing(alone, tmp_path):
    campaign, results = alone
    again = tmp_path / "r"
    assert run_worker(campaign, "--results", again, ranks=2).returncode == 0
    first, *others = sorted(again.glob("*_models/*.txt"))
    first.unlink()
    before = {path: path.stat().st_mtime_ns for path in others}
    starts = len(events(again, "start"))
    job = run_worker(campaign, "--results", again)
    assert job.returncode == 0, job.stdout + job.stderr
    assert tables(again) == tables(results)
    assert {path: path.stat().st_mtime_ns for path in others} == before
    assert [event["id"] for event in events(again, "start")[starts:]] == [first.stem]
    job = run_worker(campaign, "--results", again)
    assert job.returncode == 0
    assert "all 6 tables stand" in job.stdout


def _start(*arguments: object, ranks: int | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(*arguments, ranks=ranks),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _wait_for(results: Path, kind: str) -> dict:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found = events(results, kind) if (results / "journal").is_dir() else []
        if found:
            return found[0]
        time.sleep(0.05)
    raise AssertionError(f"no {kind} in the journal after a minute")


def _processes(module: str, mark: str) -> list[int]:
    """Process ids of `python -m MODULE` that belong to the job whose environment holds `mark`."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            ours = mark.encode() in (folder / "environ").read_bytes()
        except OSError:
            continue
        if ours and module.encode() in words and b"-np" not in words:
            found.append(int(folder.name))
    return found


def test_sigterm_ends_a_job_as_unfinished_and_the_same_command_goes_on(alone, tmp_path):
    campaign, results = alone
    again = tmp_path / "r"
    job = _start(campaign, "--results", again)
    _wait_for(again, "start")
    job.send_signal(signal.SIGTERM)
    output, _ = job.communicate(timeout=30)
    assert job.returncode == 75, output
    assert "the same command goes on" in output
    assert len(tables(again)) < 6
    assert run_worker(campaign, "--results", again).returncode == 0
    assert tables(again) == tables(results)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGURG])
def test_a_signal_to_every_process_of_a_job_is_a_notice_and_no_failure(tmp_path, number):
    """As schedulers send it: to the trainers too, with no attempt left to lose."""
    text = TINY.replace("epochs = 1", "epochs = 1\n[run]\nattempts = 1\n")
    campaign, results = write_campaign(tmp_path, text), tmp_path / "r"
    job = subprocess.Popen(
        command(campaign, "--results", results),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    _wait_for(results, "start")
    os.killpg(job.pid, number)
    output, _ = job.communicate(timeout=30)
    assert job.returncode == 75, output
    assert "failed" not in output
    assert not events(results, "failure") + events(results, "attempt")
    assert events(results, "end")[0]["status"] == "UNFINISHED"


@pytest.mark.parametrize("reader", ["full", "gone"])
def test_a_log_that_cant_be_written_costs_no_table(alone, tmp_path, reader):
    campaign, results = alone
    words = command(campaign, "--results", tmp_path / "r")
    if reader == "full":
        with Path("/dev/full").open("w") as log:
            job = subprocess.run(words, stdout=log, stderr=subprocess.PIPE, timeout=120)
        status = job.returncode
    else:
        left = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        left.stdout.close()
        left.stderr.read()
        status = left.wait(120)
    assert status == 0
    assert tables(tmp_path / "r") == tables(results)


def test_a_killed_trainer_costs_one_attempt_and_no_byte(alone, tmp_path, monkeypatch):
    campaign, results = alone
    again = tmp_path / "r"
    monkeypatch.setenv("NNLC_TEST_MARK", str(tmp_path))
    job = _start(campaign, "--results", again)
    _wait_for(again, "start")
    [trainer] = _processes("nnlc.training.trainer", str(tmp_path))
    os.kill(trainer, signal.SIGKILL)
    output, _ = job.communicate(timeout=120)
    assert job.returncode == 0, output
    [attempt] = events(again, "attempt")
    assert "SIGKILL" in attempt["reason"]
    assert tables(again) == tables(results)


def test_a_network_that_always_fails_is_recorded_and_the_others_are_finished(
    alone, tmp_path, monkeypatch
):
    _, expected = alone
    text = TINY.replace("epochs = 1", "epochs = 1\n[run]\nattempts = 2\n")
    campaign, results = write_campaign(tmp_path, text), tmp_path / "r"
    monkeypatch.setenv("NNLC_TEST_MARK", str(tmp_path))
    job = _start(campaign, "--results", results)
    cursed = _wait_for(results, "start")["id"]
    kills = 0
    while not events(results, "failure") and job.poll() is None:
        if sum(event["id"] == cursed for event in events(results, "start")) > kills:
            kills += 1
            [trainer] = _processes("nnlc.training.trainer", str(tmp_path))
            os.kill(trainer, signal.SIGKILL)
        time.sleep(0.05)
    output, _ = job.communicate(timeout=120)
    assert job.returncode == 3, output
    [failure] = events(results, "failure")
    assert failure["id"] == cursed
    assert failure["attempts"] == 2
    assert f"{cursed} failed for good: its trainer was killed by SIGKILL" in output
    others = {name: table for name, table in tables(expected).items() if cursed not in name}
    assert tables(results) == others


def test_waiting_agents_leave_the_cores_alone(tmp_path, monkeypatch):
    campaign, results = write_campaign(tmp_path, LONG), tmp_path / "r"
    monkeypatch.setenv("NNLC_TEST_MARK", str(tmp_path))
    job = _start(campaign, "--results", results, ranks=3)
    try:
        _wait_for(results, "start")
        agents = _processes("nnlc.worker", str(tmp_path))
        assert len(agents) == 3
        before = [_cpu_seconds(pid) for pid in agents]
        time.sleep(5)
        used = [_cpu_seconds(pid) - start for pid, start in zip(agents, before, strict=True)]
        assert max(used) < 0.5, used  # a spinning one would use its share of two cores
    finally:
        job.terminate()
        job.communicate(timeout=30)


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_trainers_end_when_their_agent_is_killed(tmp_path, monkeypatch):
    campaign, results = write_campaign(tmp_path, LONG), tmp_path / "r"
    monkeypatch.setenv("NNLC_TEST_MARK", str(tmp_path))
    job = _start(campaign, "--results", results)
    _wait_for(results, "start")
    assert _processes("nnlc.training.trainer", str(tmp_path))
    job.kill()
    job.communicate(timeout=30)
    deadline = time.monotonic() + 10
    while _processes("nnlc.training.trainer", str(tmp_path)):
        assert time.monotonic() < deadline, "the trainer outlived its agent"
        time.sleep(0.1)


def _foreign_files(folder: Path) -> list[object]:
    (folder / "r").mkdir()
    (folder / "r" / "thesis.tex").write_text("mine")
    return [write_campaign(folder)]


def _other_campaign(folder: Path) -> list[object]:
    campaign = write_campaign(folder)
    ResultsFolder(folder / "r").open(load_campaign(campaign))
    campaign.write_text(TINY.replace("epochs = 1", "epochs = 2"))
    return [campaign]


def _file_for_folder(folder: Path) -> list[object]:
    (folder / "r").write_text("a file")
    return [write_campaign(folder)]


def _own_images_missing(folder: Path) -> list[object]:
    own = TINY.replace(
        "[datasets.F-MNIST-sample]",
        f'[datasets.mine]\nnpz = "no.npz"\nsha256 = "{"0" * 64}"\nchannels = 1\nwidth = 28\n'
        "classes = 10\ntrain_images = 4000\nvalidation_images = 1000",
    )
    return [write_campaign(folder, own)]


BAD = {
    "unknown campaign": (lambda folder: ["nope"], 1, ["nope", "smoke"]),
    "broken campaign": (
        lambda folder: [write_campaign(folder, "name = ")],
        1,
        ["tiny.toml", "not valid TOML"],
    ),
    "foreign results folder": (_foreign_files, 1, ["no campaign.toml", "--results"]),
    "another campaign's folder": (_other_campaign, 1, ["epochs is 1 there and 2"]),
    "a file for a folder": (_file_for_folder, 1, ["/r", "--results"]),
    "images not staged": (
        lambda folder: ["fashion-mnist"],
        1,
        ["is missing", "nnlc stage fashion-mnist"],
    ),
    "own images missing": (_own_images_missing, 1, ["no.npz"]),
    "no GPU": (lambda folder: [write_campaign(folder), "--device", "cuda"], 1, ["no rank sees"]),
    "unknown device": (lambda folder: ["--device", "tpu"], 2, ["--device", "tpu"]),
    "no trainers": (lambda folder: ["--trainers", "0"], 2, ["--trainers"]),
    "unknown option": (lambda folder: ["--fast"], 2, ["--fast"]),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_input_is_one_message_from_one_rank_and_ends_the_job(tmp_path, kind):
    prepare, status, words = BAD[kind]
    arguments = prepare(tmp_path)
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    job = run_worker(*arguments, "--results", tmp_path / "r", ranks=2, cwd=tmp_path)
    output = job.stdout + job.stderr
    assert job.returncode == status, output
    assert output.count("error: ") == 1, output
    assert "Traceback" not in output
    for word in words:
        assert word in output
    assert {p: p.read_bytes() for p in before} == before


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def _rename(path: Path) -> None:
    other = next(p for p in path.parent.glob("*.txt") if p != path)
    path.write_bytes(other.read_bytes())


@pytest.mark.parametrize(("damage", "word"), [(_cut, "line 3"), (_rename, "another network")])
def test_a_damaged_or_foreign_table_stops_the_job_and_is_left_alone(alone, tmp_path, damage, word):
    campaign, results = alone
    shutil.copytree(results, tmp_path / "r")
    path = sorted((tmp_path / "r").glob("*_models/*.txt"))[2]
    damage(path)
    content = path.read_bytes()
    job = run_worker(campaign, "--results", tmp_path / "r")
    assert job.returncode == 1
    assert path.name in job.stderr
    assert word in job.stderr
    assert "move" in job.stderr
    assert path.read_bytes() == content


def _before_others(folder: Path) -> str:
    return os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])


def test_mpirun_without_mpi4py_is_said_once_and_ends_the_job(tmp_path):
    (tmp_path / "mpi4py").mkdir()
    (tmp_path / "mpi4py" / "__init__.py").write_text("raise ImportError('not installed here')")
    job = run_worker(ranks=2, cwd=tmp_path, PYTHONPATH=_before_others(tmp_path))
    assert job.returncode == 1
    assert (job.stdout + job.stderr).count("error: ") == 1
    assert "pip install 'nnlc[mpi]'" in job.stderr


def test_ranks_that_cant_find_each_other_refuse_instead_of_training_twice(tmp_path):
    """As when mpirun belongs to another MPI than mpi4py: every process believes it is alone."""
    shim = tmp_path / "mpi4py"
    shim.mkdir()
    (shim / "__init__.py").write_text("")
    (shim / "MPI.py").write_text(
        "class COMM_WORLD:\n    rank, size = 0, 1\n"
        "def Get_library_version():\n    return 'Other MPI 1.0'\n"
    )
    job = run_worker(ranks=2, cwd=tmp_path, PYTHONPATH=_before_others(tmp_path))
    assert job.returncode == 1
    assert (job.stdout + job.stderr).count("error: ") == 1
    assert "mpi4py sees 1" in job.stderr
    assert not (tmp_path / "results").exists()


def test_an_agent_that_is_alone_needs_no_mpi_library(tmp_path):
    (tmp_path / "mpi4py").mkdir()
    (tmp_path / "mpi4py" / "__init__.py").write_text("raise ImportError('not installed here')")
    campaign = write_campaign(tmp_path)
    job = run_worker(campaign, "--results", tmp_path / "r", PYTHONPATH=_before_others(tmp_path))
    assert job.returncode == 0, job.stdout + job.stderr


def test_defaults_come_from_the_environment(tmp_path):
    campaign = write_campaign(
        tmp_path, TINY.replace("networks_per_depth = 3", "networks_per_depth = 1")
    )
    job = run_worker(
        cwd=tmp_path, NNLC_CAMPAIGN=str(campaign), NNLC_RESULTS=str(tmp_path / "elsewhere")
    )
    assert job.returncode == 0, job.stdout + job.stderr
    assert len(tables(tmp_path / "elsewhere")) == 2


def test_a_terminal_gets_a_live_display_and_a_log_gets_plain_lines(alone, tmp_path):
    campaign, _ = alone
    log = run_worker(campaign, "--results", tmp_path / "log").stdout
    assert "\x1b[" not in log
    assert "6/6" in log
    output = _in_a_terminal(command(campaign, "--results", tmp_path / "live"))
    assert b"\x1b[" in output
    assert b"networks done" in output
    assert b"6/6" in output


def _in_a_terminal(words: list[str]) -> bytes:
    output = b""

    def read(handle: int) -> bytes:
        nonlocal output
        data = os.read(handle, 4096)
        output += data
        return data

    devnull = os.open(os.devnull, os.O_WRONLY)
    keep = os.dup(1)
    os.dup2(devnull, 1)
    try:
        assert os.waitstatus_to_exitcode(pty.spawn(words, read)) == 0
    finally:
        os.dup2(keep, 1)
        os.close(keep)
        os.close(devnull)
    return output


def test_the_worker_module_imports_no_torch():
    code = "import sys, nnlc.worker; assert not {'torch', 'mpi4py'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
