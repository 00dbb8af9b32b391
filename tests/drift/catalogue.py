"""Objects of many kinds, as a repository would hold them. The histories change them field by field."""

from driftline.model.objects import Object

GROUP = "drift.driftline.test"


def pod(image: str = "nginx:1.27") -> Object:
    """A Pod template with most of what the schema treats specially."""
    return {
        "metadata": {"labels": {"app": "web"}, "annotations": {"note": "a"}},
        "spec": {
            "serviceAccountName": "web",
            "terminationGracePeriodSeconds": 20,
            "nodeSelector": {"disk": "ssd"},
            "securityContext": {"runAsNonRoot": True, "supplementalGroups": [1, 2]},
            "initContainers": [
                {"name": "first", "image": "busybox", "command": ["true"]},
                {"name": "second", "image": "busybox", "command": ["true"]},
            ],
            "containers": [
                {
                    "name": "web",
                    "image": image,
                    "args": ["--port", "80"],
                    "env": [
                        {"name": "A", "value": "1"},
                        {"name": "B", "value": "$(A)"},
                        {"name": "P", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                    ],
                    "ports": [{"containerPort": 80, "name": "http"}, {"containerPort": 53, "protocol": "UDP"}],
                    "resources": {"limits": {"cpu": "1000m", "memory": "1024Mi"}, "requests": {"cpu": 0.5}},
                    "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}, {"name": "cfg", "mountPath": "/cfg"}],
                    "livenessProbe": {"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 7},
                    "securityContext": {"capabilities": {"drop": ["ALL"]}},
                },
                {"name": "side", "image": "envoy"},
            ],
            "volumes": [
                {"name": "tmp", "emptyDir": {}},
                {"name": "cfg", "configMap": {"name": "web", "items": [{"key": "a", "path": "a"}]}},
                {"name": "tok", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}},
            ],
            "tolerations": [{"key": "spot", "operator": "Exists"}],
            "topologySpreadConstraints": [
                {
                    "maxSkew": 1,
                    "topologyKey": "zone",
                    "whenUnsatisfiable": "ScheduleAnyway",
                    "labelSelector": {"matchLabels": {"app": "web"}},
                }
            ],
            "hostAliases": [{"ip": "10.1.1.1", "hostnames": ["db"]}],
            "imagePullSecrets": [{"name": "pull"}],
        },
    }


def small_pod(restart: str = "Always") -> Object:
    """A Pod template that Jobs and sets share."""
    spec: Object = {
        "containers": [{"name": "web", "image": "nginx:1.27", "env": [{"name": "A", "value": "1"}]}],
        "restartPolicy": restart,
    }
    return {"metadata": {"labels": {"app": "web"}}, "spec": spec}


def _object(api_version: str, kind: str, **content: object) -> Object:
    body: Object = {"apiVersion": api_version, "kind": kind}
    body["metadata"] = {
        "name": "web",
        "labels": {"team": "shop"},
        "annotations": {"note": "kept", "url": "http://x/?a&b"},
    }
    body.update(content)
    return body


SELECTOR = {"matchLabels": {"app": "web"}}

OBJECTS: dict[str, Object] = {
    "apps/v1/deployments": _object(
        "apps/v1",
        "Deployment",
        spec={
            "replicas": 2,
            "selector": SELECTOR,
            "template": pod(),
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 1}},
        },
    ),
    "apps/v1/statefulsets": _object(
        "apps/v1",
        "StatefulSet",
        spec={
            "replicas": 1,
            "serviceName": "web",
            "selector": SELECTOR,
            "template": small_pod(),
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}},
            "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete"},
        },
    ),
    "apps/v1/daemonsets": _object(
        "apps/v1",
        "DaemonSet",
        spec={"selector": SELECTOR, "template": small_pod(), "updateStrategy": {"type": "OnDelete"}},
    ),
    "batch/v1/jobs": _object(
        "batch/v1",
        "Job",
        spec={
            "backoffLimit": 3,
            "ttlSecondsAfterFinished": 60,
            "suspend": True,
            "podFailurePolicy": {"rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}]},
            "template": small_pod("Never"),
        },
    ),
    "batch/v1/cronjobs": _object(
        "batch/v1",
        "CronJob",
        spec={
            "schedule": "*/5 * * * *",
            "concurrencyPolicy": "Forbid",
            "suspend": False,
            "jobTemplate": {"spec": {"template": small_pod("OnFailure")}},
        },
    ),
    "v1/services": _object(
        "v1",
        "Service",
        spec={
            "selector": {"app": "web"},
            "ports": [
                {"name": "http", "port": 80, "targetPort": "http"},
                {"name": "dns", "port": 53, "protocol": "UDP"},
            ],
            "sessionAffinity": "ClientIP",
            "loadBalancerSourceRanges": ["10.0.0.0/8", "192.168.0.0/16"],
            "type": "LoadBalancer",
        },
    ),
    "v1/configmaps": _object(
        "v1", "ConfigMap", data={"a": "1", "b": "two\nlines", "c.conf": ""}, binaryData={"z": "aGVsbG8="}
    ),
    "v1/secrets": _object("v1", "Secret", type="Opaque", data={"a": "aGVsbG8=", "b": "d29ybGQ="}),
    "v1/serviceaccounts": _object(
        "v1",
        "ServiceAccount",
        automountServiceAccountToken=False,
        imagePullSecrets=[{"name": "pull"}, {"name": "push"}],
        secrets=[{"name": "one"}],
    ),
    "rbac.authorization.k8s.io/v1/roles": _object(
        "rbac.authorization.k8s.io/v1",
        "Role",
        rules=[{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}],
    ),
    "networking.k8s.io/v1/networkpolicies": _object(
        "networking.k8s.io/v1",
        "NetworkPolicy",
        spec={
            "podSelector": {},
            "policyTypes": ["Ingress"],
            "ingress": [{"ports": [{"port": 80}], "from": [{"podSelector": {"matchLabels": {"app": "web"}}}]}],
        },
    ),
    "networking.k8s.io/v1/ingresses": _object(
        "networking.k8s.io/v1",
        "Ingress",
        spec={
            "ingressClassName": "nginx",
            "tls": [{"hosts": ["shop.example"], "secretName": "tls"}],
            "rules": [
                {
                    "host": "shop.example",
                    "http": {
                        "paths": [
                            {
                                "path": "/",
                                "pathType": "Prefix",
                                "backend": {"service": {"name": "web", "port": {"number": 80}}},
                            }
                        ]
                    },
                }
            ],
        },
    ),
    "policy/v1/poddisruptionbudgets": _object(
        "policy/v1", "PodDisruptionBudget", spec={"minAvailable": 1, "selector": SELECTOR}
    ),
    "autoscaling/v2/horizontalpodautoscalers": _object(
        "autoscaling/v2",
        "HorizontalPodAutoscaler",
        spec={
            "minReplicas": 2,
            "maxReplicas": 5,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "metrics": [
                {
                    "type": "Resource",
                    "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}},
                },
                {
                    "type": "Resource",
                    "resource": {"name": "memory", "target": {"type": "AverageValue", "averageValue": "0.5Gi"}},
                },
            ],
        },
    ),
    "v1/persistentvolumeclaims": _object(
        "v1",
        "PersistentVolumeClaim",
        spec={
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1024Mi"}},
            "storageClassName": "fast",
        },
    ),
    "v1/resourcequotas": _object("v1", "ResourceQuota", spec={"hard": {"pods": "1k", "requests.cpu": "1500m"}}),
    f"{GROUP}/v1/gadgets": _object(
        f"{GROUP}/v1",
        "Gadget",
        spec={
            "size": "1000m",
            "port": 80,
            "mode": "fast",
            "steps": [{"name": "one", "run": "a"}, {"name": "two", "run": "b"}],
            "tags": ["x", "y"],
            "ordered": ["b", "a"],
            "whole": {"a": "1", "b": "2"},
            "limits": {"cpu": "500m"},
            "groups": {"one": {"members": 1}},
            "free": {"deep": {"er": [1, {"a": 2}]}},
            "template": {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "inner", "labels": {"a": "b"}},
                "data": {"x": "y"},
            },
            "when": "2024-01-01T00:00:00+02:00",
        },
    ),
}

_TEXT: Object = {"type": "string"}


def gadget_crd(*, extra_default: bool = False, without_mode: bool = False) -> Object:
    """A custom kind with every schema extension; later versions of it get a default, or lose a field."""
    spec: Object = {
        "size": _TEXT,
        "port": {"x-kubernetes-int-or-string": True},
        "mode": _TEXT,
        "speed": {"type": "integer", "default": 3},
        "steps": {
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name", "kind"],
            "items": {
                "type": "object",
                "required": ["name"],
                "properties": {"name": _TEXT, "kind": {"type": "string", "default": "shell"}, "run": _TEXT},
            },
        },
        "tags": {"type": "array", "x-kubernetes-list-type": "set", "items": _TEXT},
        "ordered": {"type": "array", "items": _TEXT},
        "whole": {"type": "object", "x-kubernetes-map-type": "atomic", "additionalProperties": _TEXT},
        "limits": {"type": "object", "additionalProperties": _TEXT},
        "groups": {
            "type": "object",
            "additionalProperties": {"type": "object", "properties": {"members": {"type": "integer"}, "note": _TEXT}},
        },
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        "template": {
            "type": "object",
            "x-kubernetes-embedded-resource": True,
            "x-kubernetes-preserve-unknown-fields": True,
        },
        "when": {"type": "string", "format": "date-time"},
        "quiet": {"type": "boolean"},
    }
    if extra_default:
        spec["colour"] = {"type": "string", "default": "red"}
    if without_mode:
        del spec["mode"]
    schema: Object = {
        "type": "object",
        "properties": {"spec": {"type": "object", "properties": spec}, "status": {"type": "object"}},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"gadgets.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {"plural": "gadgets", "singular": "gadget", "kind": "Gadget", "listKind": "GadgetList"},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": schema},
                    "subresources": {"status": {}},
                }
            ],
        },
    }
