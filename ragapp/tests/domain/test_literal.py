"""Literals are found and looked up word for word."""

import pytest

from ragapp.domain.literal import check, literals


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("Each address offers about 64,000 ports.", ("64,000",)),
        ("Since 2024-05-01 it takes 1.5 s.", ("2024-05-01", "1.5")),
        ("Rule acme/default-deny decided.", ("acme/default-deny",)),
        ("Call `set_config` with v1.2.3 in bf16.", ("set_config", "v1.2.3", "bf16")),
        ("It says “never again” here.", ("never again",)),
        ("Use 127.30.0.10:8081 or camelCase.", ("camelCase", "127.30.0.10:8081")),
        ("1. The first point.", ()),
        ("A long-term plan of the proxy.", ()),
    ],
)
def test_literals_of_a_sentence(sentence, expected):
    assert literals(sentence) == expected


def test_each_literal_names_the_passages_that_hold_it():
    passages = ["It offers 64000 ports.", "There are 640 of them, and 64,000 ports."]

    found = check("About 64,000 ports and 640 more.", passages)

    assert [(literal.text, literal.passages) for literal in found] == [
        ("64,000", (1, 2)),
        ("640", (2,)),
    ]


def test_a_number_inside_a_longer_one_is_not_found():
    assert check("It takes 15 s.", ["It takes 150 s.", "v15x"])[0].passages == ()
