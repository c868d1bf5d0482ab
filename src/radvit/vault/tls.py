"""Mutual TLS among a project's own services: a certificate authority of its own, a server's and a client's certificate.

DIR/ca.pem        the authority's certificate; the only file that may be given away
DIR/ca.key        its key
DIR/server.pem    key and certificate of the server, good for the hosts that were named
DIR/client.pem    key and certificate of the client
"""

from __future__ import annotations

import ipaddress
import re
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from radvit.errors import VaultError
from radvit.vault.files import placed, told

CA_DAYS = 3650
MOST_DAYS = 825  # of a leaf: what Apple's and others' TLS stacks take
_EARLIER = timedelta(minutes=5)  # for a peer whose clock is behind
_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(\.{_LABEL})*\Z")
_USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


def make_certificates(folder: Path, hosts: Sequence[str], days: int = 365, now: datetime | None = None) -> datetime:
    """Write the four files, or, where the authority is there, new keys and certificates of server and client.

    hosts: names and addresses under which the server is reached. days: how long these certificates are good, 1 to 825,
    but no longer than the authority, which is good for ten years. now: the time it is, for tests.
    Returns the day after which they have to be made again. Raises VaultError on bad hosts or days, or a folder that
    can't be written.
    """
    if not 1 <= days <= MOST_DAYS:
        raise VaultError(f"{days} days; expected 1 to {MOST_DAYS}")
    if not hosts:
        raise VaultError("no host is named; expected at least one, such as localhost")
    names = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
    now = now or datetime.now(UTC)
    with told(f"certificates in {folder}"):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        key, ca = _authority(folder, now)
        until = min(now + timedelta(days=days), ca.not_valid_after_utc)
        if until <= now:
            raise VaultError(
                f"the authority {folder / 'ca.pem'} has expired; expected a new folder, and its ca.pem spread"
            )
        for name, usage, alternative in (
            ("server", ExtendedKeyUsageOID.SERVER_AUTH, names),
            ("client", ExtendedKeyUsageOID.CLIENT_AUTH, x509.SubjectAlternativeName([x509.DNSName("radvit-client")])),
        ):
            with placed(folder / f"{name}.pem") as file:
                file.write(_leaf(name, usage, alternative, key, ca, now, until))
    return until


def server_context(folder: Path) -> ssl.SSLContext:
    """TLS 1.2 or 1.3 for a server, which takes clients of the folder's authority alone.

    Raises VaultError where the files are missing or malformed.
    """
    context = _context(ssl.PROTOCOL_TLS_SERVER, folder, "server.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_context(folder: Path) -> ssl.SSLContext:
    """TLS 1.2 or 1.3 for a client, which takes a server of the folder's authority under its right name alone.

    Raises VaultError where the files are missing or malformed.
    """
    return _context(ssl.PROTOCOL_TLS_CLIENT, folder, "client.pem")  # checks certificate and host name by default


def _context(protocol: int, folder: Path, own: str) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    try:
        context.load_verify_locations(folder / "ca.pem")
        context.load_cert_chain(folder / own)
    except FileNotFoundError:
        words = f"`radvit vault tls {folder} --host localhost` makes them"
        raise VaultError(f"{folder} holds no {own} or no ca.pem; {words}") from None
    except (ssl.SSLError, OSError) as error:
        raise VaultError(f"certificates in {folder}: {type(error).__name__}; expected PEM files") from None
    return context


def _authority(folder: Path, now: datetime) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    """The authority's key and certificate, made where they are missing."""
    key_path, path = folder / "ca.key", folder / "ca.pem"
    if not key_path.exists():
        if path.exists():
            raise VaultError(f"{path} is there without its key {key_path}; expected both, or a new folder")
        with placed(key_path) as file:
            file.write(_pem(ec.generate_private_key(ec.SECP256R1())))
    if key_path.stat().st_mode & 0o077:
        raise VaultError(f"key file {key_path} can be read by others; run: chmod 600 {key_path}")
    try:
        key = load_pem_private_key(key_path.read_bytes(), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ValueError
        if not path.exists():  # a run that was killed in between left the key alone
            with placed(path, mode=0o644) as file:
                file.write(_self_signed(key, now).public_bytes(Encoding.PEM))
        ca = x509.load_pem_x509_certificate(path.read_bytes())
    except (ValueError, TypeError):
        raise VaultError(f"{key_path} or {path} is malformed; expected what `radvit vault tls` wrote") from None
    if ca.public_key() != key.public_key():
        raise VaultError(f"{key_path} is not the key of {path}; expected both from one run")
    return key, ca


def _self_signed(key: ec.EllipticCurvePrivateKey, now: datetime) -> x509.Certificate:
    name = _named("radvit authority")
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return (
        _builder(name, name, key.public_key(), now, now + timedelta(days=CA_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage("key_cert_sign", "crl_sign"), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
        .sign(key, SHA256())
    )


def _leaf(
    name: str,
    usage: x509.ObjectIdentifier,
    alternative: x509.SubjectAlternativeName,
    signer: ec.EllipticCurvePrivateKey,
    ca: x509.Certificate,
    now: datetime,
    until: datetime,
) -> bytes:
    """A new key, and its certificate behind it, as PEM: one file, so that the two never part."""
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    certificate = (
        _builder(_named(f"radvit {name}"), ca.subject, key.public_key(), now, until)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage("digital_signature"), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .add_extension(alternative, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer), critical=False)
        .sign(signer, SHA256())
    )
    return _pem(key) + certificate.public_bytes(Encoding.PEM)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, until: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _EARLIER)
        .not_valid_after(until)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*names: str) -> x509.KeyUsage:
    return x509.KeyUsage(**{usage: usage in names for usage in _USAGES})


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        if not _HOST.match(host) or host.rpartition(".")[2].isdigit():  # `300.1.1.1` is an address with a mistake
            raise VaultError(f"host {host!r}; expected a name such as localhost, or an address") from None
        return x509.DNSName(host)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
