"""What is needed to reach a repository or a cluster. Held in memory only; at rest it is sealed."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class RepositoryAccess:
    """A repository and the credentials for exactly this host and path (Argo CD REPO-01's keys)."""

    url: str
    """For kind "oci" without a scheme or with `oci://`: a registry and the path above its charts."""
    kind: str = "git"
    """"git", "helm" (an HTTP chart repository with an index.yaml) or "oci" (a registry that holds charts)."""
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    bearer_token: str = field(default="", repr=False)
    ssh_private_key: str = field(default="", repr=False)
    known_hosts: str = ""
    """Lines of a known_hosts file; an SSH host that is not in it is refused."""
    ca: str = ""
    """PEM of a private certificate authority."""
    insecure: bool = False
    pass_credentials: bool = False
    """Charts only: credentials also go to other hosts that the repository's index or redirects name."""
    plain_http: bool = False
    """Kind "oci" only: the registry is spoken to over http."""
    public_only: bool = False
    """Only public addresses may be reached: for what a chart in Git names and nobody registered."""
    proxy: str = field(default="", repr=False)
    no_proxy: str = ""
    client_certificate: str = ""
    """PEM of a client certificate, used with `client_key`."""
    client_key: str = field(default="", repr=False)
    identity: str = ""
    """Names whose access this is (a stored credential's id), so that a renewed token finds the same mirror.

    Empty: the credentials themselves tell two accesses apart.
    """


@dataclass(frozen=True)
class ClusterAccess:
    """An API server and how to log in. `kubeconfig` is the text of one with a single context, or empty: in-cluster."""

    name: str
    server: str
    kubeconfig: str = field(default="", repr=False)
