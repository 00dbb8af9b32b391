"""A person at a browser: what they see, and everything their browser complains of while they look."""

from types import TracebackType
from typing import Any, Literal

from playwright.sync_api import Browser, Page, Request

from service.auth.storage import StoredAccounts
from tests.ui.installation import Installation

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
]
WIDE, NARROW = (1440, 900), (360, 740)

_WATCH = """
window.complaints = [];
document.addEventListener("securitypolicyviolation", (event) =>
  window.complaints.push(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
"""


class Reader:
    """One browser window. `complaints` are console errors, broken rules of the content policy, requests elsewhere."""

    def __init__(
        self,
        browser: Browser,
        address: str,
        size: tuple[int, int] = WIDE,
        theme: Literal["light", "dark"] = "light",
    ) -> None:
        self.address = address
        self._context = browser.new_context(
            base_url=address,
            viewport={"width": size[0], "height": size[1]},
            color_scheme=theme,
            timezone_id="UTC",
            locale="en-GB",
            reduced_motion="reduce",
        )
        self._context.add_init_script(_WATCH)
        self.page: Page = self._context.new_page()
        self.page.set_default_timeout(10_000)
        self._seen: list[str] = []
        self.expected: tuple[str, ...] = ()
        """Parts of complaints that a test brings about on purpose."""
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self._seen.append(f"error: {error}"))
        self.page.on("request", self._request)

    def __enter__(self) -> "Reader":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._context.close()

    @property
    def complaints(self) -> list[str]:
        """Everything so far that no test asked for."""
        found = [*self._seen, *self.page.evaluate("window.complaints || []")]
        return [each for each in found if not any(part in each for part in self.expected)]

    def sign_in(self, installation: Installation, name: str) -> None:
        """Be signed in, past the form."""
        account = StoredAccounts(installation.edges.store).find(name)
        assert account is not None
        self._context.add_cookies([{"name": "driftline", "value": installation.token(account), "url": self.address}])

    def goto(self, path: str) -> Page:
        """Open a page and wait until its script has run."""
        self.page.goto(path, wait_until="load")
        return self.page

    def cookies(self) -> dict[str, Any]:
        """The browser's cookies by name."""
        return {each["name"]: each for each in self._context.cookies()}

    def _console(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self._seen.append(f"{message.type}: {message.text}")

    def _request(self, request: Request) -> None:
        if not request.url.startswith((self.address, "data:", "about:")):
            self._seen.append(f"request elsewhere: {request.url}")
