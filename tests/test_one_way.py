"""One way to print, one to open, one to ask a scheduler: what goes around them is found here."""

import ast
from pathlib import Path

import pytest

import nnlc

PACKAGE = Path(nnlc.__file__).parent

PRINTING = "nnlc.console prints: say, say_aside, make_console, standard_output"
OPENING = (
    "nnlc.system.files opens: open_regular, read_regular; "
    "nnlc.system.text_file reads what people edit"
)
STARTING = "nnlc.schedulers.commands asks a scheduler: run_command"

OWNERS = {
    "console.py": {PRINTING},
    "system/files.py": {OPENING},
    "schedulers/commands.py": {STARTING},
    # Processes of nnlc's own, a Python that is asked for its nnlc, NVIDIA's daemon, a user's notify
    # command, and bash, which reads a script and runs nothing.
    "verification/verify_trainer.py": {STARTING},
    "calibration/probe.py": {STARTING},
    "training/counting_process.py": {STARTING},
    "training/family_check_process.py": {STARTING},
    "launching/interpreter.py": {STARTING},
    "system/notify_command.py": {STARTING},
    "ranks/trainer_link.py": {STARTING},
    "ranks/mps.py": {STARTING},
    "schedulers/rules.py": {STARTING},
    # Programs of their own, whose standard output is their answer to the process that began them.
    "exporting/reader_process.py": {PRINTING, STARTING},
    "training/step_timing.py": {PRINTING},
    "training/sample/make_sample.py": {PRINTING, OPENING},
}
"""Modules that own a question, or stand outside the package's processes."""

WRITES = {"w", "x", "a", "wb", "xb", "ab", "r+b", "rb+"}
BY_NAME = {
    *("numpy.load", "numpy.loadtxt", "numpy.genfromtxt", "numpy.fromfile", "numpy.memmap"),
    *("pandas.read_csv", "pandas.read_parquet", "pandas.read_hdf", "pandas.read_json"),
    *("pyarrow.parquet.read_table", "pyarrow.parquet.ParquetFile", "pyarrow.csv.read_csv"),
    *(
        *("gzip.open", "bz2.open", "lzma.open", "tarfile.open", "zipfile.ZipFile"),
        "zipfile.is_zipfile",
    ),
    *("io.open", "codecs.open", "io.FileIO", "fileinput.input", "scipy.io.loadmat", "h5py.File"),
    *("torch.load", "safetensors.safe_open", "runpy.run_path", "linecache.getlines"),
}
"""What opens a file that it is given by name. Given an open file or bytes, each is welcome."""
PRINTERS = {
    *("print", "pprint.pprint", "typer.echo", "typer.secho", "click.echo", "click.secho"),
    *("rich.print", "rich.console.Console", "sys.stdout", "sys.stderr", "sys.__stdout__"),
    "sys.__stderr__",
}
STARTERS = {
    *(f"subprocess.{n}" for n in ("run", "Popen", "call", "check_call", "check_output")),
    *("subprocess.getoutput", "subprocess.getstatusoutput", "os.system", "os.popen", "pty.spawn"),
    *("os.posix_spawn", "os.posix_spawnp", "asyncio.create_subprocess_exec"),
    *("asyncio.create_subprocess_shell"),
    *(f"os.{kind}{end}" for kind in ("exec", "spawn") for end in ("l", "le", "lp", "lpe")),
    *(f"os.{kind}{end}" for kind in ("exec", "spawn") for end in ("v", "ve", "vp", "vpe")),
}
SCHEDULERS = {
    *("sbatch", "squeue", "scancel", "scontrol", "salloc", "srun", "sinfo", "sacct", "sattach"),
    *("bsub", "bjobs", "bkill", "bmod", "bhist", "jsrun", "qsub", "qstat", "qdel", "qsig"),
}
"""Commands whose options a variable of the user's environment may be."""


def around(source: str) -> list[tuple[int, str]]:
    """Line and rule of everything in a module that prints or opens by itself."""
    tree = ast.parse(source)
    names = _imported(tree)
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute) and _dotted(node, names) in PRINTERS:
            found.append((node.lineno, PRINTING))
        if isinstance(node, ast.Call) and _opens(node, names):
            found.append((node.lineno, OPENING))
        if isinstance(node, ast.Call) and _dotted(node.func, names) in STARTERS:
            found.append((node.lineno, STARTING))
    return found


def scheduler_words(source: str) -> set[str]:
    """Return the schedulers' commands that a module's strings begin with."""
    texts = (
        node.value
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )
    return {text.split()[0].rpartition("/")[2] for text in texts if text.strip()} & SCHEDULERS


def _imported(tree: ast.AST) -> dict[str, str]:
    """What each name of a module stands for, imports inside functions included."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name if alias.asname else alias.name.split(".")[0]
                names[alias.asname or top] = top
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
    return names


def _dotted(node: ast.expr, names: dict[str, str]) -> str:
    if isinstance(node, ast.Name):
        return names.get(node.id, node.id)
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value, names)}.{node.attr}"
    return ""


def _opens(call: ast.Call, names: dict[str, str]) -> bool:
    name = _dotted(call.func, names)
    if name in ("open", "os.open"):
        return not _only_writes(call, first=1)
    if name in BY_NAME:
        return not _in_memory(call)
    method = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    if method in ("read_text", "read_bytes"):
        return True
    # Path.open; a results folder is opened for a campaign, and other objects with nothing.
    mode = next(iter(call.args), None)
    told = isinstance(mode, ast.Constant) or (isinstance(mode, ast.Name) and "mode" in mode.id)
    return method == "open" and told and not _only_writes(call, first=0)


def _only_writes(call: ast.Call, *, first: int) -> bool:
    mode = call.args[first] if len(call.args) > first else None
    if isinstance(mode, ast.Constant):
        return mode.value in WRITES
    return mode is not None and "O_WRONLY" in ast.unparse(mode)


def _in_memory(call: ast.Call) -> bool:
    """Whether it is given an open file or bytes: by the names that such things have here."""
    given = ast.unparse(call.args[0]) if call.args else ""
    given += "".join(ast.unparse(k.value) for k in call.keywords if k.arg == "fileobj")
    return any(word in given for word in ("BytesIO", "StringIO", "file", "stream", "member"))


@pytest.mark.parametrize(
    "path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.relative_to(PACKAGE))
)
def test_every_module_prints_and_opens_in_the_one_way(path):
    allowed = OWNERS.get(str(path.relative_to(PACKAGE)), set())
    found = [one for one in around(path.read_text()) if one[1] not in allowed]
    assert not found, "\n".join(f"{path}:{line}: {rule}" for line, rule in found)


STARTERS_BUT_ONE = sorted(
    name for name, rules in OWNERS.items() if STARTING in rules and "commands" not in name
)


@pytest.mark.parametrize("name", STARTERS_BUT_ONE)
def test_a_module_that_starts_other_processes_names_no_command_of_a_scheduler(name):
    assert scheduler_words((PACKAGE / name).read_text()) == set()


@pytest.mark.parametrize(
    "source",
    [
        "import subprocess\nsubprocess.run(['squeue'])",
        "from subprocess import Popen\nPopen(words)",
        "def verb():\n    import subprocess as s\n    s.check_output('sbatch job.sh', shell=True)",
        "import os\nos.system('bkill 7')",
        "from os import execvp\nexecvp('scancel', ['scancel', '7'])",
    ],
)
def test_a_command_that_is_run_around_the_one_function_is_found(source):
    assert {rule for _, rule in around(source)} == {STARTING}


def test_a_scheduler_s_command_is_known_by_its_name_and_its_path():
    assert scheduler_words("run(['/usr/bin/squeue', x])\nrun('bsub < job.sh')\nrun(['ls'])") == {
        *("squeue", "bsub")
    }


@pytest.mark.parametrize(
    "source",
    [
        "print('done')",
        "import sys\nprint('done', file=sys.stderr)",
        "import typer\ntyper.echo('done')",
        "from sys import stdout\nstdout.write('done')",
        "def verb():\n    from rich.console import Console\n    Console().print('[b]')",
    ],
)
def test_a_verb_that_prints_by_itself_is_found(source):
    assert {rule for _, rule in around(source)} == {PRINTING}


@pytest.mark.parametrize(
    "source",
    [
        "open(path)",
        "open(path, 'rb')",
        "path.open('rb')",
        "path.open(mode)",
        "path.read_text()",
        "path.read_bytes()",
        "import os\nos.open(path, os.O_RDONLY)",
        "import numpy as np\nnp.load(path)",
        "from numpy import load\nload(path, allow_pickle=False)",
        "import pandas as pd\npd.read_csv(path)",
        "import pyarrow.parquet as pq\npq.read_table(path)",
        "def f():\n    import zipfile\n    zipfile.ZipFile(path)",
        "import gzip\ngzip.open(path)",
    ],
)
def test_a_file_that_is_opened_around_the_opener_is_found(source):
    assert {rule for _, rule in around(source)} == {OPENING}


@pytest.mark.parametrize(
    "source",
    [
        "from nnlc.system.files import open_regular as o\nwith o(path) as file:\n    file.read()",
        "path.open('xb')",
        "import os\nos.open(path, os.O_WRONLY | os.O_CREAT)",
        "import numpy as np\nnp.load(io.BytesIO(content))",
        "folder.open()",
        "ResultsFolder(path).open(campaign)",
        "from nnlc.console import say\nsay('done')",
    ],
)
def test_what_goes_the_one_way_is_left_alone(source):
    assert around(source) == []
