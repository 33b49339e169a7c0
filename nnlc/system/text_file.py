"""Reading of text files that users may have edited, with any editor."""

import codecs
import re
from pathlib import Path

from nnlc.errors import NnlcError
from nnlc.system.files import read_regular, why_unread

MOST_BYTES = 64 << 20
"""Largest text file: a list of a million IDs has 27 MB."""
BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    **dict.fromkeys((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE), "utf-32"),
    **dict.fromkeys((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE), "utf-16"),
}
"""Encoding of each byte-order mark; longer marks come before shorter ones."""


def read_text(path: Path, error: type[NnlcError] = NnlcError, *, errors: str = "strict") -> str:
    """Return the text of a UTF-8 file without byte-order mark, with newlines as line ends.

    Args:
        path: the file.
        error: class of the error to raise.
        errors: "strict", or "replace" for U+FFFD in place of invalid bytes.

    Raises:
        error: the file can't be read, is too large, or is no text; the message begins with the
            path.
    """
    return decode_text(read_undecoded(path, error), path, error, errors=errors)


def read_undecoded(path: Path, error: type[NnlcError] = NnlcError) -> bytes:
    """Return the bytes of a text file, for callers that need its line ends.

    Raises:
        error: the file can't be read or is too large; the message begins with the path.
    """
    try:
        content = read_regular(path, most=MOST_BYTES + 1)
    except FileNotFoundError:
        raise error(f"{path}: no such file") from None
    except OSError as problem:
        raise error(f"{path}: {why_unread(problem)}") from None
    if len(content) > MOST_BYTES:
        raise error(f"{path}: has over {MOST_BYTES >> 20} MB, too many for a text file")
    return content


def decode_text(
    content: bytes, path: Path, error: type[NnlcError] = NnlcError, *, errors: str = "strict"
) -> str:
    """Return the text of a UTF-8 file's bytes, as `read_text` does.

    Raises:
        error: the bytes are not UTF-8.
    """
    if content.startswith(tuple(BYTE_ORDER_MARKS)) and not content.startswith(codecs.BOM_UTF8):
        raise error(f"{path}: is UTF-16 or UTF-32; save it as UTF-8")
    try:
        text = content.decode("utf-8-sig", errors)
    except UnicodeDecodeError as problem:
        raise error(f"{path}: not a text file (byte {problem.start} is no UTF-8)") from None
    return re.sub(r"\r\n?", "\n", text)
