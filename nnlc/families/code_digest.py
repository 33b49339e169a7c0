"""Digest of a family's code: equal digests mean equal code, whatever Python reads it.

The code is that of the class's module, and of all modules that it imports from its own package,
also within functions and through each other. The package is the outermost one, such as `mine` of
`mine.nets.cells`. For a module beside a campaign file, modules and packages of its folder count
instead. Bases of the class count with their own packages. Other packages and data files don't.

Comments, docstrings, layout and `pass` don't count either. What is left is written down by rules of
this module, since Python's own text of a syntax tree differs between its versions.
"""

import ast
import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

from nnlc.errors import FamilyError
from nnlc.families.interface import Family
from nnlc.system.files import read_regular
from nnlc.wording import reason_of

_DIGITS = 12
_IGNORED = ("ctx", "kind", "type_comment", "type_ignores")
"""Fields of a syntax tree without effect on the code, or that follow from others."""
_SHIPPED_IN = "nnlc.families."
_Code = dict[str, tuple[Path, str]]
"""File and text of each module, by its name."""


def code_of(kind: type[Family], folder: str | None) -> tuple[str, dict[str, Path]]:
    """Return the digest of the code of a family's class, and the files of its modules by name.

    Args:
        kind: the class; its module is loaded.
        folder: folder of the campaign file, if the module may be beside it.

    Raises:
        FamilyError: a file of the code can't be read.
    """
    code: _Code = {}
    for base in kind.__mro__:
        if issubclass(base, Family) and base is not Family:
            _add_module(base.__module__, _Places(base.__module__, folder), code)
    digest = hashlib.sha256()
    for name, (_, text) in sorted(code.items()):
        digest.update(f"{name}\n{text}\n".encode())
    return digest.hexdigest()[:_DIGITS], {name: path for name, (path, _) in code.items()}


class _Places:
    """Places of the modules that count with a loaded module."""

    def __init__(self, module: str, folder: str | None) -> None:
        parts = module.split(".")
        self._first = ".".join(parts[:3] if module.startswith(_SHIPPED_IN) else parts[:1])
        loaded = sys.modules[self._first]
        place = getattr(loaded, "__file__", None)
        file = Path(place) if place else None
        self._file = file
        self._package = [Path(each) for each in getattr(loaded, "__path__", ())]
        self._folder = None
        if folder is not None:
            here = Path(folder).resolve()
            lies = [*self._package, *([file] if file else [])]
            self._folder = here if here in [each.parent.resolve() for each in lies] else None

    def file_of(self, module: str) -> Path | None:
        """Return the file of a module; None if it does not count, or is no module."""
        first, _, inner = module.partition(".")
        if self._folder is not None and first not in ("", "nnlc"):
            return _python_file(self._folder.joinpath(*module.split(".")))
        if module == self._first and not self._package:
            return self._file
        if module != self._first and not module.startswith(f"{self._first}."):
            return None
        inner = module.removeprefix(self._first).lstrip(".")
        found = (_python_file(each.joinpath(*inner.split("."))) for each in self._package)
        return next(filter(None, found), None)


def _python_file(stem: Path) -> Path | None:
    """Return the file of the module or the package at a path without ending."""
    paths = (stem / "__init__.py", stem.with_name(f"{stem.name}.py"))
    return next((path for path in paths if path.is_file()), None)


def _add_module(name: str, places: _Places, code: _Code) -> None:
    """Add the text of a module's code, and of all that it imports from its package."""
    path = places.file_of(name)
    if path is None or name in code:
        return
    try:
        tree = ast.parse(read_regular(path))
        code[name] = path, "".join(_text(tree))
    except (OSError, SyntaxError, ValueError) as problem:
        raise FamilyError(f"{path}: its code can't be read: {reason_of(problem)}") from None
    except RecursionError:
        raise FamilyError(
            f"{path}: its code is nested too deeply, as in an expression of hundreds of terms or "
            "an if with hundreds of elif; make it a list, or a dictionary"
        ) from None
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for imported in _imported(tree, package):
        _add_module(imported, places, code)


def _imported(tree: ast.Module, package: str) -> Iterator[str]:
    """Yield the names of modules that code may import; some are names of other things."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: 1 - node.level or None] if node.level else []
            base = ".".join(filter(None, [*above, node.module or ""]))
            yield base
            yield from (f"{base}.{alias.name}".lstrip(".") for alias in node.names)


def _text(node: object) -> Iterator[str]:
    """Yield the parts of a text that tells each syntax tree from each other."""
    if isinstance(node, ast.AST):
        yield f"({type(node).__name__}"
        for name in sorted(set(node._fields) - set(_IGNORED)):
            value = getattr(node, name, None)
            if isinstance(node, ast.JoinedStr) and value:  # versions differ in empty parts
                value = [part for part in value if getattr(part, "value", None) != ""]
            if value is not None and value != []:  # versions of Python differ in empty fields
                yield f" {name}="
                yield from _text(value)
        yield ")"
    elif isinstance(node, list):
        yield "["
        for each in node:
            if not _has_no_effect(each):
                yield from _text(each)
        yield "]"
    else:
        yield f"{type(node).__name__}:{node!r}"


def _has_no_effect(node: object) -> bool:
    """Return True for `pass` and for texts that are statements, such as docstrings."""
    value = node.value if isinstance(node, ast.Expr) else None
    is_text = isinstance(value, ast.Constant) and isinstance(value.value, str)
    return is_text or isinstance(node, ast.Pass)
