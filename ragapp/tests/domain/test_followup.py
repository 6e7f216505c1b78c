"""Follow-ups: which lean on what was said, and what they become."""

import pytest

from ragapp.domain.followup import Exchange, leans, messages, standalone

HISTORY = [Exchange("What is a SNAT pool for?", "It holds the source addresses of a tenant.")]


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("How many addresses has it?", True),
        ("And in Kubernetes?", True),
        ("Why?", True),
        ("Which VLAN tag does tenant acme use?", False),
    ],
)
def test_a_question_that_says_too_little_alone_leans(question, expected):
    assert leans(question, HISTORY) is expected
    assert leans(question, []) is False


def test_the_model_is_shown_what_was_said():
    _, user = messages("How many addresses has it?", HISTORY)

    assert user.text.startswith("Question: What is a SNAT pool for?\nAnswer: It holds")
    assert "Follow-up: How many addresses has it?" in user.text


@pytest.mark.parametrize(
    "written",
    ["How many addresses has a SNAT pool?", '"How many addresses has a SNAT pool?"\nMore words.'],
)
def test_a_question_made_of_known_words_is_taken(written):
    whole = standalone(written, "How many addresses has it?", HISTORY)

    assert whole == "How many addresses has a SNAT pool?"


@pytest.mark.parametrize(
    "written",
    [
        "",
        "What is the capital of France?",
        "How many addresses has a SNAT pool on https://evil.example?",
        "How many addresses has it?",
        "SNAT " * 200,
    ],
)
def test_what_invents_drops_or_changes_nothing_gives_way_to_the_rule(written):
    whole = standalone(written, "How many addresses has it?", HISTORY)

    assert whole == "What is a SNAT pool for? How many addresses has it?"
