"""Files that a person asked for by name: what their names promise, and what stands there."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from export_samples import three_tables
from test_plots import comparison
from typer.testing import CliRunner

from nnlc.cli import app
from nnlc.errors import NnlcError
from nnlc.system.output_file import CSV, check_ending, write_output

COMMANDS = {
    "report": ("report {tables} -o {out}", ".html"),
    "plot": ("plot {tables} -o {out}", ".svg"),
    "plot a comparison": ("plot {comparison} -o {out}", ".png"),
    "metrics": ("metrics {tables} -o {out}", ".csv"),
    "curves": ("metrics {tables} --curves {out}", ".csv"),
    "predict": ("predict {tables} --method last1 --target 1 --csv {out}", ".csv"),
    "compare": ("compare {tables} --methods last1 --target 1 --cutoffs 0.5 -o {out}", ".csv"),
    "specs": ("specs smoke --csv {out}", ".csv"),
    "render": ("render smoke --site local --nodes 1 -o {out}", ".sh"),
    "export": ("export {tables} -o {out}", ""),
    "merge": ("merge {tables} -o {out}", ""),
    "subset": ("subset {tables} --depth 1- -o {out}", ""),
    "import": ("import {export} -o {out}", ""),
}
FILES = [name for name, (_, ending) in COMMANDS.items() if ending]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    found = {"tables": three_tables(folder / "tables"), "export": folder / "export"}
    found["comparison"] = comparison(folder / "c.csv")
    run("export {tables} -o {out}", found, found["export"])
    return found


def run(command, inputs, out):
    words = [word.format(out=out, **inputs) for word in command.split()]
    return CliRunner().invoke(app, words)


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("ending", [".parquet", ".json", ".H5"])
def test_a_name_that_promises_another_kind_of_file_is_refused(tmp_path, inputs, name, ending):
    done = run(COMMANDS[name][0], inputs, tmp_path / f"x{ending}")
    assert isinstance(done.exception, NnlcError), done.output
    assert ending.lower() in str(done.exception)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "specs"])
def test_a_dash_is_no_name_unless_it_means_standard_output(tmp_path, inputs, name, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = run(COMMANDS[name][0], inputs, "-")
    assert isinstance(done.exception, NnlcError), done.output
    assert list(tmp_path.iterdir()) == []


def test_metrics_and_curves_need_a_file_each(tmp_path, inputs):
    command = f"metrics {{tables}} -o {{out}} --curves {tmp_path}/../{tmp_path.name}/m.csv"
    done = run(command, inputs, tmp_path / "m.csv")
    assert "give each its own file" in str(done.exception)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", FILES)
def test_what_is_not_its_like_is_never_replaced_and_its_like_is(tmp_path, inputs, name):
    command, ending = COMMANDS[name]
    out = tmp_path / f"x{ending}"
    out.write_text("id,dataset\nmine,too\n")
    done = run(command, inputs, out)
    assert isinstance(done.exception, NnlcError)
    assert "exists, and was not written" in str(done.exception)
    assert out.read_text() == "id,dataset\nmine,too\n"
    out.unlink()
    for _ in range(2):
        done = run(command, inputs, out)
        assert done.exit_code == 0, (done.output, done.exception)
    out.unlink()
    os.mkfifo(out)
    assert "exists, and was not written" in str(run(command, inputs, out).exception)


@pytest.mark.parametrize(
    "program", ["xlsm odp ppt", "dta sav rds rdata", "pickle avro hdf", "mhtml"]
)
def test_what_other_programs_take_for_their_own_files_is_no_name_of_a_csv(program):
    for ending in program.split():
        with pytest.raises(NnlcError, match=rf"has the name of a \.{ending} file"):
            check_ending(Path(f"x.{ending}"), CSV)


def test_endings_that_promise_nothing_are_anyones():
    for name in ("page", "page.v2", "2026.11.29", "x.html", "x.HTM", ".html"):
        check_ending(Path(name), (".html", ".htm"))


WRITE = """
import sys, time
from pathlib import Path
from nnlc.system.output_file import write_output
def forever(file):
    file.write(b"half")
    print("writing", flush=True)
    time.sleep(600)
write_output(Path(sys.argv[1]), forever, mark=b"m", endings=())
"""


def test_what_a_killed_process_left_goes_with_the_next_and_what_another_writes_stays(tmp_path):
    out = tmp_path / "out[1]"
    jobs = []
    for _ in range(2):
        jobs.append(subprocess.Popen([sys.executable, "-c", WRITE, out], stdout=subprocess.PIPE))
        assert jobs[-1].stdout.readline() == b"writing\n"
    assert len(list(tmp_path.iterdir())) == 2
    jobs[0].send_signal(signal.SIGKILL)
    jobs[0].wait()
    write_output(out, b"m", mark=b"m", endings=())
    left = list(tmp_path.glob(".*"))
    jobs[1].kill()
    for job in jobs:
        job.wait()
        job.stdout.close()
    assert len(left) == 1
    assert out.read_bytes() == b"m"
