"""Reports errors to Sentry, masked like everything else; off without a DSN."""

from typing import Any

from driftline.model.errors import Permanent
from driftline.model.masking import scrub_value


def setup(dsn: str, role: str, release: str = "", environment: str = "production", traces: float = 0) -> bool:
    """Start reporting errors of this process. Returns whether it is on. Raises Permanent for a DSN that is none.

    `traces` is the share of requests and jobs, 0 to 1, whose timing is reported too.
    Local variables, request bodies and personal data are never collected; what is collected goes through the masker.
    """
    if not dsn:
        return False
    import sentry_sdk
    from sentry_sdk.integrations.argv import ArgvIntegration
    from sentry_sdk.integrations.atexit import AtexitIntegration
    from sentry_sdk.utils import BadDsn

    try:
        sentry_sdk.init(
            dsn=dsn,
            release=release or None,
            environment=environment,
            server_name=role,
            include_local_variables=False,
            max_request_body_size="never",
            send_default_pii=False,
            traces_sample_rate=traces or None,
            profiles_sample_rate=None,
            before_send=masked_event,
            before_send_transaction=masked,
            before_breadcrumb=masked,
            # A session per request and a client report per minute say nothing that the log does not.
            auto_session_tracking=False,
            send_client_reports=False,
            shutdown_timeout=2,
            # An argument that follows `--password` cannot be told from another.
            disabled_integrations=[ArgvIntegration()],
            integrations=[AtexitIntegration(callback=lambda pending, timeout: None)],
        )
    except BadDsn:
        raise Permanent("DRIFTLINE_SENTRY_DSN: not a DSN; copy it from the project's settings in Sentry") from None
    sentry_sdk.set_tag("role", role)
    return True


def masked_event(event: Any, hint: dict[str, Any]) -> Any:
    """An error event, fit to be sent. One that comes from the log keeps its text and loses its raw arguments.

    An event of structlog arrives as a dictionary: its `event` becomes the message, so that Sentry groups by it.
    """
    record = hint.get("log_record")
    fields = getattr(record, "msg", None)
    if isinstance(fields, dict):
        event["logentry"] = {"message": str(fields.get("event", ""))}
        event["extra"] = {name: value for name, value in fields.items() if name not in ("event", "exc_info")}
    elif isinstance(event.get("logentry"), dict):
        # An argument alone, without the words around it, does not tell the masker that it is a password.
        event["logentry"] = {name: value for name, value in event["logentry"].items() if name != "params"}
    return masked(event, hint)


def masked(event: Any, hint: dict[str, Any]) -> Any:
    """A transaction or breadcrumb without credentials. `hint` holds raw objects and is not sent."""
    return scrub_value(event)


def report(error: BaseException) -> None:
    """Report an error that was handled here. Nothing happens while Sentry is off."""
    import sentry_sdk

    if sentry_sdk.is_initialized():
        sentry_sdk.capture_exception(error)
