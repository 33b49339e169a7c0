"""Copies of the package with changes in them, such as a later nnlc in which bits are others."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from limits import HANG_SECONDS

ROOT = Path(__file__).resolve().parent.parent
LATER = "0.9.0"
_TOUCHES = (
    "lambda spec, images, settings, device: any(block & 4 for block in spec.layer_types)"
    " or bool(spec.fc_dropout_rate and any(spec.fc_dropout_layers))"
)
_WHAT = "dropout draws other masks"


class CopiedPackage:
    """A copy of nnlc, to be changed.

    Args:
        folder: where it is put.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        unfinished = shutil.ignore_patterns("*.pyc.*")  # another process compiles a module
        for name in ("nnlc", "jobs", "launch", "site_configs"):
            shutil.copytree(ROOT / name, folder / name, ignore=unfinished)

    def _replace(self, name: str, old: str, new: str) -> None:
        path = self.folder / "nnlc" / name
        text = path.read_text()
        assert text.count(old) == 1, (name, old)
        path.write_text(text.replace(old, new))

    def run(self, *words: object, module: str = "nnlc", status: int = 0) -> str:
        """Run a command of this nnlc to its end; returns what it said."""
        return self._python("-m", module, *words, status=status)

    def run_all(self, *commands: Sequence[object], statuses: Sequence[int] = ()) -> list[str]:
        """Run several commands in one process; returns what each said."""
        lists = [list(map(str, words)) for words in commands]
        code = (
            "import json\nfrom nnlc.cli import app\nfrom typer.testing import CliRunner\n"
            f"done = [CliRunner().invoke(app, words) for words in {lists!r}]\n"
            "print(json.dumps([[one.exit_code, one.output] for one in done]))"
        )
        done = json.loads(self._python("-c", code).splitlines()[-1])
        assert [status for status, _ in done] == list(statuses or [0] * len(done)), done
        return [told for _, told in done]

    def _python(self, *words: object, status: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, *map(str, words)],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(self.folder)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=HANG_SECONDS,
        )
        assert done.returncode == status, done.stdout
        return done.stdout

    def work(self, campaign: Path, results: Path, *, status: int = 0) -> str:
        """Have its worker train a campaign."""
        words = (campaign, "--results", results, "--device", "cpu")
        return self.run(*words, module="nnlc.worker", status=status)


class ChangedPackage(CopiedPackage):
    """nnlc with other masks for dropout: arithmetic 3 for networks that have it, and no others.

    Args:
        folder: where it is put.
        kept: whether `training.masks = "first"` keeps the old ones.
    """

    def __init__(self, folder: Path, *, kept: bool) -> None:
        super().__init__(folder)
        keeps = "('masks', 'first')" if kept else "None"
        self._replace(
            "families/arithmetic.py",
            ')\n"""All changes',
            f"    Change('{LATER}', '{_WHAT}', {_TOUCHES}, {keeps}),\n)\n\"\"\"All changes",
        )
        seed = 'self._seed("dropout", epoch * len(batches) + step)'
        others = seed.replace('"dropout"', '"other masks"')
        if kept:
            others += " if self._other_masks else " + seed
            truncate = "self._truncate, self._between_steps"
            masks = 'self._other_masks = settings.masks == "second"'
            self._replace(
                "training/loop.py", f"        {truncate}", f"        {masks}\n        {truncate}"
            )
            pooling = '    pooling: Literal["max", "average"] = "max"\n'
            new = '    masks: Literal["first", "second"] = "second"\n'
            self._replace("networks/recipe.py", pooling, pooling + new)
        self._replace("training/loop.py", seed, others)
        self._replace("__init__.py", '__version__ = "', f'__version__ = "{LATER}"  # "')
