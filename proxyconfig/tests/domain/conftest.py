"""Golden files: a folder per case; ``--update-golden`` writes them anew, the diff is the review."""

from collections.abc import Callable
from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden", action="store_true", default=False, help="rewrite golden files"
    )


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[Path, str], None]:
    """Compare text with a golden file, or write it."""
    update = request.config.getoption("--update-golden", default=False)

    def check(path: Path, text: str) -> None:
        if update:
            path.write_text(text)
        assert path.read_text() == text

    return check
