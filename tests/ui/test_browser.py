"""The pages in a real browser: hostile texts stay texts, the keyboard is enough, an open page stays true."""

from collections.abc import Iterator
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, Page, expect

from driftline.adapters.store import applications, syncs
from driftline.flow import inspect
from tests.ui.browsing import NARROW, WIDE, Reader
from tests.ui.hostile import EVIL, HOSTILE, infest
from tests.ui.installation import CHECKOUT, PASSWORD, Installation, plan_json, standing
from tests.ui.measuring import FAINT, NAMELESS, SMALL

Theme = Literal["light", "dark"]
PAGES = (
    "/applications",
    "/applications/evil",
    "/applications/evil?tab=diff",
    "/applications/evil?tab=plan",
    "/applications/evil?tab=drift",
    "/applications/evil?tab=history",
    "/applications/evil?tab=about",
    "/applications/evil?tab=delete",
    "/applications/evil?tab=object&node=/ConfigMap/shop/checkout",
    "/drift?show=all",
    "/alerts",
    "/deliveries",
    "/jobs",
    "/repositories",
    "/clusters",
    "/settings",
)


@pytest.fixture
def infested(shop: Installation, monkeypatch: pytest.MonkeyPatch) -> Installation:
    """The shop with hostile texts everywhere, those of the cluster and of Git included."""
    infest(shop)
    fields = [dict.fromkeys(("path", "kind", "desired", "live", "manager", "operation", "at"), EVIL)]
    lines = "".join(f"-{text}\n+{text} !\n" for text in HOSTILE)
    text = f"--- live\n+++ Git\n@@ -1,9 +1,9 @@\n{lines}"
    monkeypatch.setattr(inspect, "diff", lambda *a, **k: (inspect.ObjectDiff(CHECKOUT[0], EVIL, text, fields, EVIL),))
    view: dict[str, Any] = {**plan_json(), "refused": EVIL, "warnings": [EVIL]}
    monkeypatch.setattr(inspect, "plan", lambda *a, **k: inspect.PlanView(view, False, EVIL, (EVIL,)))
    body = {"kind": EVIL, "metadata": {"name": EVIL}}
    monkeypatch.setattr(inspect, "live_object", lambda *a, **k: body)
    return shop


def test_hostile_texts_stay_texts(infested: Installation, reader: Reader) -> None:
    reader.page.set_viewport_size({"width": 320, "height": 700})
    for path in PAGES:
        page = reader.goto(path)
        assert page.evaluate("window.broken") is None, path
        assert page.locator("iframe, object, embed, main script, main img").count() == 0, path
        protocols = page.evaluate("[...document.querySelectorAll('a[href]')].map((each) => each.protocol)")
        assert set(protocols) <= {"http:", "https:"}, path
        text = page.evaluate("document.querySelector('main').textContent")
        assert "1337" not in text, path
        assert "<script>window.broken=1</script>" in text or path == "/settings", path
        # A stranger's endless word must not push the page sideways either.
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, path


@pytest.fixture(params=[(size, theme) for size in (WIDE, NARROW, (320, 640)) for theme in ("light", "dark")], ids=str)
def anyone(
    request: pytest.FixtureRequest, browser: Browser, shop: Installation, address: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Reader]:
    """Readers with wide and narrow windows, in light and in dark."""
    text = "--- a\n+++ b\n@@ -9,2 +9,2 @@\n spec:\n-  replicas: 5\n+  replicas: 3\n"
    fields = plan_json()["changes"][2]["fields"]
    monkeypatch.setattr(inspect, "diff", lambda *a, **k: (inspect.ObjectDiff(CHECKOUT[3], "drifted", text, fields),))
    monkeypatch.setattr(inspect, "plan", lambda *a, **k: inspect.PlanView(plan_json(), False, "d", ("4f2a9c1b",)))
    size, theme = request.param
    with Reader(browser, address, size, theme) as found:
        found.sign_in(shop, "admin")
        yield found
        assert found.complaints == []


LOOKED_AT = (
    "/applications",
    "/applications/checkout",
    "/applications/search",
    "/applications/mail",
    "/applications/checkout?tab=diff",
    "/applications/checkout?tab=plan",
    "/applications/checkout?tab=drift",
    "/applications/checkout?tab=history&rollback=0",
    "/applications/checkout?tab=about",
    "/applications/checkout?tab=delete",
    "/drift?show=all",
    "/alerts",
    "/alerts/1",
    "/deliveries",
    "/jobs",
    "/repositories",
    "/clusters",
    "/settings",
)


def test_everything_can_be_read_named_and_reached(anyone: Reader) -> None:
    for path in LOOKED_AT:
        page = anyone.goto(path)
        page.evaluate("for (const fold of document.querySelectorAll('details')) fold.open = true")
        assert page.evaluate(FAINT) == [], path
        assert page.evaluate(NAMELESS) == [], path
        assert page.evaluate(SMALL) == [], path
        page.evaluate("for (const fold of document.querySelectorAll('details.menu, details.more')) fold.open = false")
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, path
        assert page.locator("main, header, footer").count() == 3
        levels = page.evaluate("[...document.querySelectorAll('h1,h2,h3,h4')].map((each) => Number(each.tagName[1]))")
        assert levels.count(1) == 1


LINE_BREAKS = """
[...document.querySelectorAll(arguments_)].map((each) => {
  const range = document.createRange();
  range.selectNodeContents(each);
  return range.getClientRects().length;
}).filter((lines) => lines > 1).length
"""


def test_line_numbers_of_a_diff_stay_on_their_line(anyone: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    text = f"--- a\n+++ b\n@@ -109998,3 +109998,3 @@\n spec:\n-  image: {'x' * 400}\n+  image: {'y ' * 300}\n z: 1\n"
    monkeypatch.setattr(inspect, "diff", lambda *a, **k: (inspect.ObjectDiff(CHECKOUT[3], "drifted", text, ()),))
    page = anyone.goto("/applications/checkout?tab=diff")
    assert page.locator(".lines .number").count() == 8
    assert page.evaluate(LINE_BREAKS.replace("arguments_", "'.lines .number, .lines .sign'")) == 0
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


def test_a_person_signs_in_and_rolls_back_by_keyboard_alone(browser: Browser, shop: Installation, address: str) -> None:
    with Reader(browser, address) as someone:
        someone.expected = ("401",)
        page = someone.goto("/applications/checkout?tab=history")
        expect(page.get_by_label("Name")).to_be_focused()
        page.keyboard.type("admin")
        page.keyboard.press("Tab")
        page.keyboard.type("wrong")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_contain_text("Name or password is wrong")
        expect(page.get_by_label("Name")).to_be_focused()
        page.keyboard.type("admin")
        page.keyboard.press("Tab")
        page.keyboard.type(PASSWORD)
        page.keyboard.press("Enter")
        expect(page).to_have_url(f"{address}/applications/checkout?tab=history")
        assert someone.cookies()["driftline"]["httpOnly"]
        _tab_to(page, "Roll back…")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Roll back to deployment 0")).to_be_visible()
        _tab_to(page, "Why")
        page.keyboard.type("the new one is broken")
        _tab_to(page, "Roll back")
        page.keyboard.press("Enter")
        expect(page.get_by_text("the new one is broken")).to_be_visible()
        with shop.edges.store.read() as db:
            row = applications.get(db, "checkout")
        assert row is not None and row.pin is not None and row.pin["why"] == "the new one is broken"
        assert someone.complaints == []


def _tab_to(page: Page, name: str) -> None:
    """Press Tab until what has this name is focused, as somebody without a mouse does."""
    for _ in range(80):
        page.keyboard.press("Tab")
        focused = page.evaluate(
            "(() => { const it = document.activeElement; return (it.labels?.[0] || it).textContent.trim(); })()"
        )
        if focused == name:
            return
    raise AssertionError(f"{name} cannot be reached by Tab")


def test_the_first_tab_skips_to_the_content(page: Page) -> None:
    page.goto("/applications")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.keyboard.press("/")
    expect(page.get_by_label("Name")).to_be_focused()
    page.keyboard.type("cart")
    page.keyboard.press("Enter")
    expect(page.locator("a.name")).to_have_text(["cart"])


def test_menus_close_with_escape_and_a_theme_is_kept(reader: Reader) -> None:
    page = reader.goto("/drift")
    menu = page.locator("details.menu")
    menu.locator("summary").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Dark")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Dark")).to_be_hidden()
    expect(menu.locator("summary")).to_be_focused()
    menu.locator("summary").click()
    page.get_by_role("button", name="Dark").click()
    expect(page).to_have_url(f"{reader.address}/drift")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(13, 17, 23)"
    page.goto("/applications")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(13, 17, 23)"
    menu.locator("summary").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    reader.goto("/drift")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_news_arrive_on_an_open_page_without_disturbing_its_reader(shop: Installation, page: Page) -> None:
    page.goto("/applications/checkout")
    expect(page.get_by_label("Standing").get_by_text("Degraded")).to_be_visible()
    page.get_by_text("1 left alone").click()
    link = page.get_by_role("link", name="checkout-db")
    link.focus()
    with shop.edges.store.write() as db:
        row = applications.get(db, "checkout")
        assert row is not None
        applications.set_status(db, row.id, **standing(shop.now, health_message="all three are ready"))
    expect(page.get_by_text("all three are ready")).to_be_visible()
    expect(page.get_by_text("pruning was not asked for")).to_be_visible()
    expect(link).to_be_focused()


def test_a_form_that_is_being_filled_in_is_left_alone(shop: Installation, page: Page) -> None:
    page.goto("/applications/search")
    page.get_by_label("prune").check()
    with shop.edges.store.write() as db:
        row = applications.get(db, "search")
        assert row is not None
        applications.set_status(db, row.id, **standing(shop.now, health_message="news of search"))
    page.wait_for_timeout(4500)
    expect(page.get_by_label("prune")).to_be_checked()
    page.get_by_role("button", name="Allow what is ticked").click()
    expect(page.get_by_text("news of search")).to_be_visible()
    with shop.edges.store.read() as db:
        current = syncs.open_of(db, row.id)
    assert current is not None and current.approved["keys"] == ["/PersistentVolumeClaim/shop/orders"]


def test_a_page_that_hears_nothing_says_so_and_recovers(shop: Installation, reader: Reader) -> None:
    reader.expected = ("ERR_FAILED", "Failed to load resource")
    page = reader.goto("/applications")
    page.route("**/ui/live/**", lambda route: route.abort())
    expect(page.get_by_role("status")).to_contain_text("No answer since", timeout=15_000)
    assert "stale" in (page.locator("body").get_attribute("class") or "")
    page.unroute("**/ui/live/**")
    expect(page.get_by_role("status")).to_be_hidden(timeout=20_000)


def test_a_page_whose_session_ended_says_so(shop: Installation, reader: Reader) -> None:
    reader.expected = ("401",)
    page = reader.goto("/applications")
    page.context.clear_cookies()
    expect(page.get_by_role("status")).to_contain_text("You are signed out")


def test_one_click_is_one_sync(shop: Installation, page: Page) -> None:
    page.goto("/applications/cart")
    page.get_by_role("button", name="Sync", exact=True).dblclick()
    expect(page.get_by_role("button", name="Terminate")).to_be_visible()
    with shop.edges.store.read() as db:
        row = applications.get(db, "cart")
        assert row is not None
        assert len(syncs.of_application(db, row.id)) == 1


def test_pages_work_without_the_script(browser: Browser, shop: Installation, address: str) -> None:
    context = browser.new_context(base_url=address, java_script_enabled=False)
    page = context.new_page()
    page.goto("/login")
    page.get_by_label("Name").fill("admin")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.goto("/applications/cart")
    page.get_by_role("button", name="Refresh", exact=True).click()
    expect(page).to_have_url(f"{address}/applications/cart")
    assert shop.sent != []
    context.close()
