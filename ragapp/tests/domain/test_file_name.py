"""What is kept of a file's name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragapp.domain.file_name import MOST_CHARACTERS, kept_name


@pytest.mark.parametrize(
    ("given_name", "kept"),
    [
        ("guide.pdf", "guide.pdf"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\Plan  B.docx", "Plan B.docx"),
        ("a\r\nb\x00.txt", "a b.txt"),
        ("invoice\u202efdp.exe", "invoicefdp.exe"),
        ("cafe\u0301.md", "caf\u00e9.md"),
        ("..", ""),
        ("/", ""),
        ("x" * 300 + ".pdf", "x" * 196 + ".pdf"),
    ],
)
def test_name_is_kept_without_folders_and_tricks(given_name, kept):
    assert kept_name(given_name) == kept


@given(st.text())
def test_kept_name_is_short_plain_and_stays_as_it_is(name):
    kept = kept_name(name)

    assert len(kept) <= MOST_CHARACTERS
    assert not set(kept) & set("/\\\r\n\x00")
    assert kept_name(kept) == kept
