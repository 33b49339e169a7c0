"""Import of modules that have a family, also of those beside a campaign file."""

import importlib
import importlib.util
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any, cast

from nnlc.errors import FamilyError
from nnlc.families.interface import Family
from nnlc.families.own_code import raised_within
from nnlc.families.reference import FamilyReference
from nnlc.system.foreign_code import ForeignCodeError, running_foreign_code
from nnlc.system.toml_file import did_you_mean


def attribute_of(module: str, name: str, folder: str | None) -> object:
    """Return what a module has under a name, after importing the module if it is not yet.

    Args:
        module: name of the module.
        name: the attribute.
        folder: folder in which the module may be, for messages.

    Raises:
        FamilyError: the module can't be imported, or has no such name.
    """
    writes_none, sys.dont_write_bytecode = sys.dont_write_bytecode, folder is not None
    try:
        with running_foreign_code():
            found = importlib.import_module(module)
    except ForeignCodeError as problem:
        where = f" in {folder}" if folder else ""
        why = raised_within(f"{Path(folder).resolve()}/" if folder else "", problem.raised)
        raise FamilyError(f"module {module}{where} can't be imported: {why}") from None
    finally:
        sys.dont_write_bytecode = writes_none
    if not hasattr(found, name):
        known = [key for key, value in vars(found).items() if _is_family(value)]
        advice = did_you_mean(name, known) if known else "nor another family"
        raise FamilyError(f"module {module} has no class {name}; {advice}")
    return getattr(found, name)


def _is_family(found: object) -> bool:
    return isinstance(found, type) and issubclass(found, Family) and found is not Family


class _TorchWatch:
    """Finder that finds no module, but notes which lines were running when torch was looked for."""

    def __init__(self) -> None:
        self.lines: list[traceback.FrameSummary] = []

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name == "torch" and not self.lines:
            self.lines = traceback.extract_stack(sys._getframe(1))


@contextmanager
def watching_torch() -> Iterator[Callable[[Iterable[Path]], str]]:
    """Watch for the first import of torch.

    Yields:
        A function that returns where some files imported torch in this context, itself or by other
        modules, such as "/here/mine.py, line 3"; "" if they did not.
    """
    watch = _TorchWatch()

    def place(code: Iterable[Path]) -> str:
        if "torch" not in sys.modules:
            return ""  # it was only asked whether there is torch
        files = {str(path) for path in code}
        own = [line for line in watch.lines if line.filename in files]
        return f"{own[-1].filename}, line {own[-1].lineno}" if own else ""

    sys.meta_path.insert(0, cast(Any, watch))
    try:
        yield place
    finally:
        sys.meta_path.remove(cast(Any, watch))


def prefer_installed() -> None:
    """Let modules that are installed go before those of the working directory.

    Python looks there first when a program is started by `python -m`.
    """
    if sys.path and sys.path[0] in ("", str(Path.cwd())):
        sys.path.append(sys.path.pop(0))


def hidden_module(reference: FamilyReference) -> str:
    """Return a note if a family's module is in a folder, and one of this name is installed too."""
    if ":" not in reference.name or reference.folder is None:
        return ""
    here, first = str(Path(reference.folder).resolve()), re.split("[.:]", reference.name)[0]
    others = [place for place in sys.path if str(Path(place).resolve()) != here]
    used, other = (PathFinder.find_spec(first, places) for places in ([here], others))
    if not (used and used.origin and other and other.origin):
        return ""
    return f"module {first} is {used.origin}; {other.origin}, which is installed, is not used"


def use_folder(folder: str, module: str) -> None:
    """Let modules of a folder be imported, as for a script in that folder.

    Raises:
        FamilyError: another module of this name is in use.
    """
    here = str(Path(folder).resolve())
    sys.path[:] = [here, *(place for place in sys.path if place != here)]
    importlib.invalidate_caches()
    first = module.partition(".")[0]
    if first not in sys.modules and importlib.util.find_spec(first) is None:
        known = sorted(path.stem for path in Path(here).glob("*.py"))
        raise FamilyError(
            f"there is no module {first} in {here}, and none is installed; "
            + (f"{did_you_mean(first, known)}; " if known else "")
            + "if a results folder names this place, and the module has moved with its campaign "
            "file, start the worker with that file"
        )
    if Path(here, f"{first}.py").is_file() and Path(here, first, "__init__.py").is_file():
        raise FamilyError(f"{here} has a module {first}.py and a package {first}: rename one")
    there = PathFinder.find_spec(first, [here])
    if there is not None and there.origin is not None:
        check_not_taken(first, Path(there.origin))


def check_not_taken(module: str, path: Path) -> None:
    """Check that a module that is in use, if it is, is the one in a file.

    Raises:
        FamilyError: it is another.
    """
    used = getattr(sys.modules.get(module), "__file__", None)
    if used is not None and Path(used).resolve() != path.resolve():
        raise FamilyError(
            f"{path}: another module has the name {module} already, {used}; give this one another "
            "name"
        )


def forget_folder(folder: str, modules: Iterable[str]) -> None:
    """Undo `use_folder`, since modules of another folder may have the same names.

    Args:
        folder: the folder.
        modules: modules that may have been imported from it.
    """
    here = str(Path(folder).resolve())
    for name in modules:
        if str(getattr(sys.modules.get(name), "__file__", "")).startswith(f"{here}/"):
            del sys.modules[name]
    sys.path[:] = [place for place in sys.path if place != here]
