"""The whole stack on free ports, the outside world's stand-ins, and a signed-in browser."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from deploy.local.stack import Stack
from tests.e2e.portal import Portal
from tests.e2e.waiting import until
from tests.e2e.world import World

SEARCH, SITE = "127.30.0.10", "127.30.0.20"


def free_port(address: str) -> int:
    """A port of ``address`` that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Iterator[World]:
    """The search service and the document site, each a server that logs who came."""
    log = tmp_path_factory.mktemp("world") / "requests.jsonl"
    there = World(search=f"{SEARCH}:{free_port(SEARCH)}", site=f"{SITE}:{free_port(SITE)}", log=log)
    command = [sys.executable, "-m", "tests.wire", "--search", there.search, "--docs", there.site]
    with subprocess.Popen([*command, "--log", str(log)], cwd=Path.cwd()) as process:
        until(lambda: there.answers(), "the stand-ins answer")
        yield there
        process.terminate()


@pytest.fixture(scope="module")
def stack(tmp_path_factory, world: World, generator_model: Path) -> Iterator[Stack]:
    """Everything that `make up` starts, in a directory of its own."""
    environment = {
        "SLUICE_SEARCH_URL": f"http://{world.search}",
        "SLUICE_GENERATOR": str(generator_model),
    }
    with Stack(tmp_path_factory.mktemp("stack") / "var", environment=environment) as running:
        yield running


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    """Headless Chromium without its own calls home."""
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(
            executable_path=chromium,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield running
        running.close()


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    """One tab of 1440 by 900 that fails the test on any script error."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    tab = context.new_page()
    complaints: list[str] = []
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.on(
        "console",
        lambda message: (
            complaints.append(message.text) if "Content Security" in message.text else None
        ),
    )
    tab.set_default_timeout(60_000)
    yield tab
    context.close()
    assert complaints == []


@pytest.fixture(scope="module")
def portal(stack: Stack, page: Page) -> Portal:
    """The portal with the first login signed in."""
    entrance = Portal(stack.url, page)
    secrets = json.loads((stack.layout.var / "secrets.json").read_text())
    entrance.sign_in("admin", secrets["admin_password"])
    return entrance


@pytest.fixture(scope="module")
def anybody() -> Iterator[httpx2.Client]:
    """A client that ignores this machine's own proxy settings."""
    with httpx2.Client(trust_env=False, timeout=30) as client:
        yield client
