"""Take one context out of the user's kubeconfig, whole: with the files that it names written into it."""

import base64
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service.cli.failing import Problem

_FILES = {
    "certificate-authority": "certificate-authority-data",
    "client-certificate": "client-certificate-data",
    "client-key": "client-key-data",
}


@dataclass(frozen=True)
class Single:
    """A kubeconfig with one context. `text` is JSON, which is YAML too."""

    context: str
    server: str
    text: str


def single(file: str = "", context: str = "") -> Single:
    """One context of a kubeconfig: of `file`, else of KUBECONFIG's files, else of ~/.kube/config. Raises Problem."""
    paths = [file] if file else [each for each in os.environ.get("KUBECONFIG", "").split(os.pathsep) if each]
    found = _merged([Path(each) for each in paths] or [Path.home() / ".kube" / "config"])
    wanted = context or found["current-context"]
    entry = found["contexts"].get(wanted)
    if entry is None:
        names = ", ".join(sorted(found["contexts"])) or "none"
        raise Problem(f"context {wanted or '(none chosen)'}: is not in the kubeconfig; it has {names}")
    cluster, user = found["clusters"].get(entry.get("cluster")), found["users"].get(entry.get("user"), {})
    if cluster is None:
        raise Problem(f"context {wanted}: its cluster {entry.get('cluster')} is not in the kubeconfig")
    return Single(wanted, str(cluster.get("server", "")), _text(wanted, cluster, user))


def _text(name: str, cluster: dict[str, Any], user: dict[str, Any]) -> str:
    import json

    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": name,
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
            "clusters": [{"name": name, "cluster": cluster}],
            "users": [{"name": name, "user": user}],
        }
    )


def _merged(paths: list[Path]) -> dict[str, Any]:
    """Contexts, clusters and users by name; the first file that names one wins, as kubectl has it."""
    found: dict[str, Any] = {"contexts": {}, "clusters": {}, "users": {}, "current-context": ""}
    for path in paths:
        config = _read(path)
        found["current-context"] = found["current-context"] or config.get("current-context") or ""
        for kind, inner in (("contexts", "context"), ("clusters", "cluster"), ("users", "user")):
            for each in config.get(kind) or ():
                found[kind].setdefault(each.get("name"), _inlined(path, dict(each.get(inner) or {})))
    return found


def _read(path: Path) -> dict[str, Any]:
    import yaml

    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Problem(f"{path}: {error.strerror}; name a kubeconfig with --kubeconfig or KUBECONFIG") from None
    except yaml.YAMLError:
        raise Problem(f"{path}: is not valid YAML") from None
    if not isinstance(found, dict):
        raise Problem(f"{path}: is no kubeconfig")
    return found


def _inlined(path: Path, entry: dict[str, Any]) -> dict[str, Any]:
    """Files become data: the server that is to use them does not have our files."""
    for name, data in _FILES.items():
        file = entry.pop(name, None)
        if file and data not in entry:
            entry[data] = base64.b64encode(_content(path, file)).decode()
    file = entry.pop("tokenFile", None)
    if file and "token" not in entry:
        entry["token"] = _content(path, file).decode().strip()
    return entry


def _content(path: Path, file: str) -> bytes:
    try:
        return (path.parent / file).read_bytes()
    except OSError as error:
        raise Problem(f"{path}: names {file}: {error.strerror}") from None
