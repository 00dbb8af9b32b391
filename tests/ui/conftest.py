"""An installation, its server, and a browser that fails a test for what a reader should never meet."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from driftline.adapters.store.engine import Store
from tests.kit.databases import sqlite_store, sqlite_template  # noqa: F401
from tests.ui.browsing import ARGUMENTS, CHROMIUM, Reader
from tests.ui.installation import Installation, fill, installation, served


@pytest.fixture
def empty(sqlite_store: Store, tmp_path: Path) -> Installation:  # noqa: F811
    """An installation without any application; `admin` may do everything, `guest` nothing, `viewer` reads."""
    made = installation(sqlite_store.url.render_as_string(hide_password=False), tmp_path / "data")
    made.account("admin", "role:admin")
    made.account("viewer", "role:readonly")
    made.account("guest")
    return made


@pytest.fixture
def shop(empty: Installation) -> Installation:
    """The same with applications in every state."""
    fill(empty)
    return empty


@pytest.fixture
def address(shop: Installation) -> Iterator[str]:
    """Where the shop's pages are."""
    with served(shop.app) as found:
        yield found


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's chromium."""
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield found
        found.close()


@pytest.fixture
def reader(browser: Browser, shop: Installation, address: str) -> Iterator[Reader]:
    """The administrator at their browser, signed in. Ends with what the browser complained of: it has to be nothing."""
    with Reader(browser, address) as found:
        found.sign_in(shop, "admin")
        yield found
        assert found.complaints == []


@pytest.fixture
def page(reader: Reader) -> Page:
    """The tab of the reader."""
    return reader.page
