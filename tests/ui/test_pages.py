"""What each page says, to whom, and what its buttons do: over HTTP, without a browser."""

import re
from datetime import timedelta
from typing import Any

import pytest

import service.web
from driftline.access.policy import parse
from driftline.adapters.store import applications, audit, declarations, jobs, outbox, repositories, syncs
from driftline.adapters.store.declarations import Declaration
from driftline.adapters.store.tables import sync as sync_table
from driftline.flow import inspect
from driftline.flow.deletion import Deletion
from driftline.model.errors import Permanent, Temporary
from driftline.model.objects import Key
from driftline.model.sync import OperationPhase
from service.ui.assets import assets
from service.ui.mounting import DEEDS, PAGES
from tests.ui.asking import Asker
from tests.ui.installation import CHECKOUT, SHA, Installation, declare, document, plan_json, standing

PATHS = (
    "/applications",
    "/applications/checkout",
    "/applications/checkout?tab=drift",
    "/applications/checkout?tab=history",
    "/applications/checkout?tab=history&rollback=0",
    "/applications/checkout?tab=operation&sync=1",
    "/applications/checkout?tab=about",
    "/applications/checkout?tab=delete",
    "/applications/search",
    "/drift",
    "/drift?show=all",
    "/alerts",
    "/alerts/1",
    "/deliveries",
    "/jobs",
    "/repositories",
    "/clusters",
    "/settings",
)


def test_strangers_are_sent_to_the_login_and_back(shop: Installation) -> None:
    stranger = Asker(shop, "")
    sent = stranger.get("/applications/checkout?tab=drift")
    assert sent.status_code == 303
    assert sent.location == "/login?next=%2Fapplications%2Fcheckout%3Ftab%3Ddrift"
    assert 'value="/applications/checkout?tab=drift"' in stranger.get(sent.location).text
    for rule, _, _ in PAGES:
        path = re.sub("<int:[^>]+>", "1", rule)
        path = re.sub("<[^>]+>", "checkout", path)
        if rule != "/login" and "static" not in rule:
            assert stranger.get(path).status_code in (303, 401), rule
    for rule, _, _ in DEEDS:
        path = re.sub("<int:[^>]+>", "1", rule)
        path = re.sub("<[^>]+>", "checkout", path)
        if rule != "/login":
            assert stranger.post(path).status_code == 401, rule


def test_nothing_is_changed_without_the_token_of_the_session(shop: Installation) -> None:
    admin = Asker(shop)
    for rule, _, _ in DEEDS:
        path = re.sub("<int:[^>]+>", "1", rule)
        path = re.sub("<[^>]+>", "checkout", path)
        if rule != "/login":
            assert admin.post(path, csrf=False).status_code == 403, rule
    assert shop.sent == []


@pytest.mark.parametrize("path", PATHS)
def test_each_page_has_its_landmarks_and_says_from_when_it_is(shop: Installation, path: str) -> None:
    html = Asker(shop).get(path).text
    assert html.count("<h1") == 1
    assert html.count("<main") == 1
    assert "<title>" in html
    assert re.search(r"As of <span class=\"nowrap\">\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC</span>", html)
    ids = re.findall(r' id="([^"]*)"', html)
    assert len(ids) == len(set(ids))
    for name in re.findall(r'<label[^>]* for="([^"]*)"', html):
        assert name in ids
    assert not re.search(r"<[^>]+ (style|on[a-z]+)=", html)
    assert not re.search(r"<script(?![^>]* src=)|<style", html)


def test_the_list_shows_every_state_with_its_cause(shop: Installation) -> None:
    text = Asker(shop).text("/applications")
    assert "checkout default Sync OutOfSync 2 of 5 differ 2 drifted fields Health Degraded" in text
    assert "CrashLoopBackOff: exit code 1" in text
    assert "SyncError: Failed last sync attempt" in text
    assert "mail default Paused" in text
    assert "kiosk default Sync Unknown was Synced" in text
    assert "7 applications" in text


def _named(html: str) -> list[str]:
    return re.findall(r'<a class="name" href="/applications/([^"?]+)"', html)


def test_filters_narrow_the_list_and_the_counts_follow(shop: Installation) -> None:
    admin = Asker(shop)
    assert _named(admin.get("/applications?sync=OutOfSync").text) == ["checkout", "search"]
    assert _named(admin.get("/applications?health=Healthy").text) == ["cart", "kiosk", "mail"]
    assert _named(admin.get("/applications?search=CA").text) == ["cart"]
    assert _named(admin.get("/applications?proj=default&search=r").text) == ["cart", "ledger", "search", "storefront"]
    assert _named(admin.get("/applications?proj=other").text) == []
    assert "Healthy 3" in admin.text("/applications")
    assert "OutOfSync 2" in admin.text("/applications")
    assert "Degraded 1" in admin.text("/applications?sync=OutOfSync")
    assert "Healthy 3" not in admin.text("/applications?sync=OutOfSync")
    assert "No application fits this filter" in admin.text("/applications?search=nothing")


def test_the_list_comes_in_pages_of_fifty(shop: Installation) -> None:
    with shop.edges.store.write() as db:
        declare(db, [f"app-{number:03}" for number in range(120)], None)
    admin = Asker(shop)
    seen: list[str] = []
    url = "/applications?search=app-"
    for _ in range(3):
        html = admin.get(url).text
        seen += _named(html)
        following = re.search(r'rel="next" href="([^"]+)"', html)
        if following is None:
            break
        url = following[1].replace("&amp;", "&")
    assert seen == [f"app-{number:03}" for number in range(120)]
    assert following is None


def test_people_see_what_the_policy_lets_them_see(shop: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    with shop.edges.store.write() as db:
        declare(db, [f"team-{number:03}" for number in range(60)], None, project="team")
    policy = parse("p, guest, applications, get, team/*, allow")
    monkeypatch.setattr(service.web, "POLICY", policy)
    guest = Asker(shop, "guest")
    html = guest.get("/applications").text
    assert _named(html) == [f"team-{number:03}" for number in range(50)]
    assert "60 applications" in guest.text("/applications")
    assert _named(guest.get("/applications?after=team-049").text) == [f"team-{number:03}" for number in range(50, 60)]
    assert guest.get("/applications/checkout").status_code == 404
    unseen, absent = guest.text("/applications/checkout", 404), guest.text("/applications/nowhere", 404)
    assert unseen.partition("As of")[0] == absent.partition("As of")[0]
    assert "checkout" not in guest.text("/drift?show=all")
    for path in ("/alerts", "/deliveries", "/jobs", "/settings", "/alerts/1"):
        assert guest.get(path).status_code == 403
        assert f'href="{path}"' not in html
    assert "There is no cluster, or none that you may see" in guest.text("/clusters")
    assert "There is no repository, or none that you may see" in guest.text("/repositories")
    assert guest.post("/ui/applications/team-001/refresh").status_code == 303
    assert guest.post("/ui/applications/team-001/sync").status_code == 403
    assert guest.post("/ui/applications/checkout/sync").status_code == 404


def test_a_reader_finds_buttons_disabled_with_the_missing_right(shop: Installation) -> None:
    viewer = Asker(shop, "viewer")
    html = viewer.get("/applications/checkout").text
    assert re.search(r'<button class="primary" disabled title="Needs the right applications, sync">', html)
    assert "disabled" in viewer.get("/jobs").text
    for deed in ("sync", "terminate", "rollback", "unpin", "approve", "confirm-deletion", "pause", "unpause", "delete"):
        assert viewer.post(f"/ui/applications/checkout/{deed}").status_code == 403
    for path in ("/ui/jobs/1/retry", "/ui/messages/1/retry", "/ui/alerts/test"):
        assert viewer.post(path).status_code == 403
    assert shop.sent == []


def test_the_top_of_an_application_tells_its_standing(shop: Installation) -> None:
    text = Asker(shop).text("/applications/checkout")
    assert "Git and cluster OutOfSync 2 of 5 objects differ Checked" in text
    assert "Raise the replicas of checkout before the sale by Ana Kovač" in text
    assert "Drift 2 fields Oldest 4 min ago" in text
    assert "Failed Sync of a new commit" in text
    assert "update apps/Deployment/shop/checkout SyncFailed spec.selector cannot change" in text
    assert "hook batch/Job/shop/migrate Succeeded" in text
    assert "People were told: on-drift-found" in text


def test_objects_in_trouble_come_first_with_their_cause(shop: Installation) -> None:
    text = Asker(shop).text("/applications/checkout")
    first = text.index("Deployment checkout shop apps Sync OutOfSync 1 drifted Health Degraded")
    assert first < text.index("ConfigMap checkout shop") < text.index("Ingress checkout shop")
    assert "Cause 1 of 3 replicas are ready; api: CrashLoopBackOff" in text
    assert "5, 2 to look at" in text


def test_drift_names_field_values_author_and_interval(shop: Installation) -> None:
    text = Asker(shop).text("/applications/checkout?tab=drift")
    now, _, ended = text.partition("Drift now")[2].partition("Ended")
    assert (
        "apps/Deployment/shop/checkout spec.replicas Git 3 Live 5 Last written by kubectl-edit Update , 4 min ago"
        in now
    )
    assert "Since 4 min ago in line until 5 min ago Until still so" in now
    assert "not recorded" in now
    assert "Service/shop/checkout metadata.labels.tier removed Git backend Live not set" in ended
    assert "back in line, lasted 2 min" in ended
    everywhere = Asker(shop).text("/drift")
    assert "kubectl-edit" in everywhere
    assert "kubectl-label" not in everywhere
    assert "kubectl-label" in Asker(shop).text("/drift?show=all")


def test_a_rollback_is_shown_before_it_is_done(shop: Installation) -> None:
    admin = Asker(shop)
    text = admin.text("/applications/checkout?tab=history&rollback=0")
    assert "Roll back to deployment 0 9b8a7c6d5e4f deployed" in text
    done = admin.post("/ui/applications/checkout/rollback", number="0", why="the sale", hours="2")
    assert done.status_code == 303
    with shop.edges.store.read() as db:
        row = applications.get(db, "checkout")
        assert row is not None
        current = syncs.open_of(db, row.id)
    assert current is not None
    assert (current.kind, current.initiated_by) == ("rollback", "admin")
    assert row.pin is not None
    assert (row.pin["by"], row.pin["why"]) == ("admin", "the sale")
    text = admin.text("/applications/checkout")
    assert "Rolled back to 9b8a7c6d5e4f by admin : the sale" in text
    assert "Terminate" in text
    assert admin.post("/ui/applications/checkout/unpin").status_code == 303
    assert "Rolled back to" not in admin.text("/applications/checkout")


def test_buttons_start_and_stop_what_they_say(shop: Installation) -> None:
    admin = Asker(shop)
    assert admin.post("/ui/applications/cart/sync").location == "/applications/cart"
    with shop.edges.store.read() as db:
        row = applications.get(db, "cart")
        assert row is not None
        current = syncs.open_of(db, row.id)
    assert current is not None
    assert current.request["prune"] is True  # as the application's automation has it
    assert [hint.queue for hint in shop.sent] == ["fast"] * len(shop.sent) != []
    refused = admin.post("/ui/applications/cart/sync")
    assert refused.status_code == 409
    assert "Application cart: another operation is already in progress" in refused.text
    assert admin.post("/ui/applications/cart/terminate").status_code == 303
    assert "Somebody asked it to stop" in admin.text("/applications/cart")
    assert admin.post("/ui/applications/kiosk/terminate").status_code == 409


def test_pausing_says_who_why_and_until_when(shop: Installation) -> None:
    admin = Asker(shop)
    assert admin.post("/ui/applications/cart/pause", why="audit", hours="1.5").status_code == 303
    with shop.edges.store.read() as db:
        row = applications.get(db, "cart")
    assert row is not None and row.paused is not None
    paused = admin.text("/applications/cart")
    assert re.search(r"Automation is paused by admin , (now|\d+ s ago) : audit\. Until", paused)
    assert "in 1 h" in admin.text("/applications/cart")
    assert admin.post("/ui/applications/cart/unpause").status_code == 303
    assert "Automation is paused" not in admin.text("/applications/cart")
    for wrong in ("-1", "nan", "inf", "soon", "99999999"):
        assert admin.post("/ui/applications/cart/pause", hours=wrong).status_code == 400


def test_held_changes_are_allowed_one_by_one_for_exactly_the_plan_shown(shop: Installation) -> None:
    admin = Asker(shop)
    text = admin.text("/applications/search")
    assert "Waits for a person: 1 change prune PersistentVolumeClaim/shop/orders deleting a Persist" in text
    held = "/PersistentVolumeClaim/shop/orders"
    assert admin.post("/ui/applications/search/approve", digest="plan-digest-1").status_code == 409
    stale = admin.post("/ui/applications/search/approve", digest="another", key=held)
    assert (stale.status_code, "the plan has changed since it was shown" in stale.text) == (409, True)
    assert admin.post("/ui/applications/search/approve", digest="plan-digest-1", key=held).status_code == 303
    with shop.edges.store.read() as db:
        row = applications.get(db, "search")
        assert row is not None
        current = syncs.open_of(db, row.id)
    assert current is not None and current.approved == {"by": "admin", "keys": [held]}


def test_what_is_held_for_one_reason_is_allowed_by_one_tick(shop: Installation) -> None:
    admin, why = Asker(shop), "26 of 27 objects would be deleted, more than the budget of 20"
    keys = [f"/ConfigMap/shop/old{number}" for number in range(26)]
    lone = {"op": "prune", "key": "/Namespace//shop", "why": "takes what it holds", "fields": []}
    many = [{"op": "prune", "key": key, "why": why, "fields": []} for key in keys]
    with shop.edges.store.write() as db:
        row = applications.get(db, "search")
        assert row is not None
        current = syncs.open_of(db, row.id)
        assert current is not None
        view = {**current.plan_view, "held": [lone, *many]}
        db.execute(sync_table.update().where(sync_table.c.id == current.id).values(plan_view=view))
    text = admin.text("/applications/search")
    assert text.count(why) == 1 and f"All 26 {why} Choose among the 26" in text
    assert admin.post("/ui/applications/search/approve", digest="another", reason=why).status_code == 409
    assert admin.post("/ui/applications/search/approve", digest="plan-digest-1", reason="no such").status_code == 409
    assert admin.post("/ui/applications/search/approve", digest="plan-digest-1", reason=why).status_code == 303
    with shop.edges.store.read() as db:
        current = syncs.open_of(db, row.id)
    assert current is not None and current.approved == {"by": "admin", "keys": keys}


def test_deletions_that_ask_for_it_are_confirmed_by_a_button(shop: Installation) -> None:
    admin = Asker(shop)
    assert "waits until somebody confirms it" not in admin.text("/applications/search")
    with shop.edges.store.write() as db:
        row = applications.get(db, "search")
        assert row is not None
        deletion = Deletion(shop.edges.now(), waits=(Key("", "ConfigMap", "shop", "one"),))
        applications.set_status(db, row.id, deleting=True, delete_mode="cascade", deletion=deletion.to_json())
    text = admin.text("/applications/search")
    assert "The deletion of ConfigMap/shop/one waits until somebody confirms it" in text
    assert admin.post("/ui/applications/search/confirm-deletion").status_code == 303
    with shop.edges.store.read() as db:
        row = applications.get(db, "search")
    assert row is not None and "argocd.argoproj.io/deletion-approved" in row.document["metadata"]["annotations"]


def test_an_application_is_deleted_only_by_typing_its_name(shop: Installation) -> None:
    admin = Asker(shop)
    text = admin.text("/applications/checkout?tab=delete")
    assert "apps/Deployment/shop/checkout" in text
    assert admin.post("/ui/applications/checkout/delete", confirm="chekout", cascade="true").status_code == 409
    with shop.edges.store.read() as db:
        row = applications.get(db, "checkout")
    assert row is not None and not row.deleting
    assert admin.post("/ui/applications/checkout/delete", confirm="checkout", cascade="false").status_code == 303
    with shop.edges.store.read() as db:
        row = applications.get(db, "checkout")
    assert row is not None and (row.deleting, row.delete_mode) == (True, "forget")
    assert "being deleted; its objects stay in the cluster" in admin.text("/applications/checkout")


def test_the_plan_is_shown_before_a_sync(shop: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Any, ...]] = []

    def plan(edges: object, name: str, revision: str = "", prune: bool | None = None) -> inspect.PlanView:
        asked.append((name, revision, prune))
        return inspect.PlanView(plan_json(), False, "plan-digest-1", (SHA,))

    monkeypatch.setattr(inspect, "plan", plan)
    admin = Asker(shop)
    text = admin.text("/applications/cart?tab=plan&revision=v1.5&prune=false")
    assert asked == [("cart", "v1.5", False)]
    assert "1 create 1 update 1 hook 1 held 3 unchanged, at 4f2a9c1be07d" in text
    assert "update apps/Deployment/shop/checkout 1 field" in text
    assert "Would wait for a person prune PersistentVolumeClaim/shop/orders" in text
    assert "1 left alone prune ConfigMap/shop/old pruning was not asked for" in text


def test_the_diff_shows_fields_and_lines(shop: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "--- a (live)\n+++ a (Git)\n@@ -9,2 +9,2 @@\n spec:\n-  replicas: 5\n+  replicas: 3\n"
    found = inspect.ObjectDiff(CHECKOUT[3], "drifted", text, plan_json()["changes"][2]["fields"], "by hand")
    large = inspect.ObjectDiff(CHECKOUT[0], "behind", text + "+x\n" * 10_001)
    monkeypatch.setattr(inspect, "diff", lambda edges, name: (found, large))
    html = Asker(shop).get("/applications/checkout?tab=diff").text
    assert "replicas: <del>5</del>" in html
    assert "replicas: <ins>3</ins>" in html
    assert "8 equal lines" in html
    assert "kubectl-edit" in html
    assert "too large to be shown line by line" in html
    monkeypatch.setattr(inspect, "diff", lambda edges, name: ())
    assert "Nothing differs" in Asker(shop).text("/applications/checkout?tab=diff")


@pytest.mark.parametrize("failure", [Temporary("prod-eu: does not answer"), Permanent("prod-eu: wrong credentials")])
def test_a_tab_that_fails_leaves_the_rest_standing(
    shop: Installation, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    def away(edges: object, name: str) -> tuple[inspect.ObjectDiff, ...]:
        raise failure

    monkeypatch.setattr(inspect, "diff", away)
    text = Asker(shop).text("/applications/checkout?tab=diff")
    assert str(failure) in text
    assert "Try again" in text
    assert "Git and cluster OutOfSync" in text


def test_one_live_object_is_shown_masked(shop: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "checkout"}, "spec": {"replicas": 5}}
    monkeypatch.setattr(inspect, "live_object", lambda edges, name, key: body if key == CHECKOUT[3] else None)
    admin = Asker(shop)
    assert "replicas: 5" in admin.text(f"/applications/checkout?tab=object&node={CHECKOUT[3].id}")
    assert "It is not in the cluster" in admin.text(f"/applications/checkout?tab=object&node={CHECKOUT[0].id}")
    assert admin.get("/applications/checkout?tab=object&node=nonsense").status_code == 404


def test_our_own_fault_is_told_without_its_details(shop: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(edges: object, name: str) -> tuple[inspect.Node, ...]:
        raise RuntimeError("hunter2 in a stack trace")

    monkeypatch.setattr(inspect, "tree", broken)
    answer = Asker(shop).get("/applications/checkout")
    assert answer.status_code == 500
    assert "hunter2" not in answer.text
    assert re.search(r"Mark <code>[0-9a-f]{12}</code>", answer.text)


def test_alerts_have_a_trace_and_given_up_messages_a_second_chance(shop: Installation) -> None:
    admin = Asker(shop)
    text = admin.text("/alerts")
    assert "Could not be delivered 1" in text
    assert "email ops@example.com State dead Trace made" in text
    assert "smtp.example.com: 550 no such mailbox" in text
    assert "Now 1 Subject" in text
    assert "app:ledger Condition on-health-degraded" in text.partition("Over")[2]
    assert "slack #deploys State sent" in admin.text("/alerts/1")
    with shop.edges.store.read() as db:
        dead = outbox.dead(db)[0]
    assert admin.post(f"/ui/messages/{dead.id}/retry").location == "/alerts"
    with shop.edges.store.read() as db:
        assert outbox.dead(db) == []
        assert audit.page(db)[0].action == "message.retry"
    assert [hint.queue for hint in shop.sent] == ["notify"]
    assert admin.post(f"/ui/messages/{dead.id}/retry").status_code == 404
    assert admin.get("/alerts/99").status_code == 404


def test_a_test_message_says_what_the_channel_answered(shop: Installation) -> None:
    answer = Asker(shop).post("/ui/alerts/test", recipient="nowhere")
    assert answer.status_code == 409
    assert "write channel:address" in answer.text


def test_quarantined_jobs_are_tried_again(shop: Installation) -> None:
    admin = Asker(shop)
    text = admin.text("/jobs")
    assert "Put aside 1" in text
    assert "ledger Error Application ledger: kustomize build failed" in text
    with shop.edges.store.read() as db:
        job = jobs.quarantined(db)[0]
    assert admin.post(f"/ui/jobs/{job.id}/retry").location == "/jobs"
    assert "Put aside 0" in admin.text("/jobs")
    assert admin.post(f"/ui/jobs/{job.id}/retry").status_code == 404


def test_places_show_their_state_and_no_secret(shop: Installation) -> None:
    admin = Asker(shop)
    assert "edge-7 https://edge-7.example.com State unreachable edge-7: connection refused" in admin.text("/clusters")
    assert "https://git.example.com/shop/deploy.git" in admin.text("/repositories")
    settings = admin.text("/settings")
    assert "DRIFTLINE_SMTP_PASSWORD Value set, not shown" in settings
    assert "hunter2-smtp" not in settings
    assert shop.edges.settings.signing_key not in settings


def test_silent_git_hosts_are_noticed(shop: Installation) -> None:
    assert "No Git host has delivered anything yet" in Asker(shop).text("/deliveries")


def test_an_open_page_hears_only_what_is_news(shop: Installation) -> None:
    admin = Asker(shop)
    for path in ("/ui/live/applications", "/ui/live/applications/checkout", "/ui/live/drift"):
        first = admin.get(path)
        assert first.status_code == 200
        assert "<html" not in first.text
        same = admin.get(path, **{"If-None-Match": first.headers["ETag"]})
        assert (same.status_code, same.data) == (304, b"")
        assert same.headers["Cache-Control"] == "no-store"
    before = admin.get("/ui/live/applications/cart").headers["ETag"]
    with shop.edges.store.write() as db:
        row = applications.get(db, "cart")
        assert row is not None
        applications.set_status(db, row.id, **standing(shop.now, health_message="news"))
    assert admin.get("/ui/live/applications/cart", **{"If-None-Match": before}).status_code == 200


def test_ages_alone_are_no_news(shop: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    admin = Asker(shop)
    path = "/ui/live/applications/checkout?tab=drift"
    tag = admin.get(path).headers["ETag"]
    later = shop.now + timedelta(seconds=42)
    object.__setattr__(shop.edges, "now", lambda: later)
    assert admin.get(path, **{"If-None-Match": tag}).status_code == 304


def test_hostile_addresses_are_only_words(shop: Installation) -> None:
    admin = Asker(shop)
    for query in (
        "name=x&_external=1&_scheme=javascript&_anchor=x",
        "search=%00&proj=%00",
        "after=" + "a" * 5000,
        "sync=<script>",
        "page=-1",
        "page=99999999999999999999",
        "before=١٢",
        "tab=../../layout",
        "revision=--upload-pack",
    ):
        for path in ("/applications", "/applications/checkout", "/drift", "/ui/live/applications/checkout"):
            answer = admin.get(f"{path}?{query}")
            assert answer.status_code == 200, (path, query)
            assert "javascript:" not in answer.text
    assert admin.get("/applications/%00").status_code == 404
    assert admin.get("/applications/argocd/checkout?tab=drift").location == "/applications/checkout?tab=drift"


def test_unknown_addresses_are_a_page_for_people_and_json_for_machines(shop: Installation) -> None:
    admin = Asker(shop)
    page = admin.get("/nothing")
    assert (page.status_code, "<h1>Nothing here</h1>" in page.text) == (404, True)
    api = admin.get("/api/v1/nothing")
    assert (api.status_code, api.json["code"] if api.json else None) == (404, 5)


def test_files_are_cached_for_ever_under_names_that_change_with_them(shop: Installation) -> None:
    stranger = Asker(shop, "")
    html = stranger.get("/login").text
    found = re.findall(r'(?:href|src)="(/ui/static/[^"]+)" integrity="([^"]+)"', html)
    assert [url.rpartition("/")[2] for url, _ in found] == ["ui.css", "ui.js"]
    for url, integrity in found:
        answer = stranger.get(url)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["Cache-Control"]
        assert integrity == assets()[url.rpartition("/")[2]].integrity
    assert stranger.get("/ui/static/0123456789abcdef/ui.css").status_code == 404


def test_logins(shop: Installation) -> None:
    stranger = Asker(shop, "")
    wrong = stranger.post("/login", username="admin", password="guess", next="/drift")
    assert wrong.status_code == 401
    assert "Name or password is wrong" in wrong.text
    assert "guess" not in wrong.text
    assert 'value="/drift"' in wrong.text
    for elsewhere in ("https://evil.example", "//evil.example", "/\\evil.example", "/nowhere", "javascript:alert(1)"):
        sent = Asker(shop, "").post("/login", username="admin", password="a password of the tests", next=elsewhere)
        assert (sent.status_code, sent.location) == (303, "/")
    shown = stranger.get("/login?error=Your+account+is+locked,+call+555")
    assert "call 555" not in shown.text


def test_an_operation_of_another_application_is_not_found(shop: Installation) -> None:
    admin = Asker(shop)
    assert "Operation 1" in admin.text("/applications/checkout?tab=operation&sync=1")
    assert admin.get("/applications/cart?tab=operation&sync=1").status_code == 404
    with shop.edges.store.read() as db:
        found = syncs.get(db, 1)
    assert found is not None and found.phase is OperationPhase.FAILED


@pytest.mark.covers("ANN-12")
def test_links_of_annotations_are_shown_if_they_are_safe_to_click(shop: Installation) -> None:
    links = {
        "wiki": "https://wiki.example.com/shop",
        "board": "Dashboard | https://board.example.com/?q=a&b",
        "evil": "Click me|JaVaScRiPt:alert(1)",
        "worse": "https://good.example.com@evil.example.com/",
    }
    with shop.edges.store.write() as db:
        declare(
            db, ["linked"], None, annotations={f"link.argocd.argoproj.io/{name}": each for name, each in links.items()}
        )
    html = Asker(shop).get("/applications/linked").text
    assert '<a href="https://wiki.example.com/shop" rel="noreferrer noopener" target="_blank">wiki ' in html
    assert '<a href="https://board.example.com/?q=a&amp;b" rel="noreferrer noopener" target="_blank">Dashboard ' in html
    assert "evil.example.com" not in html.partition('id="tab"')[0]
    assert "Click me" not in html.partition('id="tab"')[0]


@pytest.mark.covers("OBJ-09")
def test_what_a_declaration_says_for_people_is_shown_and_urls_are_links(shop: Installation) -> None:
    told = {
        "Runbook": "https://wiki.example.com/checkout?tab=1&x=2",
        "Team": "payments <b>",
        "Trap": "javascript:alert(1)",
        "Old": "https://dana:hunter2@git.example.com/x",
    }
    info = [{"name": name, "value": text} for name, text in told.items()]
    declared = document("checkout")
    declared["spec"]["info"] = info
    with shop.edges.store.write() as db:
        declarations.declare(db, Declaration(name="checkout", document=declared))
    shown = Asker(shop, "admin").get("/applications/checkout?tab=about").text
    assert (
        '<dt>Runbook</dt><dd><a href="https://wiki.example.com/checkout?tab=1&amp;x=2" rel="noreferrer noopener"'
        in shown
    )
    assert "<dt>Team</dt><dd>payments &lt;b&gt;</dd>" in shown
    assert "<dt>Trap</dt><dd>javascript:alert(1)</dd>" in shown
    at = shown.find("hunter2")
    assert at < 0, shown[at - 200 : at + 50]
    assert "<dt>Old</dt><dd>https://***@git.example.com/x</dd>" in shown


def test_charts_are_shown_by_version(shop: Installation) -> None:
    url = "https://charts.example.com/"
    with shop.edges.store.write() as db:
        named = repositories.Named("https://charts.example.com", url, "helm")
        row = repositories.ensure_many(db, [named])[url]
        kept = {"chart": "redis", "wanted": "18.*", "version": "18.1.0", "digest": f"sha256:{'a' * 64}"}
        repositories.set_charts(db, row.id, [kept])
        checkout = applications.get(db, "checkout")
        assert checkout is not None
        applications.set_status(db, checkout.id, revisions=["18.1.0"])
    admin = Asker(shop)
    assert "redis 18.*: chart 18.1.0" in admin.text("/repositories")
    assert "chart 18.1.0" in admin.text("/applications/checkout")
    assert "chart 18.1.0" in admin.text("/applications")
