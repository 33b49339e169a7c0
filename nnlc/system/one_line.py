"""Texts of users that must be one line, such as commands in a job script."""

import unicodedata

# Control characters, lone surrogates, which no file can contain, and Unicode's line ends.
_NOT_IN_A_LINE = {"Cc", "Cs", "Zl", "Zp"}


def check_line(text: str) -> str:
    """Return the text itself, if it can be one line of a script.

    Raises:
        ValueError: the text is empty, or has a newline, a control character or a lone surrogate.
    """
    if not text:
        raise ValueError("must not be empty")
    bad = next((c for c in text if unicodedata.category(c) in _NOT_IN_A_LINE), None)
    if bad is not None:
        raise ValueError(f"must be one line without control characters; found {bad!r} in {text!r}")
    return text
