"""Logs in to a cluster: server, TLS and bearer token, read by the `kubernetes` package. Called by connection."""

import ssl
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from driftline.adapters.cluster.kubeconfig import read_kubeconfig
from driftline.adapters.settings import Settings
from driftline.model.access import ClusterAccess
from driftline.model.cluster import ClusterUnreachable
from driftline.model.errors import Permanent

_EXPIRY_MARGIN = 60.0
_TOKEN_LOOK = 30.0
_loading = threading.Lock()
"""The `kubernetes` package keeps its temporary files in one table per process."""

# Where Kubernetes puts the account of a Pod.
ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


@dataclass
class Login:
    """What a connection needs; `authorization` is the header's value, or empty with a client certificate."""

    server: str
    context: ssl.SSLContext | None
    authorization: str = field(default="", repr=False)
    server_name: str = ""
    proxy: str = field(default="", repr=False)
    expires: float | None = None
    """When the credentials must be read again, seconds since the epoch; None if they do not say."""
    token_file: Path | None = None
    """The file that the token is renewed in, and when we looked (`looked`, monotonic seconds)."""
    looked: float = 0.0

    @property
    def stale(self) -> bool:
        return self.expires is not None and time.time() > self.expires - _EXPIRY_MARGIN

    def header(self) -> dict[str, str]:
        """The Authorization header, with the token of a Pod read anew every half minute, as it is rotated."""
        if self.token_file is not None and time.monotonic() - self.looked > _TOKEN_LOOK:
            self.looked = time.monotonic()
            try:
                self.authorization = f"Bearer {self.token_file.read_text().strip()}"
            except OSError:
                pass  # the old one may still do; the API server's answer decides
        return {"Authorization": self.authorization} if self.authorization else {}


def log_in(access: ClusterAccess, settings: Settings) -> Login:
    """Read the credentials of a cluster. Raises Permanent (refused, malformed) or ClusterUnreachable.

    With a kubeconfig: its current context. Without: the Pod's own account, else the kubeconfig file of the setting
    `kubeconfig`, which is the operator's own and may run programs.
    """
    if access.kubeconfig:
        config = read_kubeconfig(access.name, access.kubeconfig, settings.cluster_private_kubeconfig)
        return _from_kubeconfig(access.name, config)
    if (ACCOUNT / "token").exists():
        return _in_cluster(access.name)
    if not settings.kubeconfig:
        raise Permanent(
            f"cluster {access.name}: this process runs in no Pod and has no kubeconfig; set DRIFTLINE_KUBECONFIG"
        )
    return _from_files(access.name, settings.kubeconfig)


def _in_cluster(name: str) -> Login:
    from kubernetes.client import Configuration
    from kubernetes.config import ConfigException, incluster_config

    untyped: Any = incluster_config
    configuration = Configuration()
    loader = untyped.InClusterConfigLoader(str(ACCOUNT / "token"), str(ACCOUNT / "ca.crt"), try_refresh_token=False)
    try:
        loader.load_and_set(configuration)
    except (ConfigException, OSError) as error:
        raise ClusterUnreachable(f"cluster {name}: the Pod's account cannot be read: {error}") from None
    login = _login(name, configuration)
    login.token_file = ACCOUNT / "token"
    return login


def _from_kubeconfig(name: str, config: dict[str, Any]) -> Login:
    from kubernetes.config import kube_config

    untyped: Any = kube_config

    def loader(scratch: str) -> Any:
        # The base path does not exist: a file name that the check let through by mistake still names nothing.
        return untyped.KubeConfigLoader(config, temp_file_path=scratch, config_base_path="/nonexistent")

    return _load(name, loader)


def _from_files(name: str, paths: str) -> Login:
    from kubernetes.config import kube_config

    untyped: Any = kube_config

    def loader(scratch: str) -> Any:
        merged = untyped.KubeConfigMerger(paths).config
        if merged is None:
            raise Permanent(f"cluster {name}: {paths} does not exist; correct DRIFTLINE_KUBECONFIG")
        return untyped.KubeConfigLoader(merged, temp_file_path=scratch, config_base_path=None)

    return _load(name, loader)


def _load(name: str, make_loader: Callable[[str], Any]) -> Login:
    from kubernetes.client import Configuration
    from kubernetes.config import ConfigException

    # Python reads client certificates from files only. They exist, for this user alone, while the context is made.
    with _loading, tempfile.TemporaryDirectory(prefix="driftline-") as scratch:
        configuration = Configuration()
        try:
            loader = make_loader(scratch)
            loader.load_and_set(configuration)
            login = _login(name, configuration)
        except (ConfigException, KeyError, TypeError, ValueError, AttributeError, ssl.SSLError, OSError) as error:
            shown = error if isinstance(error, ConfigException) else type(error).__name__
            raise Permanent(f"cluster {name}: its kubeconfig cannot be used: {shown}") from None
    user = getattr(loader, "_user", None)
    if user is not None and "exec" in user and not login.authorization and not configuration.cert_file:
        raise ClusterUnreachable(f"cluster {name}: the credential program of its kubeconfig gave no credentials")
    expiry = getattr(loader, "expiry", None)
    login.expires = expiry.timestamp() if expiry is not None else None
    return login


def _login(name: str, configuration: Any) -> Login:
    server = str(configuration.host)
    scheme = urlsplit(server).scheme
    if scheme not in ("http", "https"):
        raise Permanent(f"cluster {name}: its server is not an http(s) URL")
    return Login(
        server=server.rstrip("/"),
        context=_context(configuration) if scheme == "https" else None,
        authorization=str(configuration.api_key.get("BearerToken") or ""),
        server_name=str(configuration.tls_server_name or ""),
        proxy=str(configuration.proxy or ""),
    )


def _context(configuration: Any) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
    # Cluster authorities lack extensions that Python 3.13 began to insist on; trust is the same.
    context.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", ssl.VerifyFlags(0))
    if not configuration.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if configuration.cert_file:
        context.load_cert_chain(configuration.cert_file, configuration.key_file)
    return context
