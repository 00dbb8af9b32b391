"""Deliveries of every Git host in the shapes they really have, written for the tests, and how each host signs."""

import base64
import hmac
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import orjson

ZERO = "0" * 40
OLD = "3f2504e04f8911d39a0c0305e82c3301a1b2c3d4"
NEW = "9c1185a5c5e9fc54612808977ee8f548b2258d31"
SECRET = "correct horse battery staple"
AZURE_SECRET = "hooks:correct horse battery staple"
JSON = "application/json"
FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Told:
    """What a push is to say. `web` is the repository's page without `.git`; `before`, `after` are zeros for nothing."""

    web: str
    ref: str = "refs/heads/main"
    before: str = OLD
    after: str = NEW
    forced: bool = False
    default_branch: str = "main"
    delivery_id: str = field(default_factory=lambda: str(uuid.uuid4()))

    @property
    def short(self) -> str:
        return self.ref.split("/", 2)[2]

    @property
    def path(self) -> str:
        """`org/shop` of `https://host/org/shop`."""
        return self.web.split("/", 3)[3]

    @property
    def host(self) -> str:
        return self.web.split("/")[2]

    @property
    def ssh(self) -> str:
        return f"git@{self.host}:{self.path}.git"

    @property
    def created(self) -> bool:
        return self.before == ZERO

    @property
    def deleted(self) -> bool:
        return self.after == ZERO


@dataclass(frozen=True)
class Delivery:
    """A request to be sent: headers without a signature, and the payload."""

    provider: str
    headers: Mapping[str, str]
    payload: Any
    content_type: str = JSON

    @property
    def body(self) -> bytes:
        text = orjson.dumps(self.payload)
        return urlencode({"payload": text}).encode() if self.content_type == FORM else text

    def signed(self, secret: str = "") -> tuple[dict[str, str], bytes]:
        """Headers and body as the host would send them."""
        body = self.body
        return {**sign(self.provider, self.headers, body, secret), "Content-Type": self.content_type}, body


def secret_of(provider: str) -> str:
    """The secret that `signed` uses when none is given."""
    return AZURE_SECRET if provider == "azure" else SECRET


def sign(provider: str, headers: Mapping[str, str], body: bytes, secret: str = "") -> dict[str, str]:
    """The headers with the proof that this host adds."""
    secret = secret or secret_of(provider)
    digest = hmac.digest(secret.encode(), body, "sha256").hex()
    proof = {
        "github": {"X-Hub-Signature-256": f"sha256={digest}", "X-Hub-Signature": f"sha1={'0' * 40}"},
        "gitlab": {"X-Gitlab-Token": secret},
        "gitea": dict.fromkeys(("X-Gitea-Signature", "X-Gogs-Signature"), digest),
        "forgejo": dict.fromkeys(("X-Forgejo-Signature", "X-Gitea-Signature", "X-Gogs-Signature"), digest),
        "gogs": {"X-Gogs-Signature": digest},
        "bitbucket_cloud": {"X-Hub-Signature": f"sha256={digest}"},
        "bitbucket_dc": {"X-Hub-Signature": f"sha256={digest}"},
        "azure": {"Authorization": "Basic " + base64.b64encode(secret.encode()).decode()},
        "generic": {"X-Driftline-Signature": f"sha256={digest}"},
        "harbor": {"Authorization": secret},
    }[provider]
    if provider in ("gitea", "forgejo"):
        proof |= {"X-Hub-Signature-256": f"sha256={digest}"}
    return {**headers, **proof}


def _commit(told: Told) -> dict[str, Any]:
    person = {"name": "Ada Example", "email": "ada@example.com", "username": "ada"}
    return {
        "id": told.after,
        "tree_id": "5a1f2e3d4c5b6a79881706f5e4d3c2b1a0998877",
        "message": "Serve the shop from port 8081\n\nThe old port clashed.",
        "timestamp": "2026-11-20T09:41:07+01:00",
        "url": f"{told.web}/commit/{told.after}",
        "author": person,
        "committer": person,
        "added": [],
        "removed": [],
        "modified": ["shop/deployment.yaml"],
    }


def _github_repository(told: Told) -> dict[str, Any]:
    owner, name = told.path.split("/", 1)
    return {
        "id": 186853002,
        "name": name,
        "full_name": told.path,
        "private": True,
        "owner": {"id": 21031067, "login": owner, "username": owner, "email": "team@example.com"},
        "html_url": told.web,
        "description": None,
        "fork": False,
        "url": told.web,
        "git_url": f"git://{told.host}/{told.path}.git",
        "ssh_url": told.ssh,
        "clone_url": f"{told.web}.git",
        "size": 4711,
        "default_branch": told.default_branch,
        "topics": ["shop"],
    }


def github(told: Told) -> Delivery:
    """GitHub's `push`."""
    commit = _commit(told)
    payload = {
        "ref": told.ref,
        "before": told.before,
        "after": told.after,
        "repository": _github_repository(told),
        "pusher": {"name": "ada", "email": "ada@example.com"},
        "sender": {"login": "ada", "id": 21031067, "type": "User", "site_admin": False},
        "created": told.created,
        "deleted": told.deleted,
        "forced": told.forced,
        "base_ref": None,
        "compare": f"{told.web}/compare/{told.before[:12]}...{told.after[:12]}",
        "commits": [] if told.deleted else [commit],
        "head_commit": None if told.deleted else commit,
    }
    return Delivery("github", _github_headers("push", told.delivery_id), payload)


def _github_headers(event: str, delivery_id: str) -> dict[str, str]:
    return {
        "User-Agent": "GitHub-Hookshot/044aadd",
        "X-GitHub-Delivery": delivery_id,
        "X-GitHub-Event": event,
        "X-GitHub-Hook-ID": "292430182",
        "X-GitHub-Hook-Installation-Target-Type": "repository",
    }


def github_ping(delivery_id: str = "72d3162e-cc78-11e3-81ab-4c9367dc0958") -> Delivery:
    """What GitHub sends when a webhook is made."""
    payload = {
        "zen": "Keep it logically awesome.",
        "hook_id": 292430182,
        "hook": {"type": "Repository", "id": 292430182, "active": True, "events": ["push"]},
        "repository": _github_repository(Told("https://github.com/acme/shop")),
    }
    return Delivery("github", _github_headers("ping", delivery_id), payload)


def gitlab(told: Told) -> Delivery:
    """GitLab's `Push Hook` or `Tag Push Hook`."""
    tag = told.ref.startswith("refs/tags/")
    kind = "tag_push" if tag else "push"
    headers = _gitlab_headers("Tag Push Hook" if tag else "Push Hook", told.delivery_id)
    return Delivery("gitlab", headers, {"object_kind": kind, "event_name": kind, **_gitlab_push(told)})


def _gitlab_headers(event: str, delivery_id: str) -> dict[str, str]:
    return {
        "User-Agent": "GitLab/18.5.1",
        "Idempotency-Key": delivery_id,
        "X-Gitlab-Event": event,
        "X-Gitlab-Event-UUID": "13792a34-cac6-4fda-95a8-c58e00a3954e",
        "X-Gitlab-Webhook-UUID": "02affd2d-2cba-4033-917d-ec22d5dc4b38",
        "X-Gitlab-Instance": "https://gitlab.example.com",
    }


def _gitlab_push(told: Told) -> dict[str, Any]:
    name = told.path.rpartition("/")[2]
    return {
        "before": told.before,
        "after": told.after,
        "ref": told.ref,
        "ref_protected": True,
        "checkout_sha": None if told.deleted else told.after,
        "message": None,
        "user_id": 4,
        "user_name": "Ada Example",
        "user_username": "ada",
        "user_email": "",
        "project_id": 15,
        "project": {
            "id": 15,
            "name": name,
            "web_url": told.web,
            "avatar_url": None,
            "git_ssh_url": told.ssh,
            "git_http_url": f"{told.web}.git",
            "namespace": "acme",
            "visibility_level": 0,
            "path_with_namespace": told.path,
            "default_branch": told.default_branch,
            "homepage": told.web,
            "url": told.ssh,
            "ssh_url": told.ssh,
            "http_url": f"{told.web}.git",
        },
        "commits": [] if told.deleted else [_commit(told)],
        "total_commits_count": 0 if told.deleted else 1,
        "push_options": {},
        "repository": {
            "name": name,
            "url": told.ssh,
            "description": "",
            "homepage": told.web,
            "git_http_url": f"{told.web}.git",
            "git_ssh_url": told.ssh,
            "visibility_level": 0,
        },
    }


def gitlab_system(*tolds: Told) -> Delivery:
    """GitLab's system hook `repository_update`: every ref of one push in one delivery."""
    first = tolds[0]
    payload = {
        "event_name": "repository_update",
        "user_id": 1,
        "user_name": "Ada Example",
        "project_id": 15,
        "project": _gitlab_push(first)["project"],
        "changes": [{"before": told.before, "after": told.after, "ref": told.ref} for told in tolds],
        "refs": [told.ref for told in tolds],
    }
    return Delivery("gitlab", _gitlab_headers("System Hook", first.delivery_id), payload)


def _gitea_payload(told: Told) -> dict[str, Any]:
    return {
        "ref": told.ref,
        "before": told.before,
        "after": told.after,
        "compare_url": f"{told.web}/compare/{told.before}...{told.after}",
        "commits": None if told.deleted else [_commit(told)],
        "total_commits": 1,
        "head_commit": None if told.deleted else _commit(told),
        "repository": {**_github_repository(told), "url": f"{told.web}/api", "empty": False, "archived": False},
        "pusher": {"id": 1, "login": "ada", "username": "ada", "full_name": "Ada Example"},
        "sender": {"id": 1, "login": "ada", "username": "ada", "full_name": "Ada Example"},
    }


def _family_headers(names: tuple[str, ...], event: str, delivery_id: str) -> dict[str, str]:
    return {
        f"X-{name}-{field}": value
        for name in names
        for field, value in (("Delivery", delivery_id), ("Event", event), ("Event-Type", event))
    }


def _event(told: Told, whole: bool) -> tuple[str, dict[str, Any]]:
    payload = _gitea_payload(told)
    if whole:
        return "push", payload
    kind = "tag" if told.ref.startswith("refs/tags/") else "branch"
    kept = {name: payload[name] for name in ("repository", "sender")}
    if told.deleted:
        return "delete", {"ref": told.short, "ref_type": kind, "pusher_type": "user", **kept}
    return "create", {"sha": told.after, "ref": told.short, "ref_type": kind, **kept}


def gitea(told: Told, whole: bool = True) -> Delivery:
    """Gitea's `push`; with `whole` off its `create` or `delete`."""
    event, payload = _event(told, whole)
    return Delivery("gitea", _family_headers(("GitHub", "Gogs", "Gitea"), event, told.delivery_id), payload)


def forgejo(told: Told, whole: bool = True) -> Delivery:
    """Forgejo's `push`; with `whole` off its `create` or `delete`."""
    event, payload = _event(told, whole)
    names = ("GitHub", "Gogs", "Gitea", "Forgejo")
    return Delivery("forgejo", _family_headers(names, event, told.delivery_id), payload)


def gogs(told: Told, whole: bool = True) -> Delivery:
    """Gogs' `push`; with `whole` off its `create` or `delete`."""
    event, payload = _event(told, whole)
    return Delivery("gogs", _family_headers(("Gogs",), event, told.delivery_id), payload)


def bitbucket_cloud(*tolds: Told) -> Delivery:
    """Bitbucket Cloud's `repo:push`: one change per ref."""
    first = tolds[0]
    payload = {
        "actor": {"type": "user", "nickname": "ada", "display_name": "Ada Example", "uuid": "{8f3e}"},
        "repository": {
            "type": "repository",
            "full_name": first.path,
            "name": first.path.rpartition("/")[2],
            "scm": "git",
            "is_private": True,
            "uuid": "{673a6070-3421-46c9-9d48-90745f7bfe8e}",
            "links": {
                "self": {"href": f"https://api.bitbucket.org/2.0/repositories/{first.path}"},
                "html": {"href": first.web},
                "avatar": {"href": "https://bytebucket.org/ravatar/x"},
            },
            "mainbranch": {"type": "branch", "name": first.default_branch},
        },
        "push": {
            "changes": [
                {
                    "old": None if told.created else _bitbucket_side(told, told.before),
                    "new": None if told.deleted else _bitbucket_side(told, told.after),
                    "created": told.created,
                    "closed": told.deleted,
                    "forced": told.forced,
                    "truncated": False,
                    "commits": [] if told.deleted else [{"hash": told.after, "type": "commit"}],
                }
                for told in tolds
            ]
        },
    }
    headers = {
        "User-Agent": "Bitbucket-Webhooks/2.0",
        "X-Event-Key": "repo:push",
        "X-Hook-UUID": "{1a2b3c4d-0000-4000-8000-abcdefabcdef}",
        "X-Request-UUID": first.delivery_id,
        "X-Attempt-Number": "1",
    }
    return Delivery("bitbucket_cloud", headers, payload)


def _bitbucket_side(told: Told, commit: str) -> dict[str, Any]:
    kind = "tag" if told.ref.startswith("refs/tags/") else "branch"
    return {"type": kind, "name": told.short, "target": {"type": "commit", "hash": commit}}


def bitbucket_dc(*tolds: Told) -> Delivery:
    """Bitbucket Data Center's `repo:refs_changed`: one change per ref."""
    first = tolds[0]
    project, name = first.path.split("/", 1)
    kinds = {(True, False): "ADD", (False, True): "DELETE"}
    payload = {
        "eventKey": "repo:refs_changed",
        "date": "2026-11-20T09:41:07+0100",
        "actor": {"name": "ada", "emailAddress": "ada@example.com", "id": 1, "displayName": "Ada Example"},
        "repository": {
            "slug": name,
            "id": 84,
            "name": name,
            "scmId": "git",
            "state": "AVAILABLE",
            "forkable": True,
            "project": {"key": project.upper(), "id": 84, "name": project, "type": "NORMAL"},
            "public": False,
            "links": {
                "clone": [
                    {"href": f"https://{first.host}/scm/{first.path}.git", "name": "http"},
                    {"href": f"ssh://git@{first.host}:7999/{first.path}.git", "name": "ssh"},
                ],
                "self": [{"href": f"https://{first.host}/projects/{project.upper()}/repos/{name}/browse"}],
            },
        },
        "changes": [
            {
                "ref": {
                    "id": told.ref,
                    "displayId": told.short,
                    "type": "TAG" if told.ref.startswith("refs/tags/") else "BRANCH",
                },
                "refId": told.ref,
                "fromHash": told.before,
                "toHash": told.after,
                "type": kinds.get((told.created, told.deleted), "UPDATE"),
            }
            for told in tolds
        ],
    }
    return Delivery("bitbucket_dc", _dc_headers("repo:refs_changed", first.delivery_id), payload)


def _dc_headers(event: str, delivery_id: str) -> dict[str, str]:
    return {"User-Agent": "Atlassian HttpClient 4.3", "X-Event-Key": event, "X-Request-Id": delivery_id}


def bitbucket_dc_ping(delivery_id: str = "d872ad25-24fe-4278-a73a-2a10ed6b653d") -> Delivery:
    """What 'Test connection' sends."""
    return Delivery("bitbucket_dc", _dc_headers("diagnostics:ping", delivery_id), {"test": True})


def azure(*tolds: Told) -> Delivery:
    """Azure DevOps' `git.push`; without refs if there are none to tell of."""
    first = tolds[0] if tolds else Told("https://dev.azure.com/acme/web/_git/shop")
    payload = {
        "subscriptionId": "4f6e6328-0251-4814-a009-c01dfa368e3f",
        "notificationId": 31,
        "id": first.delivery_id,
        "eventType": "git.push",
        "publisherId": "tfs",
        "message": {"text": "Ada Example pushed updates to shop:main."},
        "detailedMessage": {"text": "Ada Example pushed a commit to shop:main."},
        "resource": {
            "commits": [{"commitId": told.after, "comment": "Serve the shop from port 8081"} for told in tolds],
            "refUpdates": [{"name": told.ref, "oldObjectId": told.before, "newObjectId": told.after} for told in tolds],
            "repository": {
                "id": "278d5cd2-584d-4b63-824a-2ba458937249",
                "name": "shop",
                "url": "https://dev.azure.com/acme/_apis/git/repositories/278d5cd2-584d-4b63-824a-2ba458937249",
                "project": {"id": "6ce954b1-ce1f-45d1-b94d-e6bf2464ba2c", "name": "web", "state": "wellFormed"},
                "defaultBranch": f"refs/heads/{first.default_branch}",
                "remoteUrl": first.web,
            },
            "pushedBy": {"displayName": "Ada Example", "uniqueName": "ada@example.com"},
            "pushId": 14,
            "date": "2026-11-20T08:41:07Z",
        },
        "resourceVersion": "1.0",
        "createdDate": "2026-11-20T08:41:08.4471264Z",
    }
    headers = {
        "User-Agent": "VSServices/20.256 (w3wp.exe)",
        "X-Vss-ActivityId": "9e3f0b4c-1f2d-4a31-a3ab-7f1f6d8d0c11",
        "X-Vss-SubscriptionId": "4f6e6328-0251-4814-a009-c01dfa368e3f",
    }
    return Delivery("azure", headers, payload)


def generic(told: Told) -> Delivery:
    """Driftline's own small payload, for servers and scripts that no other format fits."""
    payload = {
        "repository": f"{told.web}.git",
        "ref": told.ref,
        "before": told.before,
        "after": told.after,
        "forced": told.forced,
        "default_branch": told.default_branch,
        "pusher": "ada",
    }
    return Delivery("generic", {"X-Driftline-Delivery": told.delivery_id}, payload)


@dataclass(frozen=True)
class Published:
    """An artifact that was pushed to a registry."""

    host: str = "harbor.example.org"
    path: str = "charts/redis"
    tag: str = "18.2.0"
    delivery_id: str = "7c1d2e4a-50f1-11ef-8a6b-0242ac120002"


def harbor(told: Published = Published(), event: str = "PUSH_ARTIFACT") -> Delivery:
    """Harbor's default format; each artifact has its own entry for each tag."""
    namespace, _, name = told.path.partition("/")
    digest = "sha256:" + "6b1c" * 16
    payload = {
        "type": event,
        "occur_at": 1764241200,
        "operator": "ada",
        "event_data": {
            "resources": [
                {
                    "digest": digest,
                    "tag": told.tag,
                    "resource_url": f"{told.host}/{told.path}" + (f":{told.tag}" if told.tag else f"@{digest}"),
                }
            ],
            "repository": {
                "date_created": 1764000000,
                "name": name,
                "namespace": namespace,
                "repo_full_name": told.path,
                "repo_type": "private",
            },
        },
    }
    return Delivery("harbor", {"User-Agent": "Go-http-client/1.1"}, payload)


def github_package(
    told: Published = Published("ghcr.io"), action: str = "published", kind: str = "CONTAINER"
) -> Delivery:
    """GitHub's `package`: a version of a package of the container registry, or of another one."""
    owner, _, name = told.path.partition("/")
    digest = "sha256:" + "6b1c" * 16
    payload = {
        "action": action,
        "package": {
            "id": 4711,
            "name": name,
            "namespace": owner,
            "description": "",
            "ecosystem": "CONTAINER",
            "package_type": kind,
            "html_url": f"https://github.com/{owner}/shop/pkgs/container/{name}",
            "created_at": "2026-11-20T09:41:07Z",
            "updated_at": "2026-11-20T09:41:07Z",
            "owner": {"login": owner, "id": 21031067, "type": "Organization"},
            "package_version": {
                "id": 815,
                "version": digest,
                "name": digest,
                "description": "",
                "summary": "",
                "metadata": [],
                "container_metadata": {
                    "tag": {"name": told.tag, "digest": digest},
                    "labels": {},
                    "manifest": {"digest": digest, "media_type": "application/vnd.oci.image.manifest.v1+json"},
                },
                "package_url": f"ghcr.io/{told.path}:{told.tag}",
                "html_url": f"https://github.com/orgs/{owner}/packages/container/{name}/815",
            },
            "registry": None,
        },
        "repository": _github_repository(Told("https://github.com/acme/shop")),
        "sender": {"login": "ada", "id": 21031067, "type": "User", "site_admin": False},
    }
    return Delivery("github", _github_headers("package", told.delivery_id), payload)


PUSH: Mapping[str, Callable[[Told], Delivery]] = {
    "github": github,
    "gitlab": gitlab,
    "gitea": gitea,
    "forgejo": forgejo,
    "gogs": gogs,
    "bitbucket_cloud": bitbucket_cloud,
    "bitbucket_dc": bitbucket_dc,
    "azure": azure,
    "generic": generic,
}
"""A push of one ref, by host."""

WEB: Mapping[str, str] = {
    "github": "https://github.com/acme/shop",
    "gitlab": "https://gitlab.example.com/acme/web/shop",
    "bitbucket_cloud": "https://bitbucket.org/acme/shop",
    "bitbucket_dc": "https://bitbucket.example.com/acme/shop",
    "azure": "https://dev.azure.com/acme/web/_git/shop",
}


def web_of(provider: str) -> str:
    """A repository's page at this host."""
    return WEB.get(provider, "https://git.example.com/acme/shop")


def samples() -> list[tuple[str, Delivery]]:
    """Every kind of delivery, named: each host's pushes in all forms, pings, and events that are ignored."""
    found: list[tuple[str, Delivery]] = []
    for provider, push in PUSH.items():
        web = web_of(provider)
        told = {
            "branch": Told(web, delivery_id="d-1"),
            "created": Told(web, "refs/heads/feature/cart", before=ZERO, delivery_id="d-2"),
            "deleted": Told(web, "refs/heads/feature/cart", after=ZERO, delivery_id="d-3"),
            "forced": Told(web, forced=True, delivery_id="d-4"),
            "tag": Told(web, "refs/tags/v1.4.0", before=ZERO, delivery_id="d-5"),
            "tag deleted": Told(web, "refs/tags/v1.4.0", after=ZERO, delivery_id="d-6"),
            "notes": Told(web, "refs/notes/commits", delivery_id="d-7"),
        }
        found += [(f"{provider} {name}", push(what)) for name, what in told.items()]
    for provider, family in (("gitea", gitea), ("forgejo", forgejo), ("gogs", gogs)):
        web = web_of(provider)
        found.append((f"{provider} create", family(Told(web, "refs/heads/a/b", before=ZERO), whole=False)))
        found.append((f"{provider} delete", family(Told(web, "refs/tags/v1", after=ZERO), whole=False)))
    form = github(Told(WEB["github"], delivery_id="d-8"))
    found += [
        ("github form", Delivery("github", form.headers, form.payload, FORM)),
        ("github ping", github_ping()),
        ("gitlab system", gitlab_system(Told(WEB["gitlab"]), Told(WEB["gitlab"], "refs/tags/v1", before=ZERO))),
        ("bitbucket_cloud several", bitbucket_cloud(*several("bitbucket_cloud"))),
        ("bitbucket_dc several", bitbucket_dc(*several("bitbucket_dc"))),
        ("bitbucket_dc ping", bitbucket_dc_ping()),
        ("azure several", azure(*several("azure"))),
        ("azure nothing", azure()),
        ("github package", github_package()),
        ("github package of another kind", github_package(kind="npm")),
        ("harbor artifact", harbor()),
        ("harbor scan", harbor(event="SCANNING_COMPLETED")),
    ]
    return found


def several(provider: str) -> tuple[Told, Told, Told]:
    """One push of three refs: a branch moved, a branch deleted, a tag made."""
    web = web_of(provider)
    return (
        Told(web, delivery_id="d-9"),
        Told(web, "refs/heads/old", after=ZERO),
        Told(web, "refs/tags/v2", before=ZERO),
    )
