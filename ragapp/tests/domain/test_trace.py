"""A trace is read back as it was written."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragapp.domain.trace import ENTRY_BY_KIND, from_json, to_json

# Not a number equals nothing, itself included.
ENTRIES = st.one_of([st.builds(entry) for entry in ENTRY_BY_KIND.values()]).filter(
    lambda entry: "NaN" not in json.dumps(to_json(entry))
)


@given(ENTRIES)
def test_each_entry_survives_its_json(entry):
    assert from_json(json.loads(json.dumps(to_json(entry)))) == entry


@given(ENTRIES)
def test_keys_of_a_newer_version_are_ignored(entry):
    assert from_json({**to_json(entry), "from_tomorrow": 1}) == entry


def test_an_unknown_kind_is_an_error():
    with pytest.raises(ValueError, match="unknown trace entry 'x'"):
        from_json({"kind": "x"})
