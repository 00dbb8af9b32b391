"""Make the edges of one process from its settings. The one place that joins settings and adapters."""

import atexit
import os
import threading

import structlog

from driftline.adapters import logs, sentry
from driftline.adapters.charts import Charts, ChartSettings
from driftline.adapters.cluster import cluster as cluster_adapter
from driftline.adapters.git import GitSettings, Mirrors
from driftline.adapters.notify import NotifySettings, SlackSettings, SmtpSettings, WebhookSettings
from driftline.adapters.render.renderers import Renderers
from driftline.adapters.render.settings import ProcessLimits, RenderSettings
from driftline.adapters.sealing import Sealer, parse_keys
from driftline.adapters.settings import Settings, read_settings
from driftline.adapters.store.engine import Store, StoreSettings
from driftline.adapters.taskqueue import Publisher, make_celery
from driftline.flow.edges import Clusters, Edges

_lock = threading.Lock()
_made: tuple[int, Edges] | None = None


def edges_of_this_process(role: str) -> Edges:
    """The edges of the process that calls, made once and anew after a fork. `role` names it in logs and Sentry."""
    global _made
    with _lock:
        if _made is None or _made[0] != os.getpid():
            settings = read_settings()
            logs.setup(role, settings.log_format, settings.log_level)
            sentry.setup(settings.sentry_dsn, role, environment=settings.environment)
            _made = (os.getpid(), make_edges(settings))
            atexit.register(close_edges)
        return _made[1]


def close_edges() -> None:
    """Let go of child processes and connections."""
    global _made
    with _lock:
        if _made is not None and _made[0] == os.getpid():
            _made[1].close()
            _made = None


def make_edges(settings: Settings) -> Edges:
    """Edges for these settings; nothing is connected until it is used."""
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    publisher = Publisher(make_celery(settings, publisher=True))
    return Edges(
        settings=settings,
        store=Store(
            settings.database, StoreSettings(sqlite_synchronous="FULL" if settings.sqlite_full_sync else "NORMAL")
        ),
        sealer=Sealer(parse_keys(settings.sealing_keys)),
        mirrors=Mirrors(settings.mirrors_dir, git_settings(settings)),
        charts=Charts(settings.charts_dir, chart_settings(settings)),
        renderers=Renderers(render_settings(settings)),
        clusters=Clusters(lambda access: cluster_adapter.connect(access, settings)),
        notify=notify_settings(settings),
        send=publisher.send,
        flush=publisher.flush,
        log=structlog.get_logger(),
        report=sentry.report,
    )


def git_settings(settings: Settings) -> GitSettings:
    """What of the settings concerns Git."""
    return GitSettings(
        fetch_deadline=settings.git_deadline,
        clone_deadline=settings.git_deadline * 10,
        total_quota=settings.git_quota,
        allow_http=settings.git_allow_http,
        allow_file=settings.git_allow_file,
    )


def chart_settings(settings: Settings) -> ChartSettings:
    """What of the settings concerns chart repositories."""
    return ChartSettings(
        deadline=settings.chart_deadline,
        index_size=settings.chart_index_size,
        archive_size=settings.chart_size,
        quota=settings.chart_quota,
        allow_unsandboxed=settings.render_unsandboxed,
    )


def render_settings(settings: Settings) -> RenderSettings:
    """What of the settings concerns rendering."""
    return RenderSettings(
        kubectl=settings.kubectl,
        helm=settings.helm,
        limits=ProcessLimits(data=settings.render_memory, cpu=settings.render_deadline),
        deadline=settings.render_deadline,
        allow_unsandboxed=settings.render_unsandboxed,
    )


def notify_settings(settings: Settings) -> NotifySettings:
    """What of the settings concerns alerts."""
    return NotifySettings(
        SlackSettings(settings.slack_token, settings.slack_api_url, settings.alert_private_addresses),
        SmtpSettings(
            host=settings.smtp_host,
            port=settings.smtp_port,
            tls=settings.smtp_tls,
            username=settings.smtp_username,
            password=settings.smtp_password,
            sender=settings.smtp_from,
        ),
        WebhookSettings(settings.webhook_alert_secret, settings.alert_private_addresses),
    )
