"""Fixtures of browser tests: import ``browser``, ``tab`` and the people into a conftest."""

from collections.abc import Iterator

import pytest
from django.conf import settings
from playwright.sync_api import Browser, sync_playwright

from tenants.models import User
from tests.browser.tabs import WIDE, Tab


@pytest.fixture
def browser(chromium: str, monkeypatch) -> Iterator[Browser]:
    """Headless Chromium without its own calls home.

    For one test: Playwright keeps an event loop in this thread, under which other tests could not
    run one of theirs.
    """
    # Under a running loop Django refuses its own queries.
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(
            executable_path=chromium,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield running
        running.close()


@pytest.fixture
def tab(browser: Browser, transactional_db, live_server, client) -> Iterator:
    """``tab(user)`` opens a tab in which that user is signed in; fails on any script error."""
    complaints: list[str] = []
    contexts = []

    def signed_in(user: User) -> Tab:
        client.force_login(user)
        context = browser.new_context(viewport=WIDE)
        contexts.append(context)
        name = settings.SESSION_COOKIE_NAME
        cookie = {"name": name, "value": client.cookies[name].value, "url": live_server.url}
        context.add_cookies([cookie])
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "console",
            lambda message: (
                complaints.append(message.text) if "Content Security" in message.text else None
            ),
        )
        page.set_default_timeout(30_000)
        return Tab(live_server.url, page)

    yield signed_in
    for context in contexts:
        context.close()
    assert complaints == []
