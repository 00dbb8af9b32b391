"""Who is let in, what is trusted, and where credentials go: HTTP, HTTPS and SSH."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from driftline.adapters.git import Mirrors
from driftline.model.access import RepositoryAccess
from driftline.model.errors import Failure, Permanent, Temporary
from tests.git.conftest import MAIN, MakeMirrors
from tests.kit.githost import Authority, Fault, GitHost, SshGitHost, SshKey, WorkTree, git

PASSWORD = "s3cret-canary/$(touch x)"


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[tuple[GitHost, str]]:
    """A host that asks for a password, and a commit on it."""
    with GitHost(username="dana", password=PASSWORD) as host:
        tree = host.checkout("shop", tmp_path / "guarded")
        commit = tree.commit("first", {"a.yaml": "a: 1\n"})
        tree.push()
        yield host, commit


@pytest.mark.covers("REPO-01")
def test_a_password_in_its_field_or_in_the_url(mirrors: Mirrors, guarded: tuple[GitHost, str]) -> None:
    host, commit = guarded
    access = RepositoryAccess(host.url("shop"), username="dana", password=PASSWORD)
    assert mirrors.fetch(access, ["HEAD"]).head == commit
    inside = host.url("shop").replace("://", "://dana:s3cret-canary%2F%24(touch%20x)@")
    assert mirrors.fetch(RepositoryAccess(inside), ["HEAD"]).head == commit


@pytest.mark.covers("REPO-01")
def test_a_bearer_token(mirrors: Mirrors, tmp_path: Path) -> None:
    with GitHost(token="tok-canary") as host:
        tree = host.checkout("shop", tmp_path / "bearer")
        commit = tree.commit()
        tree.push()
        assert mirrors.fetch(RepositoryAccess(host.url("shop"), bearer_token="tok-canary"), ["HEAD"]).head == commit
        with pytest.raises(Permanent, match="authentication failed"):
            mirrors.fetch(RepositoryAccess(host.url("shop"), bearer_token="wrong"), ["HEAD"])


def test_wrong_credentials_say_what_to_do_and_nothing_else(mirrors: Mirrors, guarded: tuple[GitHost, str]) -> None:
    host, _ = guarded
    for access in (
        RepositoryAccess(host.url("shop"), username="dana", password="wr0ng-canary"),
        RepositoryAccess(host.url("shop")),
    ):
        for act in (lambda used=access: mirrors.fetch(used, [MAIN]), lambda used=access: mirrors.check(used)):
            with pytest.raises(Permanent) as refused:
                act()
            assert str(refused.value).startswith(f"{host.url('shop')}: authentication failed")
            assert "driftline repo add" in str(refused.value)
            assert "canary" not in str(refused.value)


def test_credentials_stand_on_no_command_line_and_on_no_disk(
    mirrors: Mirrors, guarded: tuple[GitHost, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    host, _ = guarded
    started: list[tuple[list[str], dict[str, str]]] = []
    original = subprocess.Popen.__init__

    def init(self: "subprocess.Popen[bytes]", args: list[str], *rest: object, **named: object) -> None:
        if "--no-replace-objects" in args:
            started.append((list(args), dict(named["env"])))  # type: ignore[call-overload]
        original(self, args, *rest, **named)  # type: ignore[call-overload]

    monkeypatch.setattr(subprocess.Popen, "__init__", init)
    monkeypatch.setenv("GIT_TRACE", "1")
    monkeypatch.setenv("GIT_SSH_COMMAND", "touch /tmp/never")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "aws-canary")
    access = RepositoryAccess(host.url("shop"), username="dana", password=PASSWORD)
    fetched = mirrors.fetch(access, ["HEAD"])
    mirrors.tree(access, fetched.head).read(["a.yaml"])
    assert len(started) >= 3
    for argv, env in started:
        assert not any("canary" in word or host.address in word for word in argv), "not even the URL"
        if argv[:2] == ["/usr/bin/env", "-i"]:
            env = dict(word.split("=", 1) for word in argv[2 : argv.index("--no-replace-objects") - 1])
        assert "GIT_TRACE" not in env and "AWS_SECRET_ACCESS_KEY" not in env and "GIT_SSH_COMMAND" not in env
        assert env["GIT_TERMINAL_PROMPT"] == "0" and env["GIT_CONFIG_NOSYSTEM"] == "1"
    for path in mirrors._root.rglob("*"):
        if path.is_file():
            assert b"canary" not in path.read_bytes(), path
    assert list((mirrors._root / "scratch").iterdir()) == []
    assert list((mirrors._root / "home").iterdir()) == []
    assert "canary" not in repr(access)


@pytest.mark.parametrize("field", ["username", "password", "bearer_token", "proxy"])
def test_a_line_break_in_a_credential_is_refused(mirrors: Mirrors, access: RepositoryAccess, field: str) -> None:
    with pytest.raises(Permanent, match="control characters") as refused:
        mirrors.fetch(RepositoryAccess(access.url, **{field: "x\r\nX-Evil: canary"}), [MAIN])  # type: ignore[arg-type]
    assert "canary" not in str(refused.value)


@pytest.mark.parametrize("status", [301, 302, 307])
def test_a_redirect_takes_no_credentials_along(mirrors: Mirrors, guarded: tuple[GitHost, str], status: int) -> None:
    host, _ = guarded
    with GitHost() as elsewhere:
        elsewhere.create("shop")
        host.fault = Fault(
            status=status, headers={"Location": f"{elsewhere.url('shop')}/info/refs?service=git-upload-pack"}
        )
        access = RepositoryAccess(host.url("shop"), username="dana", password=PASSWORD)
        for act in (lambda: mirrors.fetch(access, [MAIN]), lambda: mirrors.check(access)):
            with pytest.raises(Permanent, match="redirects elsewhere"):
                act()
        assert elsewhere.requests == []


@pytest.mark.covers("REPO-07")
def test_a_private_ca_is_trusted_only_when_given(mirrors: Mirrors, tmp_path: Path) -> None:
    authority, other = Authority.create(tmp_path), None
    with GitHost(tls=authority.server) as host:
        tree = host.checkout("shop", tmp_path / "tls")
        commit = tree.commit()
        tree.push()
        plain = RepositoryAccess(host.url("shop"))
        with pytest.raises(Permanent, match="certificate not trusted"):
            mirrors.fetch(plain, ["HEAD"])
        with pytest.raises(Permanent, match="certificate not trusted"):
            mirrors.check(plain)
        assert mirrors.fetch(replace(plain, ca=authority.ca), ["HEAD"]).head == commit
        assert mirrors.fetch(replace(plain, insecure=True), ["HEAD"]).head == commit
        (tmp_path / "other").mkdir()
        other = Authority.create(tmp_path / "other")
        with pytest.raises(Permanent, match="certificate not trusted"):
            mirrors.fetch(replace(plain, ca=other.ca), ["HEAD"])


def test_a_variable_in_a_url_stays_a_name(mirrors: Mirrors, host: GitHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANARY", "expanded")
    for path in ("$CANARY/x", "${CANARY}", "~/x", "%24CANARY"):
        with pytest.raises(Permanent, match="is not a repository"):
            mirrors.fetch(RepositoryAccess(f"{host.address}/{path}"), [MAIN])
    assert host.requests and not any("expanded" in request.path for request in host.requests)


def test_plain_http_can_be_forbidden(make_mirrors: MakeMirrors, access: RepositoryAccess, shop: WorkTree) -> None:
    with pytest.raises(Permanent, match="use https"):
        make_mirrors(allow_http=False).fetch(access, [MAIN])


def test_check_names_what_is_wrong(mirrors: Mirrors, host: GitHost, shop: WorkTree, access: RepositoryAccess) -> None:
    found = mirrors.check(access)
    assert (found.default_branch, found.head) == (MAIN, shop.git("rev-parse", "HEAD"))
    for url, kind, cause in (
        (host.url("nothing"), Permanent, "is not a repository"),
        ("https://no-such-host.invalid/x.git", Temporary, "host unknown"),
        ("http://127.0.0.1:1/x.git", Temporary, "connection refused"),
        ("ssh://git@127.0.0.1:1/x.git", Temporary, "connection refused"),
        ("file:///etc", Permanent, "is no repository URL"),
    ):
        with pytest.raises(Failure, match=cause) as failed:
            mirrors.check(RepositoryAccess(url))
        assert type(failed.value) is kind
        assert str(failed.value).startswith(f"{url}: ")


@pytest.fixture(scope="module")
def ssh() -> Iterator[SshGitHost]:
    with SshGitHost() as host:
        yield host


@pytest.fixture
def ssh_shop(ssh: SshGitHost, tmp_path: Path) -> tuple[RepositoryAccess, str]:
    if not ssh.path("shop").exists():
        tree = ssh.create("shop", tmp_path / "ssh")
        tree.commit("first", {"a.yaml": "a: 1\n"})
        tree.push()
    access = RepositoryAccess(ssh.url("shop"), ssh_private_key=ssh.key.private, known_hosts=ssh.known_hosts)
    return access, git("rev-parse", "main", at=ssh.path("shop"))


@pytest.mark.covers("REPO-06")
def test_ssh_with_its_key_and_its_host_key(mirrors: Mirrors, ssh_shop: tuple[RepositoryAccess, str]) -> None:
    access, commit = ssh_shop
    assert mirrors.check(access).head == commit
    fetched = mirrors.fetch(access, ["HEAD", "refs/heads/main", "refs/tags/main"])
    assert fetched.head == commit
    assert mirrors.tree(access, commit).read(["a.yaml"]) == {"a.yaml": b"a: 1\n"}
    assert list((mirrors._root / "scratch").iterdir()) == [], "the key is gone"
    crlf = replace(access, ssh_private_key=access.ssh_private_key.replace("\n", "\r\n").strip())
    assert mirrors.check(crlf).head == commit


def test_an_unknown_host_key_is_refused(
    mirrors: Mirrors, ssh_shop: tuple[RepositoryAccess, str], ssh: SshGitHost
) -> None:
    access, commit = ssh_shop
    other = f"[127.0.0.1]:{ssh.port} {SshKey.create().public}\n"
    for known_hosts in ("", "# nothing", other):
        for act in (mirrors.check, lambda used: mirrors.fetch(used, [MAIN])):
            with pytest.raises(Permanent, match="host key"):
                act(replace(access, known_hosts=known_hosts))
    assert mirrors.check(replace(access, known_hosts="", insecure=True)).head == commit


def test_a_wrong_ssh_key_is_refused(mirrors: Mirrors, ssh_shop: tuple[RepositoryAccess, str]) -> None:
    access, _ = ssh_shop
    with pytest.raises(Permanent, match="authentication failed"):
        mirrors.check(replace(access, ssh_private_key=SshKey.create().private))
    with pytest.raises(Permanent, match="authentication failed"):
        mirrors.check(replace(access, ssh_private_key=""))
    with pytest.raises(Permanent, match=r"SSH private key cannot be read|authentication failed") as refused:
        mirrors.check(replace(access, ssh_private_key="canary"))
    assert "canary" not in str(refused.value)
    with pytest.raises(Permanent, match="is not a repository"):
        mirrors.check(replace(access, url=access.url.replace("shop", "nothing")))


def test_odd_names_reach_the_host_in_one_piece(mirrors: Mirrors, ssh: SshGitHost, tmp_path: Path) -> None:
    name = 'it\'s; touch marker; "$HOME" `id`'
    tree = ssh.create(name, tmp_path / "odd")
    commit = tree.commit()
    tree.push()
    access = RepositoryAccess(ssh.url(name), ssh_private_key=ssh.key.private, known_hosts=ssh.known_hosts)
    assert mirrors.fetch(access, ["HEAD"]).head == commit


def test_nothing_but_this_package_runs_git() -> None:
    import driftline

    package = Path(driftline.__file__).parent
    sources = [
        path
        for root in (package, package.parent / "service", package.parent / "workers")
        for path in root.rglob("*.py")
    ]
    culprits = [
        str(path.relative_to(package.parent))
        for path in sources
        if not path.is_relative_to(package / "adapters" / "git")
        and any(
            line.strip().startswith(("import git", "from git ", "from git.")) for line in path.read_text().splitlines()
        )
    ]
    assert culprits == []


def test_git_python_is_loaded_only_when_needed() -> None:
    code = "import sys, driftline.adapters.git; sys.exit('git' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
