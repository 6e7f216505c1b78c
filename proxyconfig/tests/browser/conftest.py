"""A signed-in tab for the tests of the front door's pages."""

from tests.browser.fixtures import browser, tab

__all__ = ["browser", "tab"]
