"""Git hosts for tests: the demo's HTTP host, and what only tests need: a CA, a real sshd, a port that never answers."""

import contextlib
import datetime
import getpass
import ipaddress
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID

from deploy.demo.githost import NO_COMMIT, Delivery, GitHost, Webhook
from deploy.demo.gitserving import Fault, Request
from deploy.demo.worktree import WorkTree, git, git_environment

__all__ = [
    "NO_COMMIT",
    "Authority",
    "Delivery",
    "Fault",
    "GitHost",
    "Request",
    "SshGitHost",
    "SshKey",
    "Webhook",
    "WorkTree",
    "git",
    "git_environment",
    "silent_port",
]


@dataclass(frozen=True)
class Authority:
    """A private certificate authority and a server certificate of it for 127.0.0.1, as files."""

    ca: str
    """PEM of the authority, to be trusted."""
    server: tuple[Path, Path]
    """Certificate and key, for `GitHost(tls=...)`."""

    @classmethod
    def create(cls, directory: Path) -> "Authority":
        ca_key, server_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        ca_name, server_name = (_name(text) for text in ("Test CA", "127.0.0.1"))
        ca = _certificate(ca_name, ca_name, ca_key, ca_key, authority=True)
        server = _certificate(server_name, ca_name, server_key, ca_key, authority=False)
        certificate, key = directory / "server.pem", directory / "server.key"
        certificate.write_bytes(server.public_bytes(serialization.Encoding.PEM))
        key.write_bytes(
            server_key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return cls(ca.public_bytes(serialization.Encoding.PEM).decode(), (certificate, key))


@dataclass(frozen=True)
class SshKey:
    """An Ed25519 key pair in OpenSSH's formats."""

    private: str
    public: str

    @classmethod
    def create(cls) -> "SshKey":
        key = Ed25519PrivateKey.generate()
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
        )
        public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
        return cls(private.decode(), public.decode())


class SshGitHost:
    """The real sshd on a port of its own, as the current user: one host key, one key that may log in, git only."""

    def __init__(self, root: Path | None = None) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix="sshgit-")
        self._home = Path(self._temporary.name)
        self.root = root or self._home
        self.user = getpass.getuser()
        self.key, self.host_key = SshKey.create(), SshKey.create()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def known_hosts(self) -> str:
        return f"[127.0.0.1]:{self.port} {self.host_key.public}\n"

    def __enter__(self) -> Self:
        program = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
        if program is None:
            raise FileNotFoundError("sshd: is missing; apt-get install openssh-server")
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)  # Where sshd locks itself in; it refuses to start without.
        self._write("host_key", self.host_key.private)
        # The forced command lets in nothing but git, and git reads no settings of the user.
        serve = f"""#!/bin/sh
export HOME={self._home} GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0='*'
exec git shell -c "$SSH_ORIGINAL_COMMAND"
"""
        self._write("serve", serve, 0o700)
        self._write("authorized_keys", f'restrict,command="{self._home}/serve" {self.key.public}\n')
        options = {
            "Port": self.port,
            "ListenAddress": "127.0.0.1",
            "HostKey": self._home / "host_key",
            "AuthorizedKeysFile": self._home / "authorized_keys",
            "PidFile": "none",
            "StrictModes": "no",
            "UsePAM": "no",
            "PasswordAuthentication": "no",
            "PermitRootLogin": "prohibit-password",
        }
        config = "".join(f"{name} {value}\n" for name, value in options.items())
        self._write("sshd_config", config)
        log = self._home / "sshd.log"
        self._process = subprocess.Popen([program, "-D", "-f", self._home / "sshd_config", "-E", log])
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 0.2):
                return self
            time.sleep(0.02)
        raise RuntimeError(f"sshd does not start: {log.read_text() if log.exists() else ''}")

    def __exit__(self, *_: object) -> None:
        if self._process:
            self._process.terminate()
            self._process.wait(5)
        self._temporary.cleanup()

    def path(self, name: str) -> Path:
        return self.root / f"{name}.git"

    def url(self, name: str) -> str:
        return f"ssh://{self.user}@127.0.0.1:{self.port}{self.path(name)}"

    def create(self, name: str, directory: Path) -> WorkTree:
        """A new repository, and a work tree that pushes into it directly."""
        git("init", "--quiet", "--bare", "--initial-branch=main", "--", str(self.path(name)))
        return WorkTree.create(directory, str(self.path(name)))

    def _write(self, name: str, text: str, mode: int = 0o600) -> None:
        path = self._home / name
        path.write_text(text)
        path.chmod(mode)


@contextlib.contextmanager
def silent_port() -> Iterator[int]:
    """A port that accepts connections and then says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        kept: list[socket.socket] = []
        server.settimeout(0.1)
        stop = threading.Event()

        def accept() -> None:
            while not stop.is_set():
                with contextlib.suppress(TimeoutError):
                    kept.append(server.accept()[0])

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield int(server.getsockname()[1])
        finally:
            stop.set()
            thread.join(2)
            for connection in kept:
                connection.close()


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _certificate(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    signer: ec.EllipticCurvePrivateKey,
    authority: bool,
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    )
    if not authority:
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        builder = builder.add_extension(names, critical=False)
    return builder.sign(signer, hashes.SHA256())
