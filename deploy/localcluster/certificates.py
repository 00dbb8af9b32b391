"""Makes the certificates that the local control plane's parts know each other by. Called by localcluster."""

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_LIFETIME = timedelta(days=3650)


@dataclass(frozen=True)
class Pair:
    """A certificate and its private key, both PEM."""

    certificate: str
    key: str


def make_key() -> str:
    """A fresh private key on P-256, PEM."""
    return _pem(ec.generate_private_key(ec.SECP256R1()))


def make_authority() -> Pair:
    """A certificate authority of our own."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("driftline-localcluster")
    builder = _builder(name, name, key).add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
    return _signed(builder.add_extension(usage, critical=True), key, key)


def issue_server(authority: Pair, names: tuple[str, ...], addresses: tuple[str, ...]) -> Pair:
    """A server certificate for the given DNS names and IP addresses."""
    alternatives: list[x509.GeneralName] = [x509.DNSName(name) for name in names]
    alternatives += [x509.IPAddress(ipaddress.ip_address(address)) for address in addresses]
    return _issue(
        authority, _name(names[0]), ExtendedKeyUsageOID.SERVER_AUTH, x509.SubjectAlternativeName(alternatives)
    )


def issue_client(authority: Pair, user: str, *groups: str) -> Pair:
    """A client certificate; Kubernetes takes the user from CN and the groups from O."""
    return _issue(authority, _name(user, *groups), ExtendedKeyUsageOID.CLIENT_AUTH, None)


def _issue(
    authority: Pair, subject: x509.Name, usage: x509.ObjectIdentifier, names: x509.SubjectAlternativeName | None
) -> Pair:
    issuer = x509.load_pem_x509_certificate(authority.certificate.encode())
    signer = serialization.load_pem_private_key(authority.key.encode(), None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(subject, issuer.subject, key).add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    if names is not None:
        builder = builder.add_extension(names, critical=False)
    return _signed(builder, key, signer)


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + _LIFETIME)
    )


def _signed(
    builder: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey, signer: ec.EllipticCurvePrivateKey
) -> Pair:
    certificate = builder.sign(signer, hashes.SHA256())
    return Pair(certificate.public_bytes(serialization.Encoding.PEM).decode(), _pem(key))


def _name(common: str, *organisations: str) -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation) for organisation in organisations]
    return x509.Name([*attributes, x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    ).decode()
