"""Settings from the environment, `DRIFTLINE_*`: read once per process, shown by `driftline settings`."""

import ast
import base64
import hashlib
import inspect
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import timedelta
from pathlib import Path

from driftline.adapters.once import made_once
from driftline.model.errors import Permanent

PREFIX = "DRIFTLINE_"


@dataclass(frozen=True)
class Settings:
    """Everything that can be set, one environment variable each: the field's name in capitals after `DRIFTLINE_`."""

    data_dir: Path = Path(".driftline")
    """Directory for the embedded database and broker, Git mirrors, generated keys and logs."""
    database_url: str = ""
    """SQLAlchemy URL. Empty: SQLite in DATA_DIR. In production `postgresql+psycopg://user:password@host/driftline`."""
    broker_url: str = ""
    """Redis or Valkey URL of the Celery broker. Empty: the socket of the embedded broker in DATA_DIR."""
    public_url: str = "http://127.0.0.1:8080"
    """Where people reach the UI; used in links of alerts. https turns on secure cookies. Not set: follows LISTEN."""
    listen: str = "127.0.0.1:8080"
    """Address and port of the web process."""
    trusted_proxies: str = ""
    """Proxies before the web process whose X-Forwarded-For names who logs in: their networks (`10.0.0.0/8,fd00::/8`),
    or their number if nobody reaches the web process past them. Empty: none; all who come by one proxy count as one."""
    metrics_listen: str = "127.0.0.1:9090"
    """Address and port of the metrics of all processes on this machine. Empty: off."""
    secret_key: str = ""
    """Signs forms and plan digests. Empty: generated once into DATA_DIR/secret_key."""
    data_keys: str = ""
    """Comma-separated base64 keys that seal credentials, renders and plans at rest; the first encrypts, all decrypt.
    Empty: generated once into DATA_DIR/data_keys. `driftline keys rotate` makes a new one and reseals everything."""
    sentry_dsn: str = ""
    """Where errors are reported. Empty: nowhere."""
    environment: str = "production"
    """Name of this installation in Sentry."""
    log_level: str = "INFO"
    """DEBUG, INFO, WARNING or ERROR."""
    log_format: str = "json"
    """`json`, one object a line, or `console`."""

    webhook_secret_github: str = ""
    """Secret of GitHub webhooks sent to /api/webhook (X-Hub-Signature-256). Empty, as for every host: all refused."""
    webhook_secret_gitlab: str = ""
    """Secret token of GitLab webhooks sent to /api/webhook."""
    webhook_secret_gitea: str = ""
    """Secret of Gitea webhooks sent to /api/webhook."""
    webhook_secret_forgejo: str = ""
    """Secret of Forgejo webhooks sent to /api/webhook."""
    webhook_secret_gogs: str = ""
    """Secret of Gogs webhooks sent to /api/webhook."""
    webhook_secret_bitbucket_cloud: str = ""
    """Secret of Bitbucket Cloud webhooks sent to /api/webhook."""
    webhook_secret_bitbucket_dc: str = ""
    """Secret of Bitbucket Data Center webhooks sent to /api/webhook."""
    webhook_secret_azure: str = ""
    """`user:password` of Azure DevOps service hooks sent to /api/webhook (basic authentication)."""
    webhook_secret_harbor: str = ""
    """What Harbor sends to /api/webhook as its Authorization header, word for word."""
    webhook_secret_generic: str = ""
    """Secret of the generic webhook (X-Driftline-Signature: sha256=...)."""
    webhook_max_body: int = 25 * 1024 * 1024
    """Largest accepted webhook body, bytes; no more than that is read."""

    smtp_host: str = ""
    """Mail server. Empty: no e-mail."""
    smtp_port: int = 587
    """Port of the mail server."""
    smtp_tls: str = "starttls"
    """`starttls`, `tls` (from the first byte) or `none`."""
    smtp_username: str = ""
    """User name at the mail server. Empty: no login."""
    smtp_password: str = ""
    """Password at the mail server."""
    smtp_from: str = "driftline@localhost"
    """Sender of alert mails."""
    slack_token: str = ""
    """Slack bot token (`chat:write`). Empty: only incoming webhook URLs work as Slack recipients."""
    slack_api_url: str = "https://slack.com/api/"
    """Base URL of Slack's API."""
    webhook_alert_secret: str = ""
    """Signs alerts sent to generic webhooks (X-Driftline-Signature). Empty: unsigned."""
    alert_private_addresses: bool = False
    """Whether alerts may go to private and loopback addresses (Slack webhook and generic webhook URLs)."""
    alert_recipients: str = ""
    """Who hears of every application, space-separated `channel:address`: `slack:#deploys email:ops@example.com`."""

    poll_interval: timedelta = timedelta(seconds=120)
    """How often a repository is fetched when no webhook came, seconds, plus up to half of it as jitter. 0: never."""
    drift_interval: timedelta = timedelta(seconds=120)
    """How often a cluster's live state is checked by LIST when `watch` does not see it, seconds, with jitter."""
    job_lease: timedelta = timedelta(seconds=60)
    """How long a worker holds a job without renewing, seconds. A dead worker's job is taken over after that."""
    job_attempts: int = 8
    """Attempts before a failing job is quarantined and people are told."""
    health_interval: timedelta = timedelta(seconds=5)
    """How often a rollout is looked at when `watch` reports nothing, seconds."""
    wave_timeout: timedelta = timedelta(minutes=5)
    """How long a wave may take to become healthy before the sync fails, seconds."""
    verdict_age: timedelta = timedelta(minutes=10)
    """How old a sync status may be before it is shown as Unknown, seconds."""
    prune_budget: int = 20
    """Objects that one sync may delete unasked; the larger of this and PRUNE_BUDGET_PERCENT counts."""
    prune_budget_percent: int = 30
    """Share of an application's objects that one sync may delete unasked, per cent."""
    adopt_managers: str = "kubectl-client-side-apply,kubectl-create,before-first-apply,helm,argocd-controller"
    """Field managers whose ownership is taken over when an existing object is adopted, comma-separated. Empty: none."""

    git_deadline: timedelta = timedelta(seconds=60)
    """Longest fetch, seconds; the process group is killed then. First clones get ten times as long."""
    git_quota: int = 20 * 1024**3
    """Disk for all Git mirrors, bytes; the least recently used go first."""
    git_allow_file: bool = False
    """Whether repositories on the local disk (file://) are allowed. Only for trials."""
    git_allow_http: bool = True
    """Whether unencrypted http:// repositories are allowed."""
    chart_deadline: timedelta = timedelta(seconds=60)
    """Longest look into a chart repository or registry, and longest pull of one chart, seconds."""
    chart_index_size: int = 64 * 1024**2
    """Largest index.yaml of a chart repository, bytes."""
    chart_size: int = 32 * 1024**2
    """Largest chart archive as it is sent, bytes. Unpacked it may have 100 MiB, and 5 MiB for one file, as in Helm."""
    chart_quota: int = 2 * 1024**3
    """Disk for all pulled charts, bytes; the least recently used go first."""
    chart_private_addresses: bool = False
    """Whether charts in Git may name dependencies at private addresses that nobody registered as a repository."""
    render_deadline: timedelta = timedelta(seconds=90)
    """Longest rendering of one application, seconds."""
    render_memory: int = 512 * 1024**2
    """Memory of one rendering process, bytes."""
    render_unsandboxed: bool = False
    """Whether rendering may run where the network cannot be taken from it."""
    helm: str = ""
    """Path of the helm binary. Empty: the one beside Driftline's Python (`make helm`), else the one on PATH."""
    kubectl: str = ""
    """Path of the kubectl binary. Empty: the one beside Driftline's Python, else the one on PATH."""
    cluster_private_kubeconfig: bool = False
    """Whether registered kubeconfigs may name files and run credential programs (exec) on this machine."""
    kubeconfig: str = ""
    """Kubeconfig behind the cluster `in-cluster` when the processes run in no Pod. Empty: KUBECONFIG's, if set."""
    cluster_writes: int = 16
    """Writes in flight per process and cluster."""
    cluster_lists: int = 4
    """LISTs in flight per process and cluster."""
    fast_workers: int = 2
    """Processes for pushes and people's clicks."""
    slow_workers: int = 1
    """Processes for scans, first clones, cold renders and alerts."""
    jobs_at_once: int = 4
    """Jobs that one worker process does at once, in threads; at most 8."""
    web_workers: int = 1
    """Processes of the web server."""
    web_threads: int = 64
    """Threads of each web process."""
    session_hours: int = 24
    """How long a login lasts, hours."""
    sqlite_full_sync: bool = False
    """SQLite only: wait for the disk at every commit, so that a power cut loses none of them."""

    @property
    def database(self) -> str:
        return self.database_url or f"sqlite:///{self.data_dir.resolve()}/driftline.db"

    @property
    def broker_socket(self) -> Path:
        """Socket of the embedded broker. Kept short: the kernel allows 107 bytes."""
        path = self.data_dir.resolve() / "broker.sock"
        if len(str(path)) <= 100:
            return path
        return Path("/tmp") / f"driftline-{hashlib.sha256(str(path).encode()).hexdigest()[:16]}.sock"  # noqa: S108

    @property
    def broker(self) -> str:
        return self.broker_url or f"redis+socket://{self.broker_socket}"

    @property
    def mirrors_dir(self) -> Path:
        return self.data_dir / "mirrors"

    @property
    def charts_dir(self) -> Path:
        return self.data_dir / "charts"

    @property
    def sealing_keys(self) -> str:
        """DATA_KEYS, or what was generated once into the data directory."""
        return self.data_keys or _kept(self.data_dir / "data_keys", lambda: base64.urlsafe_b64encode(os.urandom(32)))

    @property
    def signing_key(self) -> str:
        """SECRET_KEY, or what was generated once into the data directory."""
        return self.secret_key or _kept(self.data_dir / "secret_key", lambda: secrets.token_urlsafe(48).encode())


SECRET = frozenset(
    {
        "secret_key",
        "data_keys",
        "sentry_dsn",
        "smtp_password",
        "slack_token",
        "webhook_alert_secret",
        "database_url",
        "broker_url",
    }
)


EMPTY_COUNTS = frozenset({"metrics_listen", "adopt_managers"})
"""Settings whose empty value means something else than their default. Any other variable that is empty is not set."""


def is_secret(name: str) -> bool:
    """Whether a setting's value is never shown."""
    return name in SECRET or name.startswith("webhook_secret_")


def read_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Settings from the environment. Raises Permanent naming the variable, the bad value and what is wanted."""
    found = os.environ if environ is None else environ
    values: dict[str, object] = {}
    for item in fields(Settings):
        name = PREFIX + item.name.upper()
        if found.get(name, "") != "" or (name in found and item.name in EMPTY_COUNTS):
            values[item.name] = _parse(name, found[name], item.default)
    if "public_url" not in values and "listen" in values:
        values["public_url"] = reached_at(str(values["listen"]))
    if "kubeconfig" not in values and found.get("KUBECONFIG"):
        values["kubeconfig"] = found["KUBECONFIG"]
    return Settings(**values)  # type: ignore[arg-type]  # each value has its field's type by _parse


def reached_at(listen: str) -> str:
    """The address by which this machine reaches its own web process; the usual one for a socket in the file system."""
    host, colon, port = listen.rpartition(":")
    if not colon or not port.isdecimal():
        return Settings.public_url
    return f"http://{'127.0.0.1' if host in ('', '0.0.0.0', '[::]') else host}:{port}"  # noqa: S104


def _parse(name: str, text: str, default: object) -> object:
    try:
        if isinstance(default, bool):
            return {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}[text.lower()]
        if isinstance(default, int):
            return int(text)
        if isinstance(default, timedelta):
            return timedelta(seconds=float(text))
    except (KeyError, ValueError, OverflowError):
        wanted = {"bool": "true or false", "int": "a whole number", "timedelta": "a number of seconds"}
        raise Permanent(f"{name}: {text!r} is not {wanted[type(default).__name__]}") from None
    return Path(text) if isinstance(default, Path) else text


def _kept(path: Path, make: Callable[[], bytes]) -> str:
    return made_once(path, make).decode().strip()


SECTIONS = {
    "data_dir": "Where things are",
    "webhook_secret_github": "Webhooks",
    "smtp_host": "Alerts",
    "poll_interval": "How often, how long, how much",
    "git_deadline": "Git and rendering",
    "cluster_private_kubeconfig": "Clusters",
    "fast_workers": "Processes",
}
"""The first setting of a section, and the section's title."""


@dataclass(frozen=True)
class Documented:
    """One setting, for `driftline settings`, the settings page and the documentation."""

    variable: str
    field: str
    default: str
    text: str
    section: str


def documented() -> Iterator[Documented]:
    """Every setting with its docstring, in the order of the source."""
    body = ast.parse(inspect.getsource(Settings)).body[0]
    assert isinstance(body, ast.ClassDef)
    defaults = {item.name: item.default for item in fields(Settings)}
    section = ""
    for line, after in zip(body.body, body.body[1:], strict=False):
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name) and isinstance(after, ast.Expr):
            assert isinstance(after.value, ast.Constant)
            default = defaults[line.target.id]
            shown = f"{default.total_seconds():g}" if isinstance(default, timedelta) else str(default)
            name = line.target.id
            section = SECTIONS.get(name, section)
            yield Documented(PREFIX + name.upper(), name, shown, " ".join(str(after.value.value).split()), section)
