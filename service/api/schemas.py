"""What requests and answers look like, as JSON schemas for the OpenAPI document. Open objects: fields may be added."""

from typing import Any

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
MAYBE_TEXT: Schema = {"type": "string", "nullable": True}
FLAG: Schema = {"type": "boolean"}
NUMBER: Schema = {"type": "integer", "format": "int64"}
ANY: Schema = {"type": "object", "additionalProperties": True}


def _object(required: str = "", **fields: Schema) -> Schema:
    made: Schema = {"type": "object", "properties": fields, "additionalProperties": True}
    if required:
        made["required"] = required.split()
    return made


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def ref(name: str) -> Schema:
    """A reference to one of these schemas."""
    return {"$ref": f"#/components/schemas/{name}"}


def _page(items: Schema) -> Schema:
    metadata: Schema = {"type": "object", "properties": {"continue": TEXT}}
    return _object("items", metadata=metadata, items=_list(items))


_KEY = {"group": TEXT, "kind": TEXT, "namespace": TEXT, "name": TEXT}

SCHEMAS: dict[str, Schema] = {
    "Empty": _object(),
    "Object": ANY,
    "List": _page(ANY),
    "Error": _object("error code message", error=TEXT, code=NUMBER, message=TEXT),
    "Application": _object(
        "metadata spec",
        apiVersion=TEXT,
        kind=TEXT,
        metadata=_object("name", name=TEXT, namespace=TEXT, labels=ANY, annotations=ANY, finalizers=_list(TEXT)),
        spec=_object(
            "destination",
            project=TEXT,
            source=ANY,
            sources=_list(ANY),
            destination=_object(server=TEXT, name=TEXT, namespace=TEXT),
            syncPolicy=ANY,
        ),
        status=ANY,
        operation=ANY,
    ),
    "ApplicationList": _page(ref("Application")),
    "PatchRequest": _object("patch", name=TEXT, patch=TEXT, patchType={"type": "string", "enum": ["merge", "json"]}),
    "SyncRequest": _object(
        name=TEXT,
        revision=TEXT,
        prune=FLAG,
        dryRun=FLAG,
        resources=_list(_object("kind name", **_KEY)),
        syncOptions=_object(items=_list(TEXT)),
        strategy=_object(apply=_object(force=FLAG), hook=_object(force=FLAG)),
        infos=_list(_object(name=TEXT, value=TEXT)),
    ),
    "RollbackRequest": _object(id=NUMBER, prune=FLAG, dryRun=FLAG, reason=TEXT, until=TEXT, seconds=NUMBER),
    "ApproveRequest": _object("digest", digest=TEXT, keys=_list(TEXT)),
    "PauseRequest": _object(reason=TEXT, until=TEXT, seconds=NUMBER),
    "SyncList": _page(_object("id phase", id=NUMBER, phase=TEXT, kind=TEXT, message=TEXT, startedAt=TEXT)),
    "ResourceTree": _object("nodes", nodes=_list(_object("kind name", **_KEY, version=TEXT, uid=TEXT, health=ANY))),
    "ManagedResources": _page(_object("kind name", **_KEY, targetState=TEXT, liveState=TEXT, modified=FLAG)),
    "Manifests": _object("manifests", manifests=_list(TEXT), revision=TEXT, sourceType=TEXT),
    "LiveResource": _object("manifest", manifest=TEXT),
    "Diff": _object(
        "items different", items=_list(_object("kind name", **_KEY, state=TEXT, diff=TEXT)), different=FLAG
    ),
    "Plan": _object("digest text changes empty", digest=TEXT, text=TEXT, changes=_list(ANY), empty=FLAG),
    "Repository": _object(
        "repo type", repo=TEXT, type=TEXT, name=TEXT, project=TEXT, enableOCI=FLAG, connectionState=ANY
    ),
    "RepositoryList": _page(ref("Repository")),
    "RepositoryRequest": _object(
        "repo",
        repo=TEXT,
        type=TEXT,
        name=TEXT,
        project=TEXT,
        username=TEXT,
        password=TEXT,
        bearerToken=TEXT,
        sshPrivateKey=TEXT,
        knownHosts=TEXT,
        ca=TEXT,
        insecure=FLAG,
        proxy=TEXT,
        noProxy=TEXT,
        tlsClientCertData=TEXT,
        tlsClientCertKey=TEXT,
        enableOCI=FLAG,
        insecureOCIForceHttp=FLAG,
        passCredentials=FLAG,
        skipCheck=FLAG,
        webhookSecret=TEXT,
    ),
    "Cluster": _object("name server", name=TEXT, server=TEXT, serverVersion=TEXT, connectionState=ANY),
    "ClusterList": _page(ref("Cluster")),
    "ClusterRequest": _object("name server", name=TEXT, server=TEXT, kubeconfig=TEXT, config=ANY),
    "DriftList": _page(_object("application path", application=TEXT, path=TEXT, **_KEY, foundAt=TEXT)),
    "AlertTest": _object("recipient", recipient=TEXT),
    "AccountRequest": _object("name password", name=TEXT, password=TEXT, roles=_list(TEXT)),
    "AccountChange": _object(enabled=FLAG, roles=_list(TEXT)),
    "SessionRequest": _object("username password", username=TEXT, password=TEXT),
    "Session": _object("token", token=TEXT),
    "PasswordRequest": _object("newPassword currentPassword", name=TEXT, currentPassword=TEXT, newPassword=TEXT),
    "TokenRequest": _object(id=TEXT, expiresIn=NUMBER),
}
