"""The reference page on disk is the one that the types give."""

from pathlib import Path

from proxyconfig.domain.codec import camel, fields_of
from proxyconfig.domain.intent import Intent
from proxyconfig.domain.reference import intent_reference

HERE = Path(__file__).parent
PAGE = HERE.parents[2] / "docs" / "reference" / "intent.md"
EXAMPLE = HERE / "cases" / "local" / "whole" / "intent.yaml"


def test_the_page_is_up_to_date(golden):
    golden(PAGE, intent_reference(EXAMPLE.read_text()))


def test_every_part_of_the_intent_is_on_the_page():
    page = intent_reference("")

    for field in fields_of(Intent):
        if field.name != "tenant":
            assert f"| `{camel(field.name)}` |" in page
        if not isinstance(field.shape.base, type) or field.shape.base is str:
            continue
        assert f"## {field.shape.base.__name__}\n" in page
