"""The house of families: who knows the article's, and what a user's family needs of nnlc."""

import ast
import re
from pathlib import Path

import nnlc.families
from nnlc.families.article.spec import LAYOUT

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "nnlc"
ARTICLE = PACKAGE / "families" / "article"
MAY_ASK_THE_ARTICLES = {
    "__init__.py": "public names",
    "families/arithmetic.py": "a change of the bits of its convolutions",
    "families/layouts.py": "what tables without a column `family` have",
    "families/registry.py": "its name",
    "families/table_rules.py": "rules of tables without a column `family`",
    "benchmark/config_space.py": "its search space as a ConfigSpace",
    "training/device_check.py": "a small network, with which a GPU is checked",
}
"""Modules that import the article's family, and for what. This list only gets shorter."""
OF_THE_ARTICLE = {
    *(name for column in LAYOUT.own for name in (column.field, column.name)),
    *("SearchSpace", "NetworkSpec", "walk_network", "sample_network", "MAX_DEPTH"),
}
"""Names of its columns, and of what only its networks have."""
IN_MESSAGES = {"plotting/plot.py": {"layer_types"}}
"""Settings of figures that are named like its columns."""


def _code_words(path: Path) -> set[str]:
    """Names and texts in a module's code, but no docstrings, annotations for types or imports."""
    tree = ast.parse(path.read_text())
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            node.value.value = None  # a docstring
        found |= {getattr(node, "attr", ""), getattr(node, "id", ""), getattr(node, "arg", "")}
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            found |= set(re.findall(r"\w+", node.value))
    return found


def _asks_the_articles(path: Path) -> bool:
    """True if a module imports the article's family."""
    froms = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.ImportFrom)]
    return any(str(node.module).startswith("nnlc.families.article") for node in froms)


def test_only_the_articles_family_knows_table_3_its_blocks_and_its_columns():
    for path in sorted(PACKAGE.rglob("*.py")):
        if ARTICLE in path.parents:
            continue
        name = str(path.relative_to(PACKAGE))
        asked = _asks_the_articles(path)
        assert asked == (name in MAY_ASK_THE_ARTICLES), name
        known = set() if name in ("__init__.py", "families/registry.py") else OF_THE_ARTICLE
        assert not _code_words(path) & known - IN_MESSAGES.get(name, set()), name


EXAMPLES = sorted(
    path for path in (ROOT / "tests").rglob("*.py") if "nnlc.families import" in path.read_text()
)


def _families(path: Path) -> list[str]:
    """Sources of modules with a family in a file of tests: the file itself, or texts in it."""
    source = path.read_text()
    texts = [n.value for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Constant)]
    inner = [text for text in texts if isinstance(text, str) and "import Family" in text]
    return inner or ([source] if path.parent.name == "families" else [])


def test_a_users_family_imports_nothing_else_of_nnlc():
    """The names of `nnlc.families` are enough, for nnlc's own second family too."""
    texts = [(PACKAGE / "families" / "residual.py").read_text()]
    for page in (ROOT / "docs").rglob("*.md"):
        blocks = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
        texts += [block for block in blocks if "nnlc.families import" in block]
    texts += [text for path in EXAMPLES for text in _families(path)]
    assert len(texts) > 5
    for text in texts:
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("nnlc"):
                assert node.module == "nnlc.families", text
                assert {alias.name for alias in node.names} <= set(nnlc.families.__all__), text
            elif isinstance(node, ast.Import):
                assert not [alias for alias in node.names if alias.name.startswith("nnlc")], text
