"""Damage to any file, and the message that a user gets for it, whatever the parser throws."""

from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from nnlc.errors import NnlcError

quickly = settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@st.composite
def damaged(draw, whole: bytes):
    """The bytes of a file with some flipped, cut off or put in."""
    content = bytearray(whole)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(content)))
        match draw(st.sampled_from(["flip", "cut", "insert", "remove"])):
            case "flip" if place < len(content):
                content[place] ^= draw(st.integers(1, 255))
            case "cut":
                del content[place:]
            case "insert":
                content[place:place] = draw(st.binary(min_size=1, max_size=40))
            case _:
                del content[place : place + draw(st.integers(1, 40))]
    return bytes(content)


def check_message(path: Path, error: type[NnlcError], use) -> None:
    """Whatever is wrong with the file is a short message that begins with its path."""
    words = message_of(error, use)
    assert words is None or words.startswith(str(path))
    assert len(words or "") < 4000
    assert len((words or "").splitlines()) <= 12


def message_of(error: type[NnlcError], use) -> str | None:
    try:
        use()
    except error as problem:
        return str(problem)
    return None
