"""A light installation: all but training works, and what needs an extra names it in one line."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from light_verbs import EXTRAS, VERBS
from limits import HANG_SECONDS
from worker_jobs import run_worker

from nnlc.cli import app

TESTS = Path(__file__).parent


def without(*names):
    """The environment of a Python that has none of these libraries."""
    paths = [str(TESTS / "without"), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {"PYTHONPATH": os.pathsep.join(paths), "NNLC_WITHOUT": " ".join(names)}


@pytest.fixture(scope="module")
def light(tmp_path_factory):
    """What came of all that nnlc has, where no extra is installed."""
    done = subprocess.run(
        [sys.executable, TESTS / "light_verbs.py"],
        cwd=tmp_path_factory.mktemp("light"),
        env=os.environ | without(*EXTRAS),
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_only_modules_that_train_or_serve_another_library_need_an_extra(light):
    found = {
        name
        for name in light["modules"]
        if not re.match(r"nnlc\.(training|families(\.\w+)?\.modules)\.", name)
    }
    assert found == {
        *("nnlc.exporting.parquet_export", "nnlc.exporting.hdf5_import"),
        *("nnlc.benchmark.mfpbench", "nnlc.benchmark.optuna", "nnlc.benchmark.syne_tune"),
    }


def one_line(text, extra):
    """True if the error in an output is one line that names an extra."""
    return "Traceback" not in text and re.search(
        rf"(?:^|error: )[^\n]*\bpip install 'nnlc\[{extra}\]'[^\n]*\n*(-----.*\n)?$", text
    )


def test_every_command_works_without_extras_or_names_its_extra_in_one_line(light):
    assert {words.split()[0] for words in VERBS} == {
        command.name or command.callback.__name__ for command in app.registered_commands
    }
    for words, extra in VERBS.items():
        status, said = light["verbs"][words]
        assert status == (1 if extra else 0), (words, said)
        assert not extra or one_line(said, extra), (words, said)


def test_every_public_name_can_be_had_and_names_its_extra_when_it_is_called(light):
    extras = {"rebuild": "train", "verify": "train", "export_tables": "export"}
    extras |= {"config_space": "bench"}
    assert light["public"].keys() == extras.keys()
    for name, extra in extras.items():
        assert one_line(light["public"][name], extra), light["public"][name]
    assert light["public"]["rebuild"].startswith("nnlc.rebuild needs torch and safetensors")


def test_ranks_without_torch_say_so_once_and_all_end_with_1(tmp_path):
    job = run_worker(ranks=2, cwd=tmp_path, **without("torch"))
    assert job.returncode == 1
    assert one_line(job.stdout + job.stderr, "train"), job.stderr


def test_doctor_lists_the_extras_that_are_there(light):
    assert "\nextras: none; not train, mpi, export, fit, ben" in light["verbs"]["doctor"][1]
