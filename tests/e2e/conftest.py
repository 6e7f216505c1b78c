"""The whole stack on free ports, the outside world's stand-ins, and signed-in browsers.

The stack starts once, with an empty platform; the demo is made where a test asks for it.
"""

import json
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
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


@pytest.fixture(scope="package")
def world(tmp_path_factory) -> Iterator[World]:
    """The search service and the document site, each a server that logs who came."""
    log = tmp_path_factory.mktemp("world") / "requests.jsonl"
    there = World(search=f"{SEARCH}:{free_port(SEARCH)}", site=f"{SITE}:{free_port(SITE)}", log=log)
    command = [sys.executable, "-m", "tests.wire", "--search", there.search, "--docs", there.site]
    with subprocess.Popen([*command, "--log", str(log)], cwd=Path.cwd()) as process:
        until(lambda: there.answers(), "the stand-ins answer")
        yield there
        process.terminate()


@pytest.fixture(scope="package")
def stack(tmp_path_factory, world: World, generator_model: Path) -> Iterator[Stack]:
    """Everything that `make up` starts without the demo, in a directory of its own."""
    environment = {
        "SLUICE_DEMO": "false",
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


@contextmanager
def opened_tab(browser: Browser) -> Iterator[Page]:
    """One person's tab of 1440 by 900, which fails the test on any script error."""
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
def enter(stack: Stack, browser: Browser) -> Iterator[Callable[[str, str], Portal]]:
    """Sign somebody in, beside whoever is signed in already."""
    with ExitStack() as tabs:

        def sign_in(username: str, password: str) -> Portal:
            entrance = Portal(stack.url, tabs.enter_context(opened_tab(browser)))
            entrance.sign_in(username, password)
            return entrance

        yield sign_in


@pytest.fixture(scope="module")
def portal(stack: Stack, enter: Callable[[str, str], Portal]) -> Portal:
    """The portal with the first login signed in."""
    secrets = json.loads((stack.layout.var / "secrets.json").read_text())
    return enter("admin", secrets["admin_password"])


@pytest.fixture(scope="module")
def demo(stack: Stack) -> None:
    """The demo's two tenants, as `make up` makes them in an empty database."""
    command = [sys.executable, "manage.py", "seed_demo", "--beside"]
    subprocess.run(command, env=stack.env, cwd=Path.cwd(), check=True)


@pytest.fixture(scope="module")
def anybody() -> Iterator[httpx2.Client]:
    """A client that ignores this machine's own proxy settings."""
    with httpx2.Client(trust_env=False, timeout=30) as client:
        yield client
