"""A real Chromium for the tests marked `browser`: Debian's own, or a skip that says so (a failure in CI)."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import ConsoleMessage, Page, sync_playwright

from tests.portal.access.sign_in.codes import code

CHROMIUM = shutil.which("chromium") or ""
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass
class Visitor:
    """One person's browser window, and what its console complained about."""

    page: Page
    address: str
    complaints: list[str] = field(default_factory=list)

    def go(self, path: str) -> None:
        """Open a page of the portal."""
        self.page.goto(self.address + path)

    def sign_in(self, email: str, password: str) -> None:
        """Sign in as a person does, with the app's code where one is asked for."""
        self.go("/admin/")
        self.page.get_by_label("Email").fill(email)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name="Sign in").click()
        if "/2fa/authenticate/" in self.page.url:
            self.page.get_by_label("Code").fill(code())
            self.page.get_by_role("button", name="Sign in").click()

    def hear(self, message: ConsoleMessage) -> None:
        """Keep what is an error or a warning, such as something the Content-Security-Policy stopped."""
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def overflow(self) -> int:
        """Return by how many pixels the page is wider than the window, once it is drawn."""
        self.page.wait_for_load_state()
        return int(self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


@pytest.fixture(autouse=True)
def fresh_counters(forget_cache: Callable[[], None]) -> None:
    """Count guesses and used codes apart from every other test's."""


@pytest.fixture
def visitor(live_server: object) -> Iterator[Visitor]:
    """Open a fresh window on the live server; ask for it last, since this thread cannot ask the database meanwhile."""
    if not CHROMIUM:
        words = "no chromium on this machine (apt-get install chromium); the browser tests were not run"
        if os.environ.get("REQUIRE_BROWSER") == "1":
            pytest.fail(words)
        pytest.skip(words)
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS) as browser,
    ):
        guest = Visitor(browser.new_page(viewport={"width": 1280, "height": 900}), str(live_server))
        guest.page.on("console", guest.hear)
        guest.page.on("pageerror", lambda error: guest.complaints.append(str(error)))
        yield guest
