"""Page as one HTML file, which holds all it needs and may load nothing else."""

import base64
import hashlib
import html
from functools import cache
from pathlib import Path
from typing import Any

from nnlc.reporting.payload import to_json
from nnlc.system.files import read_regular

MARK = b'<meta name="generator" content="nnlc report">'
"""Tag by which nnlc recognises a page that it wrote."""
_FOLDER = Path(__file__).parent / "page"
_SCRIPTS = (
    *("text", "data", "filters", "scales", "bands", "chart", "grid", "layers", "detail"),
    *("overview", "comparison", "live", "main"),
)
"""Scripts, each after those that it uses."""
_NOWHERE = "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'"


def build_page(payload: dict[str, Any], *, live: dict[str, Any] | None = None) -> bytes:
    """Return the page with its data; the same data give the same bytes.

    Args:
        payload: result of `whole_payload`.
        live: data for `page/live.js`; None for a page that never changes.
    """
    parts = {
        "policy": content_policy(live=live is not None),
        "title": html.escape(payload["title"]),
        "style": _style(),
        "data": to_json(payload | {"live": live}),
        "script": _script(),
    }
    pieces = (parts.get(piece, piece) for piece in _text("page.html").split("@@"))
    return "".join(pieces).encode("utf-8", "replace")


def content_policy(*, live: bool) -> str:
    """Return what the browser may load and run: this style, this script, and a live page's updates.

    Source: W3C, Content Security Policy Level 3, and Trusted Types.
    """
    policy = (
        f"{_NOWHERE}; script-src '{_digest(_script())}'; style-src '{_digest(_style())}'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    )
    return policy + "; connect-src 'self'" if live else policy


@cache
def _style() -> str:
    return _text("page.css")


@cache
def _script() -> str:
    texts = [_text(f"{name}.js") for name in _SCRIPTS]
    return '"use strict";\n(() => {\n' + "\n".join(texts) + "\n})();\n"


def _text(name: str) -> str:
    return read_regular(_FOLDER / name).decode()


def _digest(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"sha256-{digest}"
