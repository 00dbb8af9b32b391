"""A push means the same whichever host tells of it."""

import pytest

from driftline.model.push import Push, RefAction, RefChange
from service.providers.host import Malformed
from service.providers.table import HOSTS, recognise
from tests.kit import payloads
from tests.kit.payloads import NEW, OLD, ZERO, Delivery, Told, web_of

EVERY_HOST = sorted(payloads.PUSH)


def read(delivery: Delivery) -> Push:
    headers = {name.lower(): value for name, value in delivery.headers.items()}
    return HOSTS[delivery.provider].parse(headers, delivery.payload)


def told(provider: str, **what: str | bool) -> Push:
    return read(payloads.PUSH[provider](Told(web_of(provider), **what)))  # type: ignore[arg-type]


def only(push: Push) -> RefChange:
    (change,) = push.changes
    return change


@pytest.mark.covers("WH-01")
@pytest.mark.parametrize("provider", EVERY_HOST)
def test_a_moved_branch(provider: str) -> None:
    push = told(provider, delivery_id="11111111-2222-3333-4444-555555555555")
    assert only(push) == RefChange("refs/heads/main", RefAction.UPDATED, NEW)
    assert (push.provider, push.ignored, push.delivery_id) == (provider, "", "11111111-2222-3333-4444-555555555555")
    assert push.pusher


@pytest.mark.covers("WH-04")
@pytest.mark.parametrize("provider", EVERY_HOST)
def test_the_default_branch_is_known_where_the_host_says_it(provider: str) -> None:
    silent = {"bitbucket_dc"}
    assert told(provider, default_branch="trunk").default_branch == ("" if provider in silent else "trunk")


@pytest.mark.parametrize("provider", EVERY_HOST)
def test_branches_and_tags_that_come_and_go(provider: str) -> None:
    made = told(provider, ref="refs/heads/feature/cart", before=ZERO)
    assert only(made) == RefChange("refs/heads/feature/cart", RefAction.CREATED, NEW)
    gone = told(provider, ref="refs/heads/feature/cart", after=ZERO)
    assert only(gone) == RefChange("refs/heads/feature/cart", RefAction.DELETED)
    tagged = told(provider, ref="refs/tags/v1.4.0", before=ZERO)
    assert only(tagged) == RefChange("refs/tags/v1.4.0", RefAction.CREATED, NEW)
    untagged = told(provider, ref="refs/tags/v1.4.0", after=ZERO)
    assert only(untagged) == RefChange("refs/tags/v1.4.0", RefAction.DELETED)


@pytest.mark.parametrize("provider", ["github", "bitbucket_cloud", "generic"])
def test_a_forced_push_is_called_so_where_the_host_says_it(provider: str) -> None:
    assert only(told(provider, forced=True)).action is RefAction.FORCED


@pytest.mark.covers("WH-03")
def test_every_url_the_host_gave_is_kept_for_matching() -> None:
    assert told("github").repo_urls == (
        "https://github.com/acme/shop",
        "https://github.com/acme/shop.git",
        "git@github.com:acme/shop.git",
        "git://github.com/acme/shop.git",
    )
    assert told("gitlab").repo_urls == (
        "https://gitlab.example.com/acme/web/shop",
        "https://gitlab.example.com/acme/web/shop.git",
        "git@gitlab.example.com:acme/web/shop.git",
    )
    assert told("bitbucket_cloud").repo_urls == ("https://bitbucket.org/acme/shop",)
    assert told("bitbucket_dc").repo_urls == (
        "https://bitbucket.example.com/scm/acme/shop.git",
        "ssh://git@bitbucket.example.com:7999/acme/shop.git",
        "https://bitbucket.example.com/projects/ACME/repos/shop",
    )
    assert told("generic").repo_urls == ("https://git.example.com/acme/shop.git",)


@pytest.mark.parametrize(
    "web",
    [
        "https://dev.azure.com/acme/web/_git/shop",
        "https://acme@dev.azure.com/acme/web/_git/shop",
        "https://acme.visualstudio.com/web/_git/shop",
        "https://acme.visualstudio.com/DefaultCollection/web/_git/shop",
    ],
)
def test_azure_urls_include_the_ssh_form_whose_path_differs(web: str) -> None:
    found = read(payloads.azure(Told(web))).repo_urls
    assert found[0] == web
    assert "git@ssh.dev.azure.com:v3/acme/web/shop" in found
    assert "https://dev.azure.com/acme/web/_git/shop" in found


def test_an_azure_server_of_ones_own_gives_no_cloud_urls() -> None:
    assert read(payloads.azure(Told("https://evil.example/dev.azure.com/acme/web/_git/shop"))).repo_urls == (
        "https://evil.example/dev.azure.com/acme/web/_git/shop",
    )


@pytest.mark.parametrize("provider", ["bitbucket_cloud", "bitbucket_dc", "azure"])
def test_several_refs_of_one_push(provider: str) -> None:
    build = {
        "bitbucket_cloud": payloads.bitbucket_cloud,
        "bitbucket_dc": payloads.bitbucket_dc,
        "azure": payloads.azure,
    }
    push = read(build[provider](*payloads.several(provider)))
    assert push.changes == (
        RefChange("refs/heads/main", RefAction.UPDATED, NEW),
        RefChange("refs/heads/old", RefAction.DELETED),
        RefChange("refs/tags/v2", RefAction.CREATED, NEW),
    )


def test_the_system_hook_of_gitlab_names_several_refs() -> None:
    web = web_of("gitlab")
    push = read(payloads.gitlab_system(Told(web), Told(web, "refs/tags/v2", before=ZERO)))
    assert [change.ref for change in push.changes] == ["refs/heads/main", "refs/tags/v2"]
    assert "https://gitlab.example.com/acme/web/shop.git" in push.repo_urls


@pytest.mark.parametrize("provider", ["gitea", "forgejo", "gogs"])
def test_refs_made_and_deleted_on_the_pages_of_the_gitea_family(provider: str) -> None:
    build = {"gitea": payloads.gitea, "forgejo": payloads.forgejo, "gogs": payloads.gogs}[provider]
    made = read(build(Told(web_of(provider), "refs/heads/a/b", before=ZERO), whole=False))
    assert only(made) == RefChange("refs/heads/a/b", RefAction.CREATED, NEW)
    gone = read(build(Told(web_of(provider), "refs/tags/v1", after=ZERO), whole=False))
    assert only(gone) == RefChange("refs/tags/v1", RefAction.DELETED)


@pytest.mark.parametrize(
    ("delivery", "reason"),
    [
        (payloads.github_ping(), "event ping"),
        (payloads.bitbucket_dc_ping(), "event diagnostics:ping"),
        (payloads.azure(), "the push names no refs"),
        (payloads.github(Told(web_of("github"), "refs/notes/commits")), "the push names no branches or tags"),
        (Delivery("gitlab", {"X-Gitlab-Event": "Pipeline Hook"}, {"object_kind": "pipeline"}), "event Pipeline Hook"),
        (Delivery("gitlab", {"X-Gitlab-Event": "System Hook"}, {"event_name": "user_create"}), "event user_create"),
        (Delivery("azure", {}, {"eventType": "build.complete", "id": "1"}), "event build.complete"),
        (Delivery("generic", {"X-Driftline-Event": "ping"}, {}), "event ping"),
    ],
)
def test_events_that_change_no_ref_are_accepted_and_say_why_nothing_happens(delivery: Delivery, reason: str) -> None:
    push = read(delivery)
    assert (push.changes, push.ignored) == ((), reason)
    assert push.delivery_id


@pytest.mark.parametrize("provider", EVERY_HOST)
def test_a_redelivery_keeps_its_id_and_another_push_has_another(provider: str) -> None:
    build, web = payloads.PUSH[provider], web_of(provider)
    first, again = (read(build(Told(web, delivery_id="same"))) for _ in range(2))
    other = read(build(Told(web, delivery_id="other", after=OLD)))
    assert first.delivery_id == again.delivery_id != other.delivery_id


@pytest.mark.parametrize("provider", EVERY_HOST)
def test_without_an_id_of_the_host_the_content_is_the_id(provider: str) -> None:
    def bare(after: str) -> str:
        delivery = payloads.PUSH[provider](Told(web_of(provider), after=after, delivery_id=""))
        kept = {"event", "key", "subscriptionid"}
        headers = {name: v for name, v in delivery.headers.items() if name.lower().rpartition("-")[2] in kept}
        return read(Delivery(provider, headers, delivery.payload)).delivery_id

    assert bare(NEW) == bare(NEW) != bare(OLD)
    assert len(bare(NEW)) == 32


def test_two_pushes_that_one_gitlab_event_set_off_are_two_deliveries() -> None:
    def read_old_gitlab(after: str) -> str:
        delivery = payloads.gitlab(Told(web_of("gitlab"), after=after))
        headers = {name: value for name, value in delivery.headers.items() if name != "Idempotency-Key"}
        return read(Delivery("gitlab", headers, delivery.payload)).delivery_id

    assert read_old_gitlab(NEW) != read_old_gitlab(OLD)


@pytest.mark.parametrize("provider", EVERY_HOST)
def test_a_host_is_recognised_by_its_headers_though_it_imitates_others(provider: str) -> None:
    headers, _ = payloads.PUSH[provider](Told(web_of(provider))).signed()
    found = recognise({name.lower(): value for name, value in headers.items()})
    assert found is HOSTS[provider]


def test_a_stranger_is_not_recognised() -> None:
    assert recognise({"content-type": "application/json", "user-agent": "curl"}) is None


@pytest.mark.parametrize(
    "ref", [None, "", 7, [], {}, "main", "refs/heads/", "refs/heads/a\x00b", "refs/heads/" + "a" * 2000]
)
@pytest.mark.parametrize("provider", ["github", "gitlab", "gitea", "generic"])
def test_a_push_without_a_readable_ref_is_malformed(provider: str, ref: object) -> None:
    delivery = payloads.PUSH[provider](Told(web_of(provider)))
    delivery.payload["ref"] = ref
    with pytest.raises(Malformed):
        read(delivery)


def test_names_in_a_push_never_carry_what_a_database_or_terminal_would_choke_on() -> None:
    delivery = payloads.github(Told(web_of("github"), delivery_id="a\x00b"))
    delivery.payload["pusher"]["name"] = "ada\x1b[31m"
    delivery.payload["repository"]["html_url"] = "https://github.com/acme/\r\nshop"
    push = read(delivery)
    assert push.pusher == ""
    assert "\x00" not in push.delivery_id
    assert push.repo_urls[0] == "https://github.com/acme/shop.git"
