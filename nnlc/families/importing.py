"""Import of modules that have a family, also of those beside a campaign file."""

import importlib
import importlib.util
import sys
from collections.abc import Iterable
from importlib.machinery import PathFinder
from pathlib import Path

from nnlc.errors import FamilyError
from nnlc.families.own_code import raised_within
from nnlc.system.foreign_code import ForeignCodeError, running_foreign_code


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
        why = raised_within(str(Path(folder).resolve()) if folder else "", problem.raised)
        raise FamilyError(f"module {module}{where} can't be imported: {why}") from None
    finally:
        sys.dont_write_bytecode = writes_none
    if not hasattr(found, name):
        raise FamilyError(f"module {module} has no class {name}")
    return getattr(found, name)


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
        raise FamilyError(
            f"there is no module {first} in {here}, and none is installed; put it there; if it has "
            "moved with its campaign file, start the worker with that file"
        )
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
