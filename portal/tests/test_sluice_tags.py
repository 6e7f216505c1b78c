"""The small parts of every page."""

from datetime import timedelta
from enum import StrEnum

import pytest

from portal.templatetags import sluice
from portal.templatetags.sluice import LOOK_BY_WORD, bar, iec, milliseconds, plain_value, relative
from ragapp.domain.grade import GradeVerdict
from ragapp.models import DocumentState
from tenants.domain import states

SHOWN_AS_BADGES: tuple[type[StrEnum], ...] = (
    states.ChangeState,
    states.SyncState,
    states.Health,
    states.OperationState,
    states.ServingStage,
    states.Verdict,
    states.AnswerEnd,
    GradeVerdict,
)


def test_every_state_has_a_look():
    words = {word.value for words in SHOWN_AS_BADGES for word in words} | set(DocumentState.values)

    assert words - set(LOOK_BY_WORD) == set()


def test_badge_of_an_unknown_word_still_shows_the_word():
    shown = sluice.badge("Molten")

    assert (shown["word"], shown["look"].tone) == ("Molten", "idle")


@pytest.mark.parametrize(
    ("age", "text"),
    [
        (timedelta(milliseconds=300), "just now"),
        (timedelta(seconds=59), "59 s ago"),
        (timedelta(minutes=90), "1 h ago"),
        (timedelta(days=3, hours=5), "3 d ago"),
        (timedelta(minutes=-5), "in 5 min"),
    ],
)
def test_relative_gives_the_largest_unit_that_fits(age, text):
    assert relative(age) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 KiB"), (18233, "17.8 KiB"), (5 * 2**30, "5.0 GiB")],
)
def test_iec_writes_bytes_in_units_of_1024(size, text):
    assert iec(size) == text


@pytest.mark.parametrize(
    ("value", "text"), [(840, "840 ms"), (1234, "1.2 s"), (125_000, "2 min 5 s")]
)
def test_milliseconds_takes_the_unit_that_reads_well(value, text):
    assert milliseconds(value) == text


def test_plain_value_writes_an_object_one_field_a_line():
    assert plain_value({"host": "a.example", "ports": [443]}) == "host: a.example\nports: [443]"


def test_bar_of_a_moment_can_be_seen_and_stays_on_the_axis():
    drawn = bar(7000, 0, 7000, "model")

    assert 'x="994.0" width="6.0"' in drawn


def test_setting_is_named_in_words():
    assert sluice.in_words("dense_weight") == "Dense weight"
