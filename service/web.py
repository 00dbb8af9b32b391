"""The Flask application: webhooks, signing in, API, UI, health, behind one guard. gunicorn serves `service.web:app`."""

from datetime import timedelta
from typing import Any

from flask import Flask

from driftline.access.policy import Policy
from driftline.flow.assemble import edges_of_this_process
from driftline.flow.edges import Edges
from service.api.health import health
from service.api.hooks import Receiver, StoredSecrets
from service.api.serving import failed
from service.api.table import blueprint as api
from service.auth.addresses import parse_proxies
from service.auth.guard import Guard, protect
from service.auth.routes import routes as signing_in
from service.auth.sessions import Sessions
from service.auth.storage import StoredAccounts
from service.security import secure
from service.webhooks import webhooks


def create_app(edges: Edges) -> Flask:
    """The whole application over these edges."""
    settings = edges.settings
    app = Flask("service", static_folder=None, template_folder=None)
    app.secret_key = settings.signing_key
    app.extensions["driftline.edges"] = edges
    app.json.sort_keys = False  # type: ignore[attr-defined]
    secure(app)
    sessions = Sessions(StoredAccounts(edges.store), timedelta(hours=settings.session_hours))
    protect(app, Guard(sessions, lambda: POLICY, settings.public_url, parse_proxies(settings.trusted_proxies)))
    app.register_blueprint(health(edges))
    app.register_blueprint(webhooks(Receiver(edges), StoredSecrets(edges), settings))
    app.register_blueprint(signing_in)
    app.register_blueprint(api())
    _mount_pages(app, edges)
    app.register_error_handler(Exception, failed)
    return app


POLICY = Policy()
"""Who may do what: the built-in roles `role:admin` and `role:readonly`, which accounts have or have not."""


def _mount_pages(app: Flask, edges: Edges) -> None:
    """The UI, where this installation has it."""
    from service import ui

    if hasattr(ui, "blueprint"):
        app.register_blueprint(ui.blueprint(edges))


def __getattr__(name: str) -> Any:
    """`app` is made when a worker process first asks for it, so that no connection is older than the fork."""
    if name != "app":
        raise AttributeError(name)
    edges = edges_of_this_process("web")
    made = create_app(edges)
    globals()["app"] = made
    return made
