import pytest

from tenants.domain.numbers import LARGEST, whole_number


@pytest.mark.parametrize(
    ("text", "most", "number"),
    [
        ("0", LARGEST, 0),
        ("007", 7, 7),
        ("0" * 5000 + "7", 7, 7),
        ("8", 7, None),
        (str(LARGEST), LARGEST, LARGEST),
        (str(LARGEST + 1), LARGEST, None),
        ("9" * 5000, LARGEST, None),
        ("", LARGEST, None),
        ("-1", LARGEST, None),
        ("+1", LARGEST, None),
        ("1_0", LARGEST, None),
        ("\u00b2", LARGEST, None),
        ("\u0663", LARGEST, None),
    ],
)
def test_whole_number_is_read_from_decimal_digits_alone(text, most, number):
    assert whole_number(text, most=most) == number
