"""The digest of a family's code: what changes it, what does not, and that it is every Python's."""

import sys

import pytest
from own_family import CAMPAIGN, MODULE, write_campaign

from nnlc.campaign.campaign import load_campaign
from nnlc.errors import FamilyError
from nnlc.families import loading, registry
from nnlc.families.reference import FamilyReference

CONSTRUCTS = '''
"""A module."""
from __future__ import annotations
import dataclasses as d, os.path
from . import sibling
from .. import above as a
import importlib

X: int = -1 + 2j
Y = b"bytes", 'text', u"text", r"\\n", 1_000, 0x10, 1e400, ..., None, True, not False, "", [""]
lambda a, /, b=1, *c, d, e=2, **f: (yield)
async def g(x: int = 3, *, y) -> None:
    """Docstring."""
    async with a as b, c: await d
    async for e in f: pass
    else: return
    return [i async for i in j if k]

@decorated(1, *a, **k)
class C(B, metaclass=M):
    """Docstring."""
    z: "int" = 1
    """Of z."""
    def m(self, *a: int, **k): return super().m(*a[1:2, ::3], **k)

def f():
    global X
    try: raise E from None
    except* (A, B) as e: del e.x, e[0]
    while (n := 3) > 2 >= 1: break
    else: nonlocal_ = {**a, 1: 2, "k": {3, *b}}
    for i, (j, *k) in l: continue
    with (open(a) as x, open(b) as y): assert x, "text"
    match x:
        case [1, *r] | {"k": v, **rest}: pass
        case C(1, a=2) if y: pass
        case -1 | None | "s" | _: pass
    x += y if z else w
    return f"a{x!r:>{w}}b" f"{y}" "c" f"" f"{x=}" f"{x:}"
'''


def digest_of(folder, module: str = MODULE, name: str = "ladder:Ladder", **siblings: str) -> str:
    """The digest of a family in a folder of its own, as a new process has it."""
    folder.mkdir(exist_ok=True)
    for sibling, text in siblings.items():
        (folder / f"{sibling}.py").write_text(text)
    (folder / "ladder.py").write_text(module)
    loading.forget_all()
    reference = registry.completed(FamilyReference(name=name, folder=str(folder)))
    loading.forget_all()
    return reference.code


@pytest.fixture
def digest(tmp_path):
    numbers = iter(range(100))
    return lambda *args, **kwargs: digest_of(tmp_path / str(next(numbers)), *args, **kwargs)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("    def build(", "    # a comment\n\n\n    def build("),
        ('"""Fully connected layers, as many', '"""Many layers'),
        ("    widest: int = 8\n", '    widest: int = 8\n    """Units of a layer."""\n'),
        ('draws.coin("bias")', "(draws.coin('bias'))"),
        ("import Family, Wrong\n", "import Family, Wrong\npass\n"),
        ("columns = {", "columns = {\n"),
    ],
)
def test_comments_docstrings_and_layout_do_not_count(old, new, digest):
    assert old in MODULE
    assert digest(MODULE.replace(old, new)) == digest()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("draws.integer(2,", "draws.integer(1,"),
        ("widest: int = 8", "widest: int = 9"),
        ('momentum": 0.5', 'momentum": 0.25'),
        ("    def check(", '    @staticmethod\n    def more(): return [""]\n\n    def check('),
        ("nn.Flatten()]", "nn.Flatten(), *()]"),
        ('name = "ladder"', 'name = "ladders"'),
        ("return nn.Sequential", "return  +nn.Sequential"),
        ("bias=spec.bias", "bias=not spec.bias"),
    ],
)
def test_any_other_change_counts(old, new, digest):
    assert old in MODULE
    assert digest(MODULE.replace(old, new)) != digest()


def test_an_empty_text_counts_in_a_list(digest):
    def with_names(names: str) -> str:
        return digest(f"NAMES = {names}\n{MODULE}")

    assert len({with_names(names) for names in ('["", 1]', "[1]", '[f"", 1]', "[None, 1]")}) == 4


def test_modules_of_the_folder_count_that_are_imported_at_any_depth(digest):
    module = MODULE.replace("        from torch", "        import lazy.deep\n        from torch")
    siblings = {"rungs": "import feet\n", "feet": "A = 1\n"}
    module = "import rungs\n" + module
    known = digest(module, **siblings)
    assert digest(module, **siblings, unused="1 / 0\n") == known
    assert digest(module, **siblings | {"feet": "A = 1  # one\n"}) == known
    assert digest(module, **siblings | {"feet": "A = 2\n"}) != known


def test_modules_beside_a_link_to_a_family_count(tmp_path):
    found = set()
    (tmp_path / "ladder.py").symlink_to(tmp_path / "elsewhere.py")
    for text in ("A = 1\n", "A = 2\n"):
        found.add(digest_of(tmp_path, "import rungs\n" + MODULE, rungs=text))
        sys.modules.pop("rungs", None)
    assert len(found) == 2


def test_a_module_that_only_build_imports_counts_although_it_is_not_loaded(tmp_path):
    module = MODULE.replace("        from torch", "        import lazy.deep\n        from torch")
    folder = tmp_path / "own"
    (folder / "lazy").mkdir(parents=True)
    found = set()
    for text in ("1 / 0\n", "1 / 1\n"):
        (folder / "lazy" / "deep.py").write_text(text)
        found.add(digest_of(folder, module))
    assert len(found) == 2
    assert "lazy.deep" not in sys.modules


def test_other_packages_do_not_count_and_those_of_a_family_count_from_anywhere(tmp_path, digest):
    assert digest("import json, numpy, nnlc\n" + MODULE) != digest()  # the import does
    loaded = loading.load_family(FamilyReference(name="residual"))
    assert loaded.modules == {"nnlc.families.residual"}


def test_a_base_class_counts(tmp_path):
    bases, found = MODULE.replace('"ladder"', '"rungs"'), set()
    for widest in (8, 9):
        (tmp_path / "rungs.py").write_text(bases.replace("= 8", f"= {widest}"))
        module = "import rungs\nfrom dataclasses import dataclass\n@dataclass(frozen=True)\n"
        module += "class Ladder(rungs.Ladder):\n    name = 'ladder'\n"
        found.add(digest_of(tmp_path, module))
    assert len(found) == 2


SMALL = """
from dataclasses import dataclass
from nnlc.families import Family

@dataclass(frozen=True)
class Small(Family):
    name, version, columns = "small", "1", {}

    def specify(self, draws, images, group, number):
        return {"batch_size": 100, "learning_rate": 0.5}

    def build(self, spec, images):
        import constructs
"""


def test_the_digest_does_not_depend_on_the_version_of_python(digest):
    """Each Python on which the tests run must have the digest that is written down here."""
    assert digest(SMALL, "ladder:Small", constructs=CONSTRUCTS) == "b77f3c84dbf1"


def test_code_that_can_not_be_read_is_named(tmp_path):
    module = MODULE.replace("        from torch", "        import rungs\n        from torch")
    with pytest.raises(FamilyError, match=r"rungs\.py: its code can't be read: "):
        digest_of(tmp_path, module, rungs="def (\n")


def test_a_folder_that_has_nnlc_itself_counts_none_of_it(tmp_path):
    path = write_campaign(tmp_path, text=CAMPAIGN)
    before = load_campaign(path).family.code
    loading.forget_all()
    (tmp_path / "nnlc" / "families").mkdir(parents=True)
    (tmp_path / "nnlc" / "families" / "__init__.py").write_text("1 / 0\n")
    assert load_campaign(path).family.code == before
