"""A signed-in tab of a real browser on pages served by this process, and what must hold on each."""

import os
from dataclasses import dataclass
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

WIDE, NARROW = {"width": 1440, "height": 900}, {"width": 390, "height": 844}


@dataclass(frozen=True, slots=True)
class Tab:
    """One tab; paths are the portal's."""

    url: str
    page: Page

    def open(self, path: str) -> None:
        """Go to a page of the portal."""
        self.page.goto(f"{self.url}{path}")

    def look(self, name: str) -> None:
        """Check the page that is open: accessible, and no sideways scrolling at 390 px.

        Keeps pictures of it, wide and narrow, where ``SLUICE_SCREENSHOTS`` says.
        """
        folder = os.environ.get("SLUICE_SCREENSHOTS")
        self.page.set_viewport_size(NARROW)
        assert self.page.evaluate(
            "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
        ), f"{name} scrolls sideways at 390 px"
        if folder:
            self.page.screenshot(
                path=Path(folder) / f"{name}-390.png", full_page=True, caret="initial"
            )
        self.page.set_viewport_size(WIDE)
        if folder:
            self.page.screenshot(path=Path(folder) / f"{name}.png", full_page=True, caret="initial")
        found = Axe().run(self.page)
        assert found.violations_count == 0, found.generate_report()
