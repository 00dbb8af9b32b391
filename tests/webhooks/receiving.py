"""A receiver that remembers, and an application with only the webhook routes, for the tests of this folder."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta

from flask import Flask
from flask.testing import FlaskClient

from driftline.adapters.settings import Settings
from driftline.model.push import Push
from service.bodies import PATIENCE
from service.providers.host import Secret
from service.webhooks import Receipt, webhooks
from tests.kit import payloads

HOOK = "hook-1"


@dataclass
class Receiver:
    """Keeps one row per delivery, as the database does. `fails` is raised instead, if set."""

    rows: dict[tuple[str, str, str], Push] = field(default_factory=dict)
    fails: Exception | None = None

    def __call__(self, push: Push, hook_id: str) -> Receipt:
        if self.fails:
            raise self.fails
        key = (push.provider, hook_id, push.delivery_id)
        new = key not in self.rows
        self.rows.setdefault(key, push)
        return Receipt(new, jobs=1 if new and push.changes else 0, outcome=push.ignored or "looked at")


@dataclass
class Secrets:
    """Every host has its secret; one hook of each exists. `missing` names hosts without any."""

    missing: frozenset[str] = frozenset()
    asked: list[str] = field(default_factory=list)
    fails: Exception | None = None

    def for_header(self, provider: str) -> list[Secret]:
        self.asked.append(provider)
        return [] if provider in self.missing else [Secret("an older secret"), Secret(payloads.secret_of(provider))]

    def for_hook(self, provider: str, hook_id: str) -> Secret | None:
        self.asked.append(f"{provider}/{hook_id}")
        if self.fails:
            raise self.fails
        known = hook_id == HOOK and provider not in self.missing
        return Secret(payloads.secret_of(provider)) if known else None


@dataclass
class Site:
    """The application under test and what stands behind it."""

    app: Flask
    receiver: Receiver
    secrets: Secrets

    @property
    def client(self) -> FlaskClient:
        return self.app.test_client()


def site(
    cap: int = 25 * 1024 * 1024,
    receiver: Receiver | None = None,
    secrets: Secrets | None = None,
    patience: timedelta = PATIENCE,
) -> Site:
    """An application that receives webhooks of at most `cap` bytes."""
    receiver, secrets = receiver or Receiver(), secrets or Secrets()
    app = Flask(__name__, static_folder=None)
    app.register_blueprint(webhooks(receiver, secrets, replace(Settings(), webhook_max_body=cap), patience))
    return Site(app, receiver, secrets)


Build = Callable[[payloads.Told], payloads.Delivery]
