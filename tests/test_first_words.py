"""Docstrings begin so that their first sentence stands alone."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "nnlc"
LEANING = {
    *("Of", "That", "Whoever", "Whether", "What", "Which", "Where", "When", "How", "Who", "Whose"),
    *("As", "It", "Its", "They", "Those", "These", "Such", "So", "Same", "Also", "Else"),
    *("Beside", "Behind"),
}
"""First words that lean on the name above, or on the sentence before. Ruff checks verbs (D401)."""


def docstrings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield the line and text of every docstring, attributes' included."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        for child in body if isinstance(body, list) else ():
            match child:
                case ast.Expr(value=ast.Constant(value=str(text))):
                    yield child.lineno, text


@pytest.mark.parametrize(
    "path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_no_docstring_leans_on_what_stands_above_it(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    leaning = {
        line: text.split("\n")[0]
        for line, text in docstrings(tree)
        if text.split()[0].strip("`:,") in LEANING or text.startswith("The same")
    }
    assert leaning == {}
