"""What a project lets its applications do, however they spell what they want."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline.access.projects import DEFAULT, AllowedDestination, KindRule, Project, may_deploy, may_hold
from driftline.model.application import Application, Destination, Source
from driftline.model.objects import Kind

SHOP = "https://github.com/acme/shop"
PROD = ("https://10.0.0.1:6443", "prod")


def app(repo: str = SHOP, server: str = PROD[0], namespace: str = "shop", name: str = "") -> Application:
    return Application("shop", Destination(server, name, namespace), (Source(repo),), project="web")


def project(repos: tuple[str, ...] = ("*",), *destinations: AllowedDestination) -> Project:
    return Project("web", repos, destinations or (AllowedDestination("*", "", "*"),))


def repo_allowed(repos: tuple[str, ...], url: str) -> bool:
    return may_deploy(project(repos), app(url), PROD) == ()


@pytest.mark.covers("PRJ-01")
def test_the_default_project_permits_everything() -> None:
    assert may_deploy(DEFAULT, app("git@anything.example:x/y.git", namespace="kube-system"), PROD) == ()
    assert may_deploy(DEFAULT, app(), None) == ()
    assert may_hold(DEFAULT, Kind("rbac.authorization.k8s.io", "ClusterRole"), False, "", "x", PROD)
    assert may_hold(DEFAULT, Kind("", "Secret"), True, "kube-system", cluster=PROD)


@pytest.mark.covers("PRJ-02")
@pytest.mark.parametrize(
    ("repos", "url", "allowed"),
    [
        ((), SHOP, False),
        (("*",), SHOP, True),
        ((SHOP,), SHOP, True),
        ((SHOP,), SHOP + ".git", True),
        ((SHOP,), SHOP + "/", True),
        ((SHOP,), "https://GitHub.com/Acme/Shop", True),
        ((SHOP,), "https://github.com:443/acme/shop", True),
        ((SHOP,), "https://user:pw@github.com/acme/shop", True),
        ((SHOP,), "https://github.com:8443/acme/shop", False),
        ((SHOP,), "https://github.com.evil.com/acme/shop", False),
        ((SHOP,), "https://github.com@evil.com/acme/shop", False),
        ((SHOP,), "https://evil.com/https://github.com/acme/shop", False),
        ((SHOP,), "https://github.com/acme/shop2", False),
        ((SHOP,), "https://githubXcom/acme/shop", False),
        (("https://github.com/acme/*",), SHOP, True),
        (("https://github.com/acme/*",), "https://github.com/acme/deep/er", False),
        (("https://github.com/acme/**",), "https://github.com/acme/deep/er", True),
        (("https://github.com/*/shop",), "https://github.com/a/b/shop", False),
        (("https://github.com/acme/*",), "https://github.com.evil.com/acme/x", False),
        (("git@github.com:acme/*",), "ssh://git@github.com/acme/shop.git", True),
        (("*", "!" + SHOP), SHOP, False),
        (("!" + SHOP, "*"), SHOP, False),
        (("*", "!" + SHOP), SHOP + ".git", False),
        (("*", "!" + SHOP), "git@github.com:acme/shop.git", False),
        (("*", "!" + SHOP), "ssh://git@github.com/acme/shop", False),
        (("*", "!" + SHOP), "https://github.com/acme/other", True),
        (("!" + SHOP,), "https://github.com/acme/other", True),
        (("*", "!https://github.com/acme/**"), "https://github.com/acme/a/b", False),
        (("*", "!*"), SHOP, False),
    ],
)
def test_source_repositories(repos: tuple[str, ...], url: str, allowed: bool) -> None:
    assert repo_allowed(repos, url) is allowed


D = AllowedDestination
EVERYWHERE = D("*", "", "*")


@pytest.mark.covers("PRJ-03")
@pytest.mark.parametrize(
    ("destinations", "namespace", "allowed"),
    [
        ((D(PROD[0], "", "shop"),), "shop", True),
        ((D("", "prod", "shop"),), "shop", True),
        ((D("", "pr*", "sh*"),), "shop", True),
        ((D(PROD[0], "", "shop"),), "shop2", False),
        ((D(PROD[0], "", "shop"),), "", False),
        ((D(PROD[0], "", "*"),), "", True),
        ((D("https://10.0.0.2:6443", "", "*"),), "shop", False),
        ((D("", "staging", "*"),), "shop", False),
        ((EVERYWHERE, D("*", "", "!kube-system")), "kube-system", False),
        ((D("*", "", "!kube-system"), EVERYWHERE), "kube-system", False),
        ((EVERYWHERE, D("*", "", "!kube-*")), "kube-public", False),
        ((EVERYWHERE, D("*", "", "!kube-*")), "shop", True),
        ((D("*", "", "!kube-system"),), "shop", True),
        ((EVERYWHERE, D("!" + PROD[0], "", "*")), "shop", False),
        ((EVERYWHERE, D("", "!prod", "*")), "shop", False),
        ((EVERYWHERE, D("", "!staging", "*")), "shop", True),
        ((EVERYWHERE, D("!" + PROD[0], "prod", "*")), "shop", False),
        ((EVERYWHERE, D("", "prod", "!shop")), "shop", False),
    ],
)
def test_destinations(destinations: tuple[D, ...], namespace: str, allowed: bool) -> None:
    rules = Project("web", ("*",), destinations)
    by_url = may_deploy(rules, app(server=PROD[0], namespace=namespace), PROD)
    by_name = may_deploy(rules, app(server="", name="prod", namespace=namespace), PROD)
    assert (by_url == ()) is allowed
    assert (by_name == ()) is allowed


def test_no_destination_means_nowhere() -> None:
    assert may_deploy(Project("web", ("*",)), app(), PROD) != ()
    assert may_deploy(project(), Application("a", Destination(), (Source(SHOP),)), None) != ()


def test_the_refusal_names_the_destination_and_the_project_in_argo_cds_words() -> None:
    (reason,) = may_deploy(Project("web", ("*",)), app(), PROD)
    assert reason == (
        "application destination server 'https://10.0.0.1:6443' and namespace 'shop' "
        "do not match any of the allowed destinations in project 'web'"
    )
    assert may_deploy(Project("web", (), (EVERYWHERE,)), app(), PROD) == (
        "spec.source.repoURL: https://github.com/acme/shop is not permitted in project 'web'",
    )


DEPLOYMENT, SECRET = Kind("apps", "Deployment"), Kind("", "Secret")
CLUSTER_ROLE = Kind("rbac.authorization.k8s.io", "ClusterRole")


@pytest.mark.covers("PRJ-04")
def test_cluster_scoped_kinds_are_refused_unless_listed() -> None:
    assert not may_hold(Project("p"), CLUSTER_ROLE, False, "")
    listed = Project("p", cluster_kinds=(KindRule("rbac.*", "*"),))
    assert may_hold(listed, CLUSTER_ROLE, False, "")
    assert not may_hold(listed, Kind("", "Namespace"), False, "")
    both = Project("p", cluster_kinds=(KindRule("*", "*"),), cluster_kinds_refused=(KindRule("", "Namespace"),))
    assert not may_hold(both, Kind("", "Namespace"), False, "")
    named = Project("p", cluster_kinds=(KindRule("", "Namespace", "team-*"),))
    assert may_hold(named, Kind("", "Namespace"), False, "", "team-a")
    assert not may_hold(named, Kind("", "Namespace"), False, "", "kube-system")


@pytest.mark.covers("PRJ-04")
def test_namespaced_kinds_are_allowed_unless_refused() -> None:
    assert may_hold(Project("p"), DEPLOYMENT, True, "shop")
    assert not may_hold(Project("p", namespace_kinds=()), DEPLOYMENT, True, "shop")
    assert may_hold(Project("p", namespace_kinds=(KindRule("apps", "*"),)), DEPLOYMENT, True, "shop")
    assert not may_hold(Project("p", namespace_kinds=(KindRule("apps", "*"),)), SECRET, True, "shop")
    refused = Project("p", namespace_kinds=(KindRule("*", "*"),), namespace_kinds_refused=(KindRule("", "Sec*"),))
    assert not may_hold(refused, SECRET, True, "shop")


def test_an_object_may_not_leave_for_a_namespace_that_the_project_does_not_have() -> None:
    rules = project(("*",), D("*", "", "shop"))
    assert may_hold(rules, SECRET, True, "shop", cluster=PROD)
    assert not may_hold(rules, SECRET, True, "kube-system", cluster=PROD)
    assert not may_hold(rules, SECRET, True, "shop", cluster=())


ENTRIES = st.builds(D, *[st.sampled_from(["", "*", "a", "!a", "b", "!b*"])] * 3)


@given(st.lists(ENTRIES, max_size=5), st.sets(st.sampled_from(["a", "b", "c"])), st.sampled_from(["", "a", "b", "c"]))
def test_destinations_keep_their_promises(entries: list[D], cluster: set[str], namespace: str) -> None:
    rules = Project("p", ("*",), tuple(entries))

    def allowed(project: Project) -> bool:
        return may_hold(project, SECRET, True, namespace, cluster=cluster)

    # What an entry plainly refuses is refused, whatever else is allowed and however the cluster is called too.
    for entry in entries:
        if entry.server == "!a" and "a" in cluster and entry.namespace == "*":
            assert not allowed(rules)
        if entry.namespace == "!a" and namespace == "a" and entry.server == "*":
            assert not allowed(rules)
    if not entries or not cluster:
        assert not allowed(rules)
    # The order of entries does not matter.
    assert allowed(rules) == allowed(Project("p", ("*",), tuple(reversed(entries))))
