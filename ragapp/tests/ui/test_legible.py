"""Passages without the marks of their markup."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragapp.ui.legible import Block, blocks


def test_marks_become_blocks():
    text = (
        "## SNAT pools ##\n\nA **pool** holds _addresses_,\nsee [the guide](https://a.example/x)."
        "\n\nIt is `fast`.\n\n- one\n- two\n1. three\n\n| A | B |\n|---|:-:|\n| 1 | 2 |\n\n"
        "```sh\nls **/*\n```\n"
    )

    assert blocks(text) == [
        Block("heading", "SNAT pools"),
        Block("text", "A pool holds addresses,\nsee the guide."),
        Block("text", "It is fast."),
        Block("item", "one"),
        Block("item", "two"),
        Block("item", "three"),
        Block("table", "A  ·  B\n1  ·  2"),
        Block("code", "ls **/*"),
    ]


@pytest.mark.parametrize("text", ["a_b_c and 2 * 3 * 4", "not a*b*c", "#1 is no heading"])
def test_names_and_sums_are_no_marks(text):
    assert blocks(text) == [Block("text", text)]


@pytest.mark.parametrize(
    "line",
    [
        "# a" + " " * 20_000 + "x",
        "-" * 20_000 + "x",
        " " * 200_000 + "x",
        "**a " * 20_000,
        "| " + "-|" * 20_000 + "x",
    ],
)
def test_a_line_that_is_made_to_be_tried_again_is_read_at_once(line):
    begun = time.process_time()

    blocks(line)

    assert time.process_time() - begun < 2


@given(st.text(alphabet=st.sampled_from("ab *_#|-`[]()\n!~1."), max_size=200))
def test_any_text_is_read_and_empty_blocks_are_left_out(text):
    assert all(block.text.strip() for block in blocks(text) if block.kind in {"text", "table"})
