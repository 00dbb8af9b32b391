"""What the benches deploy: files of repositories and the objects in them. Pure."""

from collections.abc import Iterator
from typing import Any

import yaml

Object = dict[str, Any]

SERVER = "https://kubernetes.default.svc"


def config_map(name: str, value: str = "1", namespace: str = "") -> Object:
    """A small ConfigMap with one field to change."""
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"value": value, "of": name}}


def service(name: str, namespace: str = "", value: str = "1") -> list[Object]:
    """The four objects of one small service: ServiceAccount, Service, Deployment of 0 replicas, Ingress."""
    labels = {"app.kubernetes.io/name": name}

    def metadata() -> Object:
        return {"name": name, "labels": labels, **({"namespace": namespace} if namespace else {})}

    container = {
        "name": "app",
        "image": "ghcr.io/stefanprodan/podinfo:6.9.0",
        "ports": [{"name": "http", "containerPort": 9898, "protocol": "TCP"}],
        "env": [{"name": "COLOUR", "value": value}],
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": "http"}, "periodSeconds": 10},
        "resources": {"limits": {"cpu": "1", "memory": "256Mi"}, "requests": {"cpu": "100m", "memory": "64Mi"}},
    }
    deployment = {
        "replicas": 0,
        "revisionHistoryLimit": 3,
        "selector": {"matchLabels": labels},
        "template": {
            "metadata": {"labels": labels},
            "spec": {"serviceAccountName": name, "containers": [container]},
        },
    }
    port = {"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"}
    backend = {"service": {"name": name, "port": {"name": "http"}}}
    rule = {
        "host": f"{name}.example.test",
        "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]},
    }
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata()},
        {"apiVersion": "v1", "kind": "Service", "metadata": metadata(), "spec": {"selector": labels, "ports": [port]}},
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata(), "spec": deployment},
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "Ingress",
            "metadata": metadata(),
            "spec": {"ingressClassName": "bench", "rules": [rule]},
        },
    ]


def text(objects: list[Object]) -> str:
    """One YAML stream."""
    return yaml.dump_all(objects, Dumper=yaml.CSafeDumper, sort_keys=False)


def config_maps(number: int, per_file: int = 10) -> dict[str, str]:
    """An application of many ConfigMaps, `app/part-<n>.yaml`."""
    files = {}
    for start in range(0, number, per_file):
        names = [f"map-{index:04}" for index in range(start, min(start + per_file, number))]
        files[f"app/part-{start // per_file:04}.yaml"] = text([config_map(name) for name in names])
    return files


def application(name: str, url: str, path: str, namespace: str) -> Object:
    """An Application of one plain directory that follows `main` by itself."""
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": name, "finalizers": ["resources-finalizer.argocd.argoproj.io"]},
        "spec": {
            "project": "default",
            "source": {"repoURL": url, "path": path, "targetRevision": "main"},
            "destination": {"server": SERVER, "namespace": namespace},
            "syncPolicy": {"automated": {"prune": True, "selfHeal": True}},
        },
    }


def app_of_apps(number: int, url: str, namespace: str, prefix: str = "app") -> dict[str, str]:
    """A repository of many small services, one directory and one Application in `root/` for each."""
    files = {}
    for name in names(number, prefix):
        files[f"apps/{name}/all.yaml"] = text(service(name))
        files[f"root/{name}.yaml"] = text([application(name, url, f"apps/{name}", namespace)])
    return files


def names(number: int, prefix: str = "app") -> Iterator[str]:
    """The names of the services of a repository."""
    return (f"{prefix}-{index:04}" for index in range(number))
