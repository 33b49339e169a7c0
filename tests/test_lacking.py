"""What an environment may lack: it goes on without, or says what is missing."""

import errno
import os
import subprocess
import sys

import pytest
from curve_samples import loaded, table
from export_samples import three_exported
from limits import HANG_SECONDS

import nnlc
from nnlc.analysis import parallel
from nnlc.calibration.calibrate import fit_machine
from nnlc.cli import command
from nnlc.errors import NnlcError
from nnlc.exporting import reader_process
from nnlc.launching.limits import PlanRequest
from nnlc.launching.machine_plan import plan_machine
from nnlc.networks.machine import CPU
from nnlc.schedulers.site import THIS_MACHINE, load_site
from nnlc.system.extras import MissingExtraError

LACKS = {
    "/dev/shm": PermissionError(errno.EACCES, "Permission denied"),
    "semaphores": OSError(errno.ENOSYS, "Function not implemented"),
    "room there": OSError(errno.ENOSPC, "No space left on device"),
    "sem_open": ImportError("This platform lacks a functioning sem_open implementation"),
    "limits": NotImplementedError("system provides too few semaphores"),
    "processes": BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"),
    "threads": RuntimeError("can't start new thread"),
}


def failing(problem):
    def fail(*_args, **_kwargs):
        raise problem

    return fail


@pytest.fixture
def shared(monkeypatch):
    """Three tables, each a batch of its own."""
    monkeypatch.setattr(parallel, "BATCH", 1)
    return loaded(*(table(i, range(i, i + 40)) for i in range(3)))


@pytest.mark.parametrize("lack", LACKS)
@pytest.mark.parametrize("where", ["ProcessPoolExecutor.map", "ProcessPoolExecutor.__init__"])
def test_one_process_does_the_work_where_no_other_can_be_had(
    shared, monkeypatch, capsys, lack, where
):
    alone = nnlc.predict(shared, method="last1", cutoff=4)
    monkeypatch.setattr(f"concurrent.futures.{where}", failing(LACKS[lack]))
    found = nnlc.predict(shared, method="last1", cutoff=4, processes=2)
    assert found.equals(alone)
    words = capsys.readouterr()
    assert words.out == ""
    assert words.err.startswith("note: other processes can't be started")
    assert "--processes 1" in words.err


def test_a_program_that_shares_while_it_is_imported_is_still_told(shared, monkeypatch):
    problem = RuntimeError("An attempt has been made to start a new process before")
    monkeypatch.setattr("concurrent.futures.ProcessPoolExecutor.map", failing(problem))
    with pytest.raises(RuntimeError, match="An attempt has been made"):
        nnlc.compare(shared, ["last1"], cutoffs=[4], processes=2)


@pytest.mark.parametrize("named", ["no_such_backend", "svg"])
def test_a_picture_needs_no_backend_and_one_that_is_there_stays_chosen(tmp_path, named):
    drawn = table(1, range(40))
    (tmp_path / f"{drawn.spec.id}.txt").write_bytes(drawn.to_bytes())
    code = (
        "import os, sys, nnlc\nfolder, picture, named = sys.argv[1:]\n"
        "nnlc.plot_tables(nnlc.load_tables(folder), picture)\n"
        "assert os.environ['MPLBACKEND'] == named\n"
        "import matplotlib\n"
        "assert named != 'svg' or matplotlib.rcParams['backend'] == named"
    )
    subprocess.run(
        [sys.executable, "-c", code, tmp_path, tmp_path / "x.svg", named],
        env=os.environ | {"MPLBACKEND": named},
        check=True,
        timeout=HANG_SECONDS,
    )


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_settings_of_matplotlib_that_it_can_t_read_are_named(tmp_path, encoding):
    settings, drawn = tmp_path / "matplotlibrc", table(1, range(40))
    settings.write_text("# Größe\nlines.linewidth: 3\n", encoding)
    (tmp_path / f"{drawn.spec.id}.txt").write_bytes(drawn.to_bytes())
    done = subprocess.run(
        [sys.executable, "-m", "nnlc", "plot", tmp_path, "-o", tmp_path / "x.svg"],
        env=os.environ | {"MATPLOTLIBRC": str(settings)},
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
    )
    assert done.returncode == 1
    assert str(settings) in done.stderr
    assert "error: matplotlib can't read matplotlibrc" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_export_that_no_process_can_be_started_for_says_what_needs_none(monkeypatch, tmp_path):
    export = three_exported(tmp_path, "parquet")
    problem = BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
    monkeypatch.setattr(reader_process.subprocess, "run", failing(problem))
    with pytest.raises(NnlcError, match=r"Resource temporarily unavailable.*--format csv"):
        nnlc.import_tables(export, tmp_path / "out")


@pytest.mark.parametrize("doing", ["export", "import", "plan", "calibrate"])
def test_what_needs_an_extra_names_it_in_one_line_and_writes_nothing(doing, monkeypatch, tmp_path):
    exported, out = three_exported(tmp_path / "made", "parquet"), tmp_path / "out"
    monkeypatch.setattr("nnlc.system.extras.find_spec", lambda _: None)
    here = load_site(THIS_MACHINE)
    work, extra = {
        "export": (lambda: nnlc.export_tables(tmp_path / "made", out), "export"),
        "import": (lambda: nnlc.import_tables(exported, out), "export"),
        "plan": (lambda: plan_machine("smoke", here, PlanRequest(), results=out), "train"),
        "calibrate": (lambda: fit_machine([], CPU), "fit"),
    }[doing]
    with pytest.raises(MissingExtraError, match=rf"^[^\n]+pip install 'nnlc\[{extra}\]'$"):
        work()
    assert not out.exists()


@pytest.mark.parametrize(
    ("method", "words"),
    [
        ("objective", r"needs optuna.*pip install 'nnlc\[bench\]'$"),
        ("to_syne_tune", r"needs syne_tune and huggingface_hub.*pip install 'nnlc\[bench\]'$"),
        (
            "to_mfpbench",
            r"needs mf-prior-bench.* environment of its own: pip install mf-prior-bench \.$",
        ),
    ],
)
def test_a_tool_that_is_not_installed_is_named_in_one_line(method, words, monkeypatch, shared):
    for room in ("benchmark.other_tools", "system.extras"):
        monkeypatch.setattr(f"nnlc.{room}.find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=f"^{method} {words}"):
        getattr(nnlc.Benchmark(shared), method)()


@pytest.mark.parametrize(
    ("lacking", "words"),
    [
        (MemoryError(), "error: there is too little memory"),
        (FileNotFoundError(errno.ENOENT, "No such file"), "error: the working directory: No such"),
        (OSError(errno.EMFILE, "Too many open files"), "error: the system: Too many open files"),
    ],
)
def test_what_the_system_lacks_is_one_message_of_every_verb(monkeypatch, capsys, lacking, words):
    monkeypatch.setattr(command, "app", failing(lacking))
    with pytest.raises(SystemExit) as end:
        command.main()
    assert end.value.code == 1
    assert capsys.readouterr().err.startswith(words)
