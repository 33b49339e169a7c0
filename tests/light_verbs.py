"""All of nnlc where no extra is installed: `python tests/light_verbs.py`, by test_light.py.

In an empty folder it imports every module, runs every command and calls what is public, and prints
what came of it as JSON.
"""

import json
import pkgutil
import shutil
from http.server import HTTPServer
from importlib import import_module
from pathlib import Path

import numpy as np
from curve_samples import saturating, table
from typer.testing import CliRunner

import nnlc
from nnlc.calibration import calibrate
from nnlc.cli import app

EXTRAS = (
    *("torch", "torchvision", "safetensors", "mpi4py", "pyarrow", "h5py", "scipy"),
    *("ConfigSpace", "optuna", "syne_tune", "mfpbench"),
)
OLD = Path(__file__).parent / "old" / "0.2.0"
TABLE = "every/F-MNIST-sample_models/2026_11_24_00_00_00_000000.txt"

VERBS = {
    "campaigns": "",
    "keys": "",
    "specs smoke": "",
    "stage smoke": "",
    "describe own.npz": "",
    "check-family residual": "train",
    "status half": "",
    "spent half": "",
    "retry half": "",
    "notify half --command true": "",
    "grow half half.toml --dry-run": "",
    "upgrade every": "",
    "upgrade half --new-arithmetic": "train",
    "plan smoke --site summit": "",
    "plan smoke": "train",
    "calibrate every": "fit",
    "render smoke --site slurm -o job.sh": "",
    "submit smoke --site slurm --dry-run": "mpi",
    "cancel every": "",
    "lint job.sh --site slurm": "",
    "sites": "",
    "doctor": "train",
    "metrics every": "",
    "importance curves": "",
    "audit every": "",
    f"rebuild {TABLE}": "",
    f"rebuild {TABLE} --python": "",
    f"verify {TABLE}": "train",
    f"show {TABLE}": "",
    "merge every half -o merged": "",
    "subset every -o some --sample 2": "",
    "export every -o parquet": "export",
    "export every -o csv --format csv": "",
    f"import {OLD / 'export-parquet'} -o restored": "export",
    "import csv -o again": "",
    "predict curves": "",
    "compare curves --methods last1,penguin": "",
    "plot curves -o curves.pdf": "",
    "report every -o report.html": "",
    "serve every --port 0": "",
}
"""Each command, and the extra that it must ask for; empty: it works."""


def lay_out() -> None:
    """Fill the working directory with what the commands read."""
    shutil.copytree(OLD / "half-done", "half")
    shutil.copytree(OLD / "every-kind", "every")
    shutil.copy(OLD / "half.toml", "half.toml")
    Path("base.toml").write_text(
        (OLD / "base.toml").read_text().replace("epochs = 2", "epochs = 3")
    )
    Path("curves").mkdir()
    for number, curve in enumerate(saturating(12)):
        one = table(number, curve)
        Path(f"curves/{one.spec.id}.txt").write_bytes(one.to_bytes())
    arrays = {}
    for split in ("train", "validation"):
        arrays[f"{split}_images"] = np.arange(64 * 64, dtype=np.uint8).reshape(64, 1, 8, 8)
        arrays[f"{split}_labels"] = np.arange(64) % 4
    np.savez("own.npz", **arrays)


def imported() -> list[str]:
    """Return the modules of nnlc that can't be imported."""
    failed = []
    for module in pkgutil.walk_packages(nnlc.__path__, "nnlc."):
        if not module.name.endswith("__main__"):
            try:
                import_module(module.name)
            except ModuleNotFoundError as problem:
                if problem.name.partition(".")[0] not in EXTRAS:
                    raise
                failed.append(module.name)
    return failed


def run(words: str) -> list[object]:
    """Run a command; return its exit status and output, or the error that ends it."""
    done = CliRunner().invoke(app, words.split())
    if isinstance(done.exception, nnlc.NnlcError):
        return [1, str(done.exception)]
    return [done.exit_code, done.output if done.exit_code < 5 else repr(done.exception)]


def public() -> dict[str, str]:
    """Return what is said where a public function needs an extra."""
    said = {}
    for name in nnlc.__all__:
        getattr(nnlc, name)
    for name, call in {
        "rebuild": lambda: nnlc.rebuild(TABLE),
        "verify": lambda: nnlc.verify(TABLE),
        "export_tables": lambda: nnlc.export_tables("every", "new"),
        "config_space": lambda: nnlc.config_space("smoke"),
    }.items():
        try:
            call()
        except nnlc.NnlcError as problem:
            said[name] = str(problem)
    return said


def main() -> None:
    lay_out()
    failed = imported()
    calibrate.FEWEST_NETWORKS = 9  # as many as there are
    HTTPServer.serve_forever = lambda _self: None
    found = {words: run(words) for words in VERBS}
    print(json.dumps({"modules": failed, "verbs": found, "public": public()}))


if __name__ == "__main__":
    main()
