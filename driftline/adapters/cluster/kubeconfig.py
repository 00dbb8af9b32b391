"""Reads kubeconfigs that people upload, and refuses what would run or read on our machine. Called by credentials."""

import base64
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import orjson
import yaml

from driftline.model.errors import Permanent

_LARGEST = 64 * 1024
_DEEPEST = 30
_PRIVATE = frozenset({"exec", "auth-provider", "tokenFile"})
_FILES = frozenset({"certificate-authority", "client-certificate", "client-key"})
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


def read_kubeconfig(name: str, text: str, allow_private: bool = False) -> dict[str, Any]:
    """The kubeconfig of cluster `name` as a mapping. Raises Permanent if it is none, or asks for too much.

    Unless `allow_private`, it may neither name programs (`exec`, `auth-provider`) nor files of this machine, and its
    server must be https. Source: CVE-2022-24817.
    """
    if len(text) > _LARGEST:
        raise Permanent(f"cluster {name}: its kubeconfig is larger than {_LARGEST // 1024} KiB")
    config = _parse(name, text)
    if not allow_private:
        for path, key in _keys(config, ""):
            if key in _PRIVATE or key in _FILES or key.endswith("-file"):
                raise Permanent(
                    f"cluster {name}: its kubeconfig has {path}, which would run a program or read a file on this "
                    "machine; put the credentials inside, or set DRIFTLINE_CLUSTER_PRIVATE_KUBECONFIG"
                )
        for server in _servers(config):
            if urlsplit(server).scheme != "https":
                raise Permanent(f"cluster {name}: its server must be an https:// URL, so that credentials stay secret")
    return config


def kubeconfig_of(name: str, server: str, config: Mapping[str, Any]) -> str:
    """A kubeconfig for the `config` of an Argo CD cluster Secret (CLU-01). Programs in it become `exec`."""
    tls = config.get("tlsClientConfig") or {}
    cluster: dict[str, Any] = {"server": server}
    _take(cluster, "certificate-authority-data", tls.get("caData"))
    _take(cluster, "insecure-skip-tls-verify", tls.get("insecure"))
    _take(cluster, "tls-server-name", tls.get("serverName"))
    _take(cluster, "proxy-url", config.get("proxyUrl"))
    user: dict[str, Any] = {}
    _take(user, "client-certificate-data", tls.get("certData"))
    _take(user, "client-key-data", tls.get("keyData"))
    _take(user, "token", config.get("bearerToken"))
    _take(user, "username", config.get("username"))
    _take(user, "password", config.get("password"))
    _take(user, "exec", _program(config))
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": name, "user": user}],
    }
    return orjson.dumps(document).decode()


def _program(config: Mapping[str, Any]) -> dict[str, Any] | None:
    """The credential program of `execProviderConfig`, or the one that Argo CD runs for `awsAuthConfig`."""
    if aws := config.get("awsAuthConfig"):
        arguments = ["aws", "--cluster-name", str(aws.get("clusterName", ""))]
        arguments += ["--role-arn", str(aws["roleARN"])] if aws.get("roleARN") else []
        environment = [{"name": "AWS_PROFILE", "value": str(aws["profile"])}] if aws.get("profile") else []
        command = "argocd-k8s-auth"
        return {
            "apiVersion": "client.authentication.k8s.io/v1beta1",
            "command": command,
            "args": arguments,
            "env": environment,
        }
    program = config.get("execProviderConfig")
    if not program:
        return None
    return {
        "apiVersion": program.get("apiVersion") or "client.authentication.k8s.io/v1",
        "command": program.get("command", ""),
        "args": list(program.get("args") or []),
        "env": [{"name": key, "value": value} for key, value in (program.get("env") or {}).items()],
    }


def _take(target: dict[str, Any], key: str, value: Any) -> None:
    if value:
        target[key] = value


def _parse(name: str, text: str) -> dict[str, Any]:
    try:
        _look_at_shape(name, text)
        config = yaml.load(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        line = getattr(getattr(error, "problem_mark", None), "line", None)
        where = "" if line is None else f" (line {line + 1})"
        raise Permanent(f"cluster {name}: its kubeconfig is not valid YAML{where}") from None
    if not isinstance(config, dict):
        raise Permanent(f"cluster {name}: its kubeconfig is not a mapping")
    return config


def _look_at_shape(name: str, text: str) -> None:
    """Refuse aliases and deep nesting, event by event: parsing on would take its time, or crash the parser in C."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise Permanent(f"cluster {name}: its kubeconfig uses YAML aliases; write the values out")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            raise Permanent(f"cluster {name}: its kubeconfig is nested more than {_DEEPEST} levels deep")


def _keys(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, child in value.items():
            if child is None:
                continue
            yield f"{path}.{key}".lstrip("."), str(key)
            yield from _keys(child, f"{path}.{key}")
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from _keys(child, f"{path}[{index}]")


def _servers(config: Mapping[str, Any]) -> Iterator[str]:
    clusters = config.get("clusters")
    for entry in clusters if isinstance(clusters, list) else []:
        cluster = entry.get("cluster") if isinstance(entry, dict) else None
        yield str(cluster.get("server", "")) if isinstance(cluster, dict) else ""


def encoded(text: str) -> str:
    """Base64, as the `-data` fields of a kubeconfig want it."""
    return base64.b64encode(text.encode()).decode()
