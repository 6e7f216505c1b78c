"""Laws of chunking: exact spans, nothing lost, never longer than the embedder reads."""

import re
import time
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragapp.domain import chunk as chunking
from ragapp.domain.chunk import _FENCE, _ROW, Sizes, _fences, sections, sentences, split
from ragapp.domain.document import Document, Heading, Page
from ragapp.extract.formats.markdown import structured

SMALL = Sizes(limit=40, target=28, small=8, overlap=5, context=8)

_TOKEN = r"[\u4e00-\u9fff]|[^\W\u4e00-\u9fff]{1,3}|[^\w\s]"


class WordTokenizer:
    """Three characters, one ideograph or one mark per token: like a real one, it splits words."""

    def offsets(self, text: str) -> list[tuple[int, int]]:
        return [match.span() for match in re.finditer(_TOKEN, text)]

    def count(self, text: str) -> int:
        return len(self.offsets(text))


TOKENIZER = WordTokenizer()
LINES = st.lists(
    st.one_of(
        st.text("abcdé 漢.!?。|-", max_size=80),
        st.sampled_from(["", "# One", "## Two", "### Three", "```", "- item one", "| a | b |"]),
    ),
    max_size=30,
)
DOCUMENTS = st.builds(
    lambda lines, title: structured("\n".join(lines), title=title),
    LINES,
    st.text("Tte ", max_size=60),
)


@given(DOCUMENTS)
def test_each_chunk_is_its_exact_span_and_within_the_limit(document):
    for chunk in split(document, TOKENIZER, SMALL):
        assert document.text[chunk.start : chunk.end] == chunk.text
        assert chunk.tokens == TOKENIZER.count(chunk.indexed_text) <= SMALL.limit
        assert chunk.text == chunk.text.strip() != ""


@given(DOCUMENTS)
def test_no_word_is_lost_and_chunks_go_forward(document):
    chunks = split(document, TOKENIZER, SMALL)

    covered = {i for chunk in chunks for i in range(chunk.start, chunk.end)}
    missing = [c for i, c in enumerate(document.text) if i not in covered and not c.isspace()]
    assert missing == []
    assert [chunk.start for chunk in chunks] == sorted({chunk.start for chunk in chunks})
    assert [chunk.end for chunk in chunks] == sorted({chunk.end for chunk in chunks})


@given(DOCUMENTS)
def test_equal_documents_give_equal_hashes_and_the_title_counts(document):
    chunks = split(document, TOKENIZER, SMALL)
    renamed = split(replace(document, title="Quite Other"), TOKENIZER, SMALL)

    assert chunks == split(document, TOKENIZER, SMALL)
    assert not {c.content_hash for c in chunks} & {c.content_hash for c in renamed}


def test_text_of_a_chunk_is_near_the_target_and_ends_with_a_sentence():
    text = " ".join(f"Sentence number {i} says a little about pools." for i in range(60))

    chunks = split(Document(text, "Pools"), TOKENIZER)

    assert all(chunk.text.endswith(".") and chunk.text.startswith("Sentence") for chunk in chunks)
    assert all(60 <= TOKENIZER.count(chunk.text) <= 200 for chunk in chunks)


def test_neighbours_in_a_section_share_their_border_sentences():
    text = " ".join(f"Sentence {i} about pools." for i in range(120))

    chunks = split(Document(text, ""), TOKENIZER)

    shares = [TOKENIZER.count(text[after.start : before.end]) for before, after in pairwise(chunks)]
    assert all(10 <= share <= 30 for share in shares)


def test_title_and_section_path_stand_before_the_text():
    body = "Words about ports. " * 12
    text = f"# Guide\n\n{body}\n\n## Egress\n\n{body}\n\n### Ports\n\n{body}"

    chunks = split(structured(text, title="Guide"), TOKENIZER)

    assert [chunk.context for chunk in chunks] == [
        "Guide",
        "Guide > Egress",
        "Guide > Egress > Ports",
    ]
    assert chunks[2].indexed_text.startswith("Guide > Egress > Ports\n### Ports")
    assert chunks[2].section == ("Guide", "Egress", "Ports")


def test_short_sections_are_merged_under_what_they_share():
    text = "# A\n\n## B\n\nOne.\n\n## C\n\nTwo."

    chunks = split(structured(text, title="A"), TOKENIZER)

    assert [(chunk.section, chunk.text) for chunk in chunks] == [(("A",), text)]


def test_a_long_title_is_cut_to_its_budget_and_never_crowds_out_the_text():
    document = Document("Some words about pools.", "endless title " * 200)

    (chunk,) = split(document, TOKENIZER)

    assert TOKENIZER.count(chunk.context) <= Sizes().context
    assert chunk.text == document.text


def test_a_fenced_block_stays_whole_where_it_fits():
    code = "```\nfirst = 1\n\nsecond = 2\n```"
    text = "Words before the code here. " * 12 + f"\n\n{code}\n\n" + "Words after the code. " * 12

    chunks = split(Document(text, ""), TOKENIZER)

    assert any(code in chunk.text for chunk in chunks)


@given(st.lists(st.sampled_from(["```", "~~~", "```x", "~~~ \t", "a", "", " ```", "````"])))
def test_fences_are_those_that_the_expression_finds(lines):
    text = "\n".join(lines)

    assert list(_fences(text, 0, len(text))) == [match.span() for match in _FENCE.finditer(text)]


def test_marks_that_nothing_closes_are_read_once():
    begun = time.process_time()

    split(Document("```x\n" * 40_000, ""), TOKENIZER)

    assert time.process_time() - begun < 10


# What rows were before they were read in one pass.
OLD_ROW = re.compile(r"[ \t]*\|.*(?:\n[ \t]*\|.*)*\s*\Z")


@given(st.text("| \t\n\r\x0bx", max_size=12))
def test_rows_are_those_that_they_were(text):
    assert bool(_ROW.match(text)) == bool(OLD_ROW.match(text))


def test_blanks_in_a_row_are_read_once():
    begun = time.process_time()

    split(Document("|" + " " * 100_000 + "x\nfoo", ""), TOKENIZER)
    split(Document("|" + "\n|" * 10_000 + "\nfoo", ""), TOKENIZER)

    assert time.process_time() - begun < 2


@given(DOCUMENTS)
def test_a_text_tokenised_in_pieces_has_the_chunks_of_the_whole(document):
    whole = split(document, TOKENIZER, SMALL)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunking, "_PIECE", 7)
        assert split(document, TOKENIZER, SMALL) == whole


@pytest.mark.model
def test_the_real_tokenizer_finds_the_same_tokens_in_pieces(embedder, monkeypatch):
    text = "\n\n".join(
        ["# SNAT-pools (4)", "Caf\u00e9 na\u0308ive 64,000 ports... 漢字と仮名。", "a" * 300] * 20
    )
    whole = split(Document(text, "Pools"), embedder)

    monkeypatch.setattr(chunking, "_PIECE", 50)

    assert split(Document(text, "Pools"), embedder) == whole


@pytest.mark.parametrize("text", ["Words about pools. " * 40_000, "..." * 200_000])
def test_no_more_than_a_piece_of_a_text_is_tokenised_at_once(text):
    longest = 0

    class Watched(WordTokenizer):
        def offsets(self, text):
            nonlocal longest
            longest = max(longest, len(text))
            return super().offsets(text)

    split(Document(text, ""), Watched())

    assert longest < 210_000


def test_code_that_does_not_fit_is_cut_between_its_lines():
    lines = [f"value_{i} = compute('One. Two. Three.')  # Why. So." for i in range(40)]
    text = "```\n" + "\n".join(lines) + "\n```"

    chunks = split(Document(text, ""), TOKENIZER)

    assert len(chunks) > 1
    assert {line for chunk in chunks for line in chunk.text.split("\n")} == {"```", *lines}


def test_a_table_is_cut_between_its_rows():
    rows = [f"| Pool {i}. | Has two. Has three. | Is used. |" for i in range(60)]
    text = "Words before. " * 10 + "\n\n" + "\n".join(rows) + "\n\nWords after."

    chunks = split(Document(text, ""), TOKENIZER)

    cells = [line for chunk in chunks for line in chunk.text.split("\n") if "|" in line]
    assert set(cells) == set(rows)


def test_a_chunk_knows_the_page_where_it_begins():
    text = "Words on page one. " * 40 + "Words on page two. " * 40
    border = text.index("Words on page two")

    chunks = split(Document(text, "", pages=(Page(1, 0), Page(2, border))), TOKENIZER)

    assert all(chunk.page == (1 if chunk.start < border else 2) for chunk in chunks)
    assert {chunk.page for chunk in chunks} == {1, 2}


def test_a_text_without_any_break_is_cut_at_tokens():
    text = "x" * 3000

    chunks = split(Document(text, ""), TOKENIZER)

    assert "".join(chunk.text for chunk in chunks) == text
    assert all(chunk.start % 3 == 0 for chunk in chunks)


def test_sections_nest_by_level():
    document = Document(
        "a\n# B\nb\n## C\nc\n# D\nd",
        "",
        (Heading(1, "B", 2), Heading(2, "C", 8), Heading(1, "D", 15)),
    )

    assert [section.path for section in sections(document)] == [(), ("B",), ("B", "C"), ("D",)]


def test_sentences_end_in_any_script():
    assert sentences("One. Two! “Three?” Four v1.2 here. 一。二。") == [
        "One.", "Two!", "“Three?”", "Four v1.2 here.", "一。", "二。",
    ]  # fmt: skip
