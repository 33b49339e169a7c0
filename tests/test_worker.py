"""Whole jobs: real processes, a real mpirun, real images."""

import os
import pty

import pytest
from worker_jobs import (
    TWO,
    all_at_work,
    before_others,
    command,
    events,
    run_worker,
    tables,
    write_campaign,
)

from nnlc import load_campaign, read_table
from nnlc.errors import ExitStatus
from nnlc.ranks.worker_options import parse_options


def test_a_job_leaves_a_table_for_every_network_of_the_campaign(alone):
    campaign, results = alone
    networks = list(load_campaign(campaign).networks())
    assert len(tables(results)) == len(networks) == 6
    for network in networks:
        path = results / "F-MNIST-sample_models" / f"{network.spec.id}.txt"
        table = read_table(path, half_epochs=2)
        assert table.spec.random_seed == network.spec.random_seed
        assert not table.spec.train_gpu


def test_the_same_bytes_come_from_any_number_of_ranks_and_trainers_in_any_order(alone, tmp_path):
    """And with another locale and hash seed."""
    campaign, results = alone
    words = ["--results", tmp_path / "r", "--trainers", 2, "--order", "shortest"]
    other = {"PYTHONHASHSEED": "77", "LC_ALL": "tr_TR.UTF-8", **all_at_work(tmp_path, 4)}
    job = run_worker(campaign, *words, ranks=2, **other)
    assert job.returncode == 0, job.stdout + job.stderr
    assert tables(tmp_path / "r") == tables(results)
    assert {event["rank"] for event in events(tmp_path / "r", "finish")} == {0, 1}
    started = [event["id"] for event in events(tmp_path / "r", "start")]
    # There the longest began first; later, the order depends on the seconds measured.
    assert events(results, "start")[0]["id"] not in started[:4]


def test_elements_of_an_array_share_the_campaign_and_leave_the_same_bytes(alone, tmp_path):
    """The first is told by the scheduler, and has campaign and folder from its environment.

    The second is told by hand. An agent alone needs no MPI library.
    """
    campaign, results = alone
    (tmp_path / "mpi4py").mkdir()
    (tmp_path / "mpi4py" / "__init__.py").write_text("raise ImportError('not installed here')")
    told = {
        "SLURM_ARRAY_TASK_ID": "5",
        "SLURM_ARRAY_TASK_MIN": "5",
        "NNLC_CAMPAIGN": str(campaign),
        "NNLC_RESULTS": str(tmp_path / "r"),
        "PYTHONPATH": before_others(tmp_path),
    }
    by_hand = [campaign, "--results", tmp_path / "r", "--element", "1"]
    shares = []
    for words, environment in ([], told), (by_hand, {}):
        before = set(tables(tmp_path / "r"))
        job = run_worker(*words, "--elements", "2", cwd=tmp_path, **environment)
        assert job.returncode == 0, job.stdout + job.stderr
        shares.append(set(tables(tmp_path / "r")) - before)
    assert all(shares)
    assert tables(tmp_path / "r") == tables(results)
    begun = [event["id"] for event in events(tmp_path / "r", "start")]
    assert len(begun) == len(set(begun)) == 6


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--elements", "2"], "needs --element I if no scheduler sets an index"),
        (["--elements", "2", "--element", "2"], "--element 2 is not between 0 and 1"),
        (["--elements", "0"], "'0' is not a number from 1 to"),
        (["--time-left", "-3"], "'-3' is not a number of minutes"),
        (["--device", "tpu"], "--device: invalid choice: 'tpu'"),
        (["--trainers", "0"], "'0' is not a number from 1 to 64, nor auto"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused(words, message, capsys):
    with pytest.raises(SystemExit) as end:
        parse_options(words)
    assert end.value.code == ExitStatus.USAGE
    assert message in capsys.readouterr().err


def test_a_terminal_gets_a_live_display_and_a_log_gets_plain_lines(alone, tmp_path):
    log = alone[1].with_name("log").read_text()
    assert "\x1b[" not in log
    assert "6/6" in log
    output = _in_a_terminal(command(write_campaign(tmp_path, TWO), "--results", tmp_path / "r"))
    assert b"\x1b[" in output
    assert b"networks done" in output
    assert b"2/2" in output


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
