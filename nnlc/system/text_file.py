"""Text that a person may have edited: one reader, whatever editor it was."""

import codecs
import re
from pathlib import Path

from nnlc.errors import NnlcError
from nnlc.system.files import read_regular, why_unread

MOST_BYTES = 64 << 20
"""No text that somebody edits is larger; a list of a million IDs has 27 MB."""
MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    **dict.fromkeys((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE), "utf-32"),
    **dict.fromkeys((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE), "utf-16"),
}
"""By their bytes, the encodings that a byte-order mark tells; a longer mark before a shorter."""


def read_text(path: Path, error: type[NnlcError] = NnlcError, *, errors: str = "strict") -> str:
    """Read a text file as it was meant, with line ends of one character.

    A byte-order mark, as Notepad and Excel write it, is no part of the text; lines may end as on
    any system.

    Args:
        path: the file.
        error: what to raise.
        errors: "replace" takes letters of another encoding for unknown ones.

    Raises:
        error: it can't be read, is too large, or is no text; the message begins with the path.
    """
    return decode_text(read_undecoded(path, error), path, error, errors=errors)


def read_undecoded(path: Path, error: type[NnlcError] = NnlcError) -> bytes:
    """Return the bytes of a text file, for those who look at its line ends too.

    Raises:
        error: it can't be read or is too large; the message begins with the path.
    """
    try:
        content = read_regular(path, most=MOST_BYTES + 1)
    except FileNotFoundError:
        raise error(f"{path}: no such file") from None
    except OSError as problem:
        raise error(f"{path}: {why_unread(problem)}") from None
    if len(content) > MOST_BYTES:
        raise error(f"{path}: has over {MOST_BYTES >> 20} MB, too many for a text of this kind")
    return content


def decode_text(
    content: bytes, path: Path, error: type[NnlcError] = NnlcError, *, errors: str = "strict"
) -> str:
    """Return the text of bytes that were read already, as `read_text` does.

    Raises:
        error: they are no UTF-8.
    """
    if content.startswith(tuple(MARKS)) and not content.startswith(codecs.BOM_UTF8):
        raise error(f"{path}: is UTF-16 or UTF-32; save it as UTF-8")
    try:
        text = content.decode("utf-8-sig", errors)
    except UnicodeDecodeError as problem:
        raise error(f"{path}: not a text file (byte {problem.start} is no UTF-8)") from None
    return re.sub(r"\r\n?", "\n", text)
