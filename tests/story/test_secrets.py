"""A Secret in Git, changed by hand and refused by the API server, is nowhere to be read but in the cluster."""

import base64
import json
import secrets

from deploy.demo.world import ApiError, World
from tests.kit.world import Team, everything_stored, mail_texts, slack_texts


def test_a_canary_is_nowhere(world: World, crew: Team) -> None:
    canaries = [f"canary{secrets.token_hex(12)}" for _ in range(3)]
    in_git, by_hand, refused = canaries
    crew.push({"app/secret.json": _secret(stringData={"password": in_git})})
    crew.create(syncPolicy={"automated": {}, "syncOptions": ["CreateNamespace=true"]})
    crew.wait()
    patch = {"data": {"password": base64.b64encode(by_hand.encode()).decode()}}
    crew.hands.merge_patch("v1/secrets", crew.name, "login", patch)
    crew.wait("OutOfSync")
    answers = [_answers(world, crew)]
    crew.push(
        {"app/secret.json": _secret(type="kubernetes.io/tls", stringData={"tls.crt": refused, "tls.key": refused})}
    )
    world.eventually(
        lambda: crew.operation().get("phase") == "Failed" or "retry" in crew.operation().get("message", "").lower(),
        30,
        "the API server refuses it",
    )
    answers.append(_answers(world, crew))
    world.eventually(lambda: [each for each in mail_texts(world) if f"{crew.name}: sync failed" in each], 20, "a mail")

    places = {"API and UI": "\n".join(answers), "Slack": repr([each.raw for each in world.slack.calls])}  # type: ignore[union-attr]
    places["Slack texts"] = "\n".join(slack_texts(world))
    places["mail"] = "\n".join(mail_texts(world)) + repr([m.message.as_string() for m in world.mail.messages])  # type: ignore[union-attr]
    places |= {path.name: path.read_text(errors="replace") for path in world.directory.glob("**/*.log")}
    for canary in canaries:
        forms = [canary, base64.b64encode(canary.encode()).decode()]
        for place, text in places.items():
            assert not any(form in text for form in forms), f"{place} shows a secret"
        for table, value in everything_stored(world):
            assert not any(form in value for form in forms), f"table {table} holds a secret"
    assert crew.name in places["API and UI"] and "login" in places["API and UI"]
    crew.delete()


def _secret(**fields: object) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "login"}, **fields})


def _answers(world: World, crew: Team) -> str:
    """Everything that API and UI say of the application."""
    name = crew.name
    app = f"/api/v1/applications/{name}"
    paths = [app, f"{app}/diff", f"{app}/plan", f"{app}/manifests", f"{app}/managed-resources", f"{app}/resource-tree"]
    paths += [f"{app}/syncs", f"{app}/resource?kind=Secret&namespace={name}&resourceName=login", f"{app}/events"]
    paths += [f"/api/v1/drift?app={name}", "/api/v1/audit", "/api/v1/deliveries", "/api/v1/jobs/quarantined"]
    paths += [
        "/",
        "/applications",
        f"/applications/{name}",
        f"/applications/{name}/diff",
        f"/applications/{name}/drift",
    ]
    paths += [f"{app}/syncs/{each['id']}" for each in world.api.get(f"{app}/syncs")["items"]]
    texts = []
    for path in paths:
        try:
            texts.append(json.dumps(world.api.get(path)))
        except ApiError as error:
            texts.append(str(error))
    return "\n".join(texts)
