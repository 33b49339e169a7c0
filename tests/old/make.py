"""Makes what a version of nnlc leaves behind, for the tests of every later one.

    python tests/old/make.py 0.1.0

Run it in a checkout of that version, before the version changes. It fills `tests/old/<version>/`:
a campaign that extends another, site files, a plug-in, rendered scripts, a half-done results folder
(two tables, a failure, a checkpoint, the lease of a job that was killed, a submitted script), a
whole one, from 0.2.0 on, with networks of every kind of layer, from 0.3.0 on also with Fourier
convolutions, and exports in each format and a page of the first. All paths in them lie below
`PLACE`.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
README = HERE.parent.parent / "README.md"
sys.path.insert(0, str(HERE.parent))

from limits import HANG_SECONDS, wait_until  # noqa: E402
from worker_jobs import command, slow_steps, steps_done, wait_for  # noqa: E402

from nnlc.errors import ExitStatus  # noqa: E402

PLACE = Path("/tmp/nnlc-as-it-was")  # the same for everybody, as it stands in files
PYTHON = "/usr/bin/python3"
"""Python that the scripts name; until they are written, another stands there, which has nnlc."""
FILES = {
    "base.toml": """\
seed = 11
stamp = 2026-01-02T03:04:05
epochs = 2

[datasets.F-MNIST-sample]
networks_per_depth = 2
depths = [1, 2]

[space]
kernel = [2, 4]
stride = [1, 2]
padding = [0, 1]
filters = [1, 10]
pool_kernel = [1, 2]
fc_layers = [1, 2]
fc_units = [8, 16]
batch_size = [100, 250]
""",
    "half.toml": """\
extends = "base.toml"
name = "half"

[run]
attempts = 1
checkpoint_minutes = 0.001
""",
    "every-kind.toml": """\
extends = "curves"
name = "every-kind"
seed = 8
epochs = 1

[datasets.F-MNIST-sample]
networks_per_depth = 3
depths = [1, 3]

[space]
kernel = [2, 11]
padding = [0, 5]
filters = [16, 24]
fc_units = [1, 40]
batch_size = [50, 250]
""",
    "slurm.toml": """\
extends = "slurm"
name = "my-slurm"
account = "m1234"
gpus_per_node = 1
setup = ["export OURS=1"]
""",
    "lsf.toml": """\
extends = "lsf"
name = "my-lsf"
account = "ABC123"
directives = ["-alloc_flags 'nvme smt1'"]
""",
    "local.toml": """\
extends = "local"
name = "my-workstation"
setup = ["export OURS=1"]
""",
}
CURSED = "000003"
"""The end of the ID of the shortest network, which kills its trainer."""


def main(version: str) -> None:
    """Make it all below `PLACE`, and copy it to the version's folder."""
    shutil.rmtree(PLACE, ignore_errors=True)
    PLACE.mkdir()
    for name, text in FILES.items():
        (PLACE / name).write_text(text)
    codes = re.findall(r"^```python\n(.*?)^```", README.read_text(), re.DOTALL | re.MULTILINE)
    (PLACE / "halfway.py").write_text(next(code for code in codes if "class Halfway" in code))
    half_done(PLACE / "half.toml", PLACE / "half-done")
    whole = command(PLACE / "every-kind.toml", "--results", PLACE / "every-kind", "--trainers", 2)
    subprocess.run(whole, check=True)
    python = PLACE / "bin" / "python3"
    python.parent.mkdir()
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    for site in ("slurm", "lsf", "local"):
        place = ("--site", f"{site}.toml", "--results", "half-done", "--python", python)
        nnlc("render", "half.toml", *place, "-o", f"{site}.sh")
        if site == "slurm":
            nnlc("submit", "half.toml", *place)
    for format_ in ("parquet", "csv"):
        nnlc("export", "half-done", "-o", f"export-{format_}", "--format", format_)
    nnlc("report", "half-done", "-o", "page.html")
    python.unlink()
    for path in [*PLACE.glob("*.sh"), *PLACE.glob("half-done/jobs/*")]:
        path.write_text(path.read_text().replace(str(python), PYTHON))
    shutil.rmtree(HERE / version, ignore_errors=True)
    shutil.move(PLACE, HERE / version)


def half_done(campaign: Path, results: Path) -> None:
    """Let a network fail, train two, save the last, and kill the job that went on with it."""
    cursed = f"self._checkpoints._id.endswith({CURSED!r})"
    kill = f"os.kill(os.getpid(), {signal.SIGSEGV:d})"
    tables = "list(self._checkpoints._folder.parent.glob('*_models/*.txt'))"
    when = f"{kill} if {cursed} else self._loop.rows and len({tables}) == 2"
    beside = Path(tempfile.mkdtemp())
    environment = os.environ | slow_steps(beside, HANG_SECONDS, when=when)
    words = command(campaign, "--results", results, "--trainers", 1, "--order", "shortest")
    job = subprocess.Popen(words, env=environment)
    wait_until(lambda: steps_done(beside) == 1 or job.poll())
    job.send_signal(signal.SIGTERM)
    assert job.wait(HANG_SECONDS) == ExitStatus.UNFINISHED
    job = subprocess.Popen(words, env=environment, start_new_session=True)
    wait_for(results, "resume")
    os.killpg(job.pid, signal.SIGKILL)
    job.wait()


def nnlc(*words: object) -> None:
    """Run a command in `PLACE`, as its user would."""
    (PLACE / "bin" / "sbatch").write_text("#!/bin/sh\necho 7\n")  # takes every job, runs none
    (PLACE / "bin" / "sbatch").chmod(0o755)
    environment = os.environ | {"PATH": f"{PLACE / 'bin'}:{os.environ['PATH']}"}
    command_ = [sys.executable, "-m", "nnlc", *map(str, words)]
    subprocess.run(command_, cwd=PLACE, env=environment, check=True)


if __name__ == "__main__":
    main(sys.argv[1])
