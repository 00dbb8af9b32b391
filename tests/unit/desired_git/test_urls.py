"""Which repository URLs are let in, which are the same repository, and where credentials may go."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline.desired.urls import (
    Login,
    announces,
    identities,
    identity,
    kind_of,
    login_of,
    longest_prefix,
    normalise,
    parse,
    same,
    shown_url,
    validate,
    validate_repository,
)
from driftline.model.errors import Permanent

GOOD = [
    "https://github.com/acme/shop.git",
    "https://github.com/acme/shop",
    "https://user:token@github.com/acme/shop.git",
    "https://dev.azure.com/acme/my%20project/_git/shop",
    "http://127.0.0.1:8080/shop.git",
    "https://[::1]:8443/shop.git",
    "ssh://git@github.com/acme/shop.git",
    "ssh://git@altssh.bitbucket.org:443/acme/shop.git",
    "git@github.com:acme/shop.git",
    'git@host:/srv/it\'s; a "shop".git',
    "https://host/$HOME/${AWS_SECRET_ACCESS_KEY}/~",
]
HOSTILE = [
    "",
    " ",
    "ext::sh -c touch% /tmp/marker",
    "ext://sh",
    "fd::17",
    "-oProxyCommand=touch marker",
    "--upload-pack=touch marker",
    "ssh://-oProxyCommand=touch/x",
    "ssh://-oProxyCommand=touch@host/x",
    "-x@host:path",
    "git@-oProxyCommand=x:path",
    "git@host:-x",
    "ssh://git@host/-x",
    "ssh://git:password@host/x",
    "file:///etc/passwd",
    "/etc",
    "../x",
    "./x",
    "~/x",
    "git://host/x",
    "ftp://host/x",
    "javascript://alert(1)//x",
    "https://host/x\n",
    "https://host/\r\nX: y",
    "https://host/x%0ay",
    "https://host/x%0D%0Ay",
    "https://host/x%00",
    "https://host/x\x00",
    "https://ho st/x",
    "https://host",
    "https://host/",
    "https://host:99999/x",
    "https://host/a/../b",
    "https://host/%2e%2E/b",
    "https://host\\@evil/x",
    "https://host/x?y#z",
    "https://host@evil@worse/x",
    "C:\\shop",
    "host::path",
    "x" * 5000,
]


@pytest.mark.parametrize("url", GOOD)
def test_what_people_use_is_let_in(url: str) -> None:
    validate_repository(url)


@pytest.mark.parametrize("url", HOSTILE)
def test_nothing_else_is(url: str) -> None:
    with pytest.raises(Permanent) as refused:
        validate_repository(url)
    assert "password@" not in str(refused.value)
    assert str(refused.value).isprintable()


def test_local_paths_only_where_a_test_asks_for_them() -> None:
    validate_repository("/srv/shop.git", allow_file=True)
    validate_repository("file:///srv/shop.git", allow_file=True)
    with pytest.raises(Permanent):
        validate_repository("ext::sh -c x", allow_file=True)


@pytest.mark.covers("REPO-05")
def test_one_repository_has_many_spellings() -> None:
    spellings = [
        "https://GitHub.com/Acme/Shop.git",
        "https://github.com/acme/shop",
        "https://u:p@github.com:443/acme/shop/",
    ]
    assert {normalise(url) for url in spellings} == {"https://github.com/acme/shop"}
    assert same("git@github.com:acme/shop.git", "ssh://git@github.com:22/acme/shop")
    assert same(" https://github.com/acme/shop ", "https://github.com/acme/shop.git")
    assert not same("https://github.com/acme/shop", "https://github.com/acme/shop2")
    assert not same("https://github.com:8443/acme/shop", "https://github.com/acme/shop")


@pytest.mark.covers("WH-03")
def test_a_webhook_means_the_repository_whatever_the_transport() -> None:
    web = "https://github.com/acme/shop"
    for declared in (
        "git@github.com:acme/shop.git",
        "ssh://git@ssh.github.com:443/acme/shop",
        "http://github.com/Acme/shop",
    ):
        assert announces(web, declared)
    assert not announces("https://github.com/acme/.*", "https://github.com/acme/shop")
    assert not announces("https://github.com.evil.test/acme/shop", "https://github.com/acme/shop")


@pytest.mark.covers("REPO-02")
def test_the_longest_template_wins_and_ends_at_a_slash() -> None:
    templates = ["https://good.com", "https://good.com/acme", "https://good.com/acme/shop", "git@good.com:acme"]
    assert longest_prefix("https://good.com/acme/shop.git", templates) == "https://good.com/acme/shop"
    assert longest_prefix("https://good.com/acme/shop-two", templates) == "https://good.com/acme"
    assert longest_prefix("https://good.com/acme-labs/x", templates) == "https://good.com"
    assert longest_prefix("ssh://git@good.com/acme/x", templates) == "git@good.com:acme"


@pytest.mark.parametrize(
    "url",
    [
        "https://good.com.evil.com/acme",
        "https://good.com@evil.com/acme",
        "https://evil.com/https://good.com/acme",
        "http://good.com/acme",
        "https://good.com:8443/acme",
        "https://xgood.com/acme",
        "https://good.com/x/../../evil",
        "https://good.com/%2e%2e/evil",
        "nonsense",
    ],
)
def test_credentials_never_go_to_another_host(url: str) -> None:
    assert longest_prefix(url, ["https://good.com", "https://good.com/acme"]) is None


def test_messages_hold_no_credentials() -> None:
    assert shown_url("https://user:pa@ss@host/x") == "https://host/x"
    assert shown_url("git@host:acme/shop") == "git@host:acme/shop"
    assert "\n" not in shown_url("https://host/\nevil")


labels = st.from_regex(r"[a-z][a-z0-9-]{0,8}[a-z0-9]", fullmatch=True)
paths = st.lists(labels, min_size=1, max_size=4).map("/".join)


@given(labels, paths, st.sampled_from(["", ".git", "/", ".git/"]), st.booleans())
def test_spelling_never_matters(host: str, path: str, ending: str, upper: bool) -> None:
    plain, other = f"https://{host}.test/{path}", f"https://who:ever@{host}.test:443/{path}{ending}"
    assert same(plain, other.upper().replace("HTTPS", "https") if upper else other)
    assert normalise(normalise(other)) == normalise(other)
    validate_repository(other)


@given(labels, paths, paths)
def test_a_prefix_covers_what_is_below_it_and_nothing_beside_it(host: str, path: str, below: str) -> None:
    prefix = f"https://{host}.test/{path}"
    assert longest_prefix(f"{prefix}/{below}", [prefix]) == prefix
    assert longest_prefix(prefix, [prefix]) == prefix
    assert longest_prefix(f"{prefix}x/{below}", [prefix]) is None
    assert longest_prefix(f"https://{host}.test.evil/{path}/{below}", [prefix]) is None


@given(st.text(max_size=60))
def test_no_text_surprises_the_parser(text: str) -> None:
    try:
        validate_repository(text)
    except Permanent:
        return
    parts = parse(text)
    assert parts is not None
    assert parts.scheme in ("https", "http", "ssh")
    assert not parts.host.startswith("-") and not parts.path.startswith("-")
    assert "\n" not in text and "::" not in text.split("/")[0]


@pytest.mark.parametrize(
    ("url", "chart", "kind"),
    [
        ("https://github.com/acme/shop", "", "git"),
        ("git@github.com:acme/shop.git", "", "git"),
        ("https://charts.example.org", "redis", "helm"),
        ("registry.example.org/charts", "redis", "oci"),
        ("localhost:5000/charts", "redis", "oci"),
        ("oci://registry.example.org/charts", "redis", "oci"),
        ("OCI://registry.example.org/bundle", "", "oci"),
    ],
)
@pytest.mark.covers("REPO-10")
def test_a_source_says_which_kind_of_repository_it_reads(url: str, chart: str, kind: str) -> None:
    assert kind_of(url, chart) == kind
    validate(url, kind)


@pytest.mark.covers("REPO-05")
def test_a_registry_has_one_name_with_and_without_its_scheme() -> None:
    spellings = [
        "registry.example.org:5000/Charts",
        "oci://registry.example.org:5000/charts/",
        "OCI://Registry.example.org:5000/charts",
    ]
    assert {identity(url, "oci") for url in spellings} == {"oci://registry.example.org:5000/charts"}
    assert identity("oci://registry.example.org/charts", "oci") in identities("registry.example.org/charts")
    assert identities("https://charts.example.org/") == (identity("https://charts.example.org", "helm"),)


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("git@host:charts", "helm"),
        ("ssh://git@host/charts", "helm"),
        ("/srv/charts", "helm"),
        ("file:///srv/charts", "helm"),
        ("https://host/a/../b", "helm"),
        ("https://host/charts?x=1", "helm"),
        ("https://host/x\n", "helm"),
        ("", "helm"),
        ("", "oci"),
        ("https://host/charts", "oci"),
        ("user:password@host/charts", "oci"),
        ("host/%2e%2e/x", "oci"),
        ("host:99999/x", "oci"),
        ("-x/y", "oci"),
        ("ho st/x", "oci"),
    ],
)
def test_what_names_no_chart_repository_is_refused(url: str, kind: str) -> None:
    with pytest.raises(Permanent):
        validate(url, kind)


@pytest.mark.parametrize(
    ("url", "login"),
    [
        ("https://dana:p%40ss@host:8443/x", Login("https://host:8443/x", "dana", "p@ss")),
        ("http://token@host/x.git", Login("http://host/x.git", "token")),
        ("https://host/a@b", Login("https://host/a@b")),
        ("ssh://git@host/x", Login("ssh://git@host/x")),
        ("git@host:x/y", Login("git@host:x/y")),
        ("/srv/a@b", Login("/srv/a@b")),
    ],
)
def test_a_web_url_is_parted_from_its_login(url: str, login: Login) -> None:
    assert login_of(url) == login
    assert not login.password or login.password not in repr(login)
