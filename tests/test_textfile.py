"""Text that a person has edited is read as it was meant, whatever editor it was."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnlc.errors import CampaignError
from nnlc.textfile import decode_text, read_text


@given(
    st.lists(st.text(st.characters(exclude_characters="\r\n\ufeff", exclude_categories=["Cs"]))),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.booleans(),
)
def test_marks_and_line_ends_change_nothing(tmp_path_factory, lines, end, mark):
    content = (b"\xef\xbb\xbf" if mark else b"") + end.join(lines).encode()
    assert decode_text(content, tmp_path_factory.getbasetemp()).split("\n") == (lines or [""])


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-32"])
def test_other_encodings_are_named(tmp_path, encoding):
    mark = "\ufeff" if encoding.endswith("be") else ""
    (tmp_path / "a").write_bytes((mark + "name = 1").encode(encoding))
    with pytest.raises(CampaignError, match=r"a: is UTF-16 or UTF-32; save it as UTF-8"):
        read_text(tmp_path / "a", CampaignError)


def test_what_is_no_text_says_where(tmp_path):
    (tmp_path / "a").write_bytes(b"abc\xff")
    with pytest.raises(CampaignError, match=r"a: not a text file \(byte 3 is no UTF-8\)"):
        read_text(tmp_path / "a", CampaignError)
