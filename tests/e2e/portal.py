"""What people do in the portal, as the browser does it."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

WIDE, NARROW = {"width": 1440, "height": 900}, {"width": 390, "height": 844}


@dataclass(frozen=True, slots=True)
class Portal:
    """One signed-in tab."""

    url: str
    page: Page

    def open(self, path: str) -> None:
        """Go to a page of the portal."""
        self.page.goto(f"{self.url}{path}")

    def sign_in(self, username: str, password: str) -> None:
        """Through the sign-in page."""
        self.open("/")
        self.shoot("sign-in")
        self.page.get_by_label("Username").fill(username)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.wait_for_url(re.compile(r"(?<!login)/$"))

    def make_token(self, tenant: str, name: str, role: str) -> str:
        """A new API token; the page shows it once."""
        self.open(f"/t/{tenant}/tokens/")
        self.page.get_by_label("Name", exact=True).fill(name)
        self.page.get_by_label("Role", exact=True).select_option(role)
        self.page.get_by_role("button", name="Create token").click()
        return self.page.locator("#new-key").inner_text()

    def save_ingress(self, tenant: str, name: str, *, port: int, sources: str = "") -> None:
        """Add the policy, or change it: review the plan, give the reason, apply."""
        self._open_policy(tenant, "ingress", name)
        self.page.get_by_label("Port", exact=True).fill(str(port))
        self.page.get_by_label("Allowed sources").fill(sources)
        self._review_and_apply(f"ingress-{name}")

    def save_egress(self, tenant: str, name: str, destinations: str) -> None:
        """Add the policy, or change it; as a platform administrator, granting private networks."""
        self._open_policy(tenant, "egress", name)
        self.page.get_by_label("Destinations").fill(destinations)
        self.page.get_by_label(re.compile("Grant")).check()
        self._review_and_apply(f"egress-{name}")

    def delete_policy(self, tenant: str, kind: str, name: str) -> None:
        """Take a policy away, through its review."""
        self.open(f"/t/{tenant}/policies/{kind}/{name}/delete/")
        self.page.get_by_label("Reason").fill("No longer needed.")
        self.page.get_by_role("button", name=re.compile("Delete and apply")).click()
        self.page.wait_for_url(re.compile(r"/plans/[0-9]+/$"))

    def new_corpus(self, tenant: str, name: str, url: str) -> None:
        """Make a corpus of one source, and begin to train it."""
        self.open(f"/t/{tenant}/corpora/new/corpus/")
        self.page.get_by_label("Name", exact=True).fill(name)
        self.page.get_by_label(re.compile("URLs|Sources")).fill(url)
        self.page.get_by_role("button", name="Save and train").click()
        self.page.wait_for_url(re.compile(f"/corpora/{name}/$"))

    def train(self, tenant: str, corpus: str, urls: list[str]) -> None:
        """Give a corpus its sources and train it until the worker is done."""
        self.open(f"/t/{tenant}/corpora/{corpus}/edit/")
        self.page.get_by_label(re.compile("URLs|Sources")).fill("\n".join(urls))
        self.page.get_by_role("button", name="Save and train").click()
        expect(self.page.get_by_text(re.compile("Running|Queued|Succeeded")).first).to_be_visible()

    def ask(self, tenant: str, question: str) -> str:
        """Ask, wait for the end, and give the trace id."""
        self.open(f"/t/{tenant}/ask/")
        self.page.get_by_label("Question").fill(question)
        self.page.get_by_role("button", name="Ask", exact=True).click()
        self.page.wait_for_url(re.compile(r"/ask/[0-9a-f]{32}/"))
        trace_id = self.page.url.rstrip("/").rpartition("/")[2]
        expect(self.page.locator("#answer:not([data-stream])")).to_be_visible(timeout=180_000)
        return trace_id

    def open_first_source(self) -> None:
        """Open the passage behind the answer's first source."""
        self.page.locator("details.source summary").first.click()
        expect(self.page.locator("blockquote.passage").first).to_be_visible()

    def text(self) -> str:
        """All visible text of the main part."""
        return self.page.locator("main").inner_text()

    def shoot(self, name: str) -> None:
        """Keep pictures of this page, wide and narrow, where ``SLUICE_SCREENSHOTS`` says.

        Always checks that a narrow screen need not scroll sideways.
        """
        self.page.set_viewport_size(NARROW)
        assert self.page.evaluate(
            "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
        ), f"{name} scrolls sideways at 390 px"
        folder = os.environ.get("SLUICE_SCREENSHOTS")
        if folder:
            self.page.screenshot(path=Path(folder) / f"{name}-390.png", full_page=True)
        self.page.set_viewport_size(WIDE)
        if folder:
            self.page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)
            self.page.screenshot(path=Path(folder) / f"{name}-top.png")

    def choose(self, *names: str) -> None:
        """Follow links of the page one after the other, by their words."""
        for name in names:
            self.page.get_by_role("link", name=name, exact=True).first.click()

    def fill(self, fields: Mapping[str, str]) -> None:
        """Type into the fields with these labels, or choose in them."""
        for label, value in fields.items():
            field = self._field(label)
            if field.evaluate("field => field.tagName") == "SELECT":
                field.select_option(value)
            else:
                field.fill(value)

    def save(self, fields: Mapping[str, str], *, button: str = "Save") -> None:
        """Fill a form in and send it; the next page says that it was done."""
        self.fill(fields)
        self.page.locator("main").get_by_role("button", name=button, exact=True).click()
        expect(self.page.get_by_role("status").first).to_be_visible()

    def next_free(self, label: str) -> str:
        """Press "Next free" beside a field, and give what it fills in."""
        self.page.get_by_role("button", name=f"Next free {label}").click()
        field = self._field(label)
        expect(field).not_to_have_value("")
        return field.input_value()

    def review(self) -> str:
        """Go on to the plan, and give what it says."""
        self.page.get_by_role("button", name="Review plan").click()
        expect(self.page.get_by_role("heading", name="Review the plan")).to_be_visible()
        return self.text()

    def apply(self, reason: str, *, button: str = "Apply") -> str:
        """Give the reason, and apply; gives the path of the plan."""
        self.page.get_by_label("Reason").fill(reason)
        self.page.get_by_role("button", name=button, exact=True).click()
        self.page.wait_for_url(re.compile(r"/plans/[0-9]+/$"))
        return self.page.url.removeprefix(self.url)

    def _field(self, label: str) -> Locator:
        exact = re.compile(rf"^{re.escape(label)}( \(optional\))?$")
        return self.page.locator("main").get_by_label(exact).first

    def _open_policy(self, tenant: str, kind: str, name: str) -> None:
        self.open(f"/t/{tenant}/policies/")
        link = self.page.get_by_role("link", name=name, exact=True)
        if link.count():
            link.first.click()
            return
        self.open(f"/t/{tenant}/policies/new/{kind}/")
        self.page.get_by_label("Name", exact=True).fill(name)

    def _review_and_apply(self, picture: str) -> None:
        self.shoot(f"form-{picture}")
        self.page.get_by_role("button", name="Review plan").click()
        expect(self.page.get_by_role("heading", name="Review the plan")).to_be_visible()
        self.shoot(f"review-{picture}")
        self.page.get_by_label("Reason").fill("The story of the two tenants.")
        self.page.get_by_role("button", name=re.compile("^Apply|Ask for approval")).first.click()
        self.page.wait_for_url(re.compile(r"/plans/[0-9]+/$"))
