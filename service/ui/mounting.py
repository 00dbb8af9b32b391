"""Make the blueprint: every page's address, what templates may call, and what a failure looks like."""

from collections.abc import Callable
from typing import Any

from flask import Blueprint, g, request
from flask.blueprints import BlueprintSetupState
from werkzeug.exceptions import HTTPException

from driftline.flow.edges import Edges
from driftline.model.errors import Permanent, Temporary
from driftline.model.revisions import titled
from service.ui import (
    actions,
    application,
    applications,
    assets,
    drift,
    errors,
    looks,
    operations,
    places,
    record,
    resources,
    session,
    times,
)
from service.ui.page import EXTENSION, may_system, now, theme

PAGES: tuple[tuple[str, str, Callable[..., Any]], ...] = (
    ("/", "index", applications.index),
    ("/applications", "list_applications", applications.list_applications),
    ("/applications/<name>", "show_application", application.show),
    ("/applications/<namespace>/<name>", "application_in_namespace", application.in_namespace),
    ("/drift", "show_drift", drift.show),
    ("/alerts", "show_alerts", record.show_alerts),
    ("/alerts/<int:alert_id>", "show_alert", record.show_alert),
    ("/deliveries", "show_deliveries", record.show_deliveries),
    ("/jobs", "show_jobs", record.show_jobs),
    ("/repositories", "show_repositories", places.show_repositories),
    ("/clusters", "show_clusters", places.show_clusters),
    ("/settings", "show_settings", record.show_settings),
    ("/login", "login_form", session.login_form),
    ("/ui/live/applications", "list_fragment", applications.list_fragment),
    ("/ui/live/applications/<name>", "live_application", application.live),
    ("/ui/live/drift", "live_drift", drift.live),
    ("/ui/static/<tag>/<name>", "static", assets.serve),
)
"""Address, endpoint and view of what is read."""

DEEDS: tuple[tuple[str, str, Callable[..., Any]], ...] = (
    ("/login", "login", session.login),
    ("/logout", "logout", session.logout),
    ("/ui/theme", "choose_theme", session.choose_theme),
    ("/ui/applications/<name>/sync", "sync", actions.sync),
    ("/ui/applications/<name>/refresh", "refresh", actions.refresh),
    ("/ui/applications/<name>/terminate", "terminate", actions.terminate),
    ("/ui/applications/<name>/rollback", "rollback", actions.rollback),
    ("/ui/applications/<name>/unpin", "unpin", actions.unpin),
    ("/ui/applications/<name>/approve", "approve", actions.approve),
    ("/ui/applications/<name>/confirm-deletion", "confirm_deletion", actions.confirm_deletion),
    ("/ui/applications/<name>/pause", "pause", actions.pause),
    ("/ui/applications/<name>/unpause", "unpause", actions.unpause),
    ("/ui/applications/<name>/delete", "delete", actions.delete),
    ("/ui/messages/<int:message_id>/retry", "retry_message", record.retry_message),
    ("/ui/jobs/<int:job_id>/retry", "retry_job", record.retry_job),
    ("/ui/alerts/test", "try_alert", record.try_alert),
)
"""The same for what changes something: forms with a CSRF token."""

NAVIGATION = (
    ("list_applications", "Applications", "layers", False),
    ("show_drift", "Drift", "git-compare", False),
    ("show_alerts", "Alerts", "bell", True),
    ("show_deliveries", "Deliveries", "webhook", True),
    ("show_jobs", "Jobs", "list-checks", True),
    ("show_repositories", "Repositories", "git-branch", False),
    ("show_clusters", "Clusters", "server", False),
    ("show_settings", "Settings", "settings", True),
)
"""Endpoint, word, icon, and whether it takes the right to see the system."""


def blueprint(edges: Edges) -> Blueprint:
    """The pages over these edges. Wants the guard (`service.auth.guard.protect`) in front of the application."""
    made = Blueprint("ui", "service.ui", template_folder="templates")
    made.record_once(lambda state: _attach(state, edges))
    for rule, endpoint, view in PAGES:
        made.add_url_rule(rule, endpoint, view)
    for rule, endpoint, view in DEEDS:
        made.add_url_rule(rule, endpoint, view, methods=["POST"])
    made.app_context_processor(_context)
    made.register_error_handler(Permanent, errors.permanent)
    made.register_error_handler(Temporary, errors.temporary)
    made.register_error_handler(HTTPException, errors.refused)
    made.register_error_handler(Exception, errors.unexpected)
    return made


def _attach(state: BlueprintSetupState, edges: Edges) -> None:
    state.app.extensions[EXTENSION] = edges
    state.app.register_error_handler(404, errors.no_such_page)
    environment = state.app.jinja_env
    environment.filters |= {
        "when": times.when,
        "at_length": times.at_length,
        "duration": times.duration,
        "key_text": operations.key_text,
        "revision": titled,
    }
    environment.globals |= {
        "asset_url": assets.url,
        "icon": looks.icon,
        "state": looks.state,
        "stylesheet": assets.stylesheet,
        "script": assets.script,
        "in_trouble": resources.in_trouble,
        "why": resources.why,
    }


def _context() -> dict[str, Any]:
    """What every template knows. Public pages and errors have no reader."""
    user = g.get("driftline_user")
    system = user is not None and may_system()
    return {
        "user": user,
        "theme": theme(),
        "as_of": now(),
        "path": request.full_path if request.query_string else request.path,
        "endpoint": request.endpoint or "",
        "navigation": [entry[:3] for entry in NAVIGATION if user and (system or not entry[3])],
    }
