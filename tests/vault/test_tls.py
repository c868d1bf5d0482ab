import shutil
import socket
import ssl
import stat
import threading
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from radvit.errors import VaultError
from radvit.vault.tls import client_context, make_certificates, server_context

HOSTS = ("localhost", "127.0.0.1")


@pytest.fixture
def folder(tmp_path):
    make_certificates(tmp_path / "tls", HOSTS)
    return tmp_path / "tls"


def shake(server, client, host="localhost"):
    """A real connection on 127.0.0.1: the answer that the client got, and each side's TLS error."""
    found = {}
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(10)

    def serve():
        connection, _ = listener.accept()
        connection.settimeout(10)
        try:
            with server.wrap_socket(connection, server_side=True) as secure:
                found["peer"] = secure.getpeercert()
                secure.sendall(b"hello")
        except (ssl.SSLError, OSError) as error:
            found["server"] = error
        finally:
            connection.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with (
            socket.create_connection(listener.getsockname(), timeout=10) as connection,
            client.wrap_socket(connection, server_hostname=host) as secure,
        ):
            found["version"] = secure.version()
            found["answer"] = secure.recv(5)
    except (ssl.SSLError, OSError) as error:
        found["client"] = error
    thread.join()
    listener.close()
    return found


@pytest.mark.parametrize("host", HOSTS)
def test_the_right_client_is_accepted(folder, host):
    found = shake(server_context(folder), client_context(folder), host)
    assert (found["answer"], found["version"]) == (b"hello", "TLSv1.3")
    assert found["peer"]["subjectAltName"] == (("DNS", "radvit-client"),)


def test_tls_1_2_is_the_least(folder):
    old, client = server_context(folder), client_context(folder)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    assert shake(old, client)["version"] == "TLSv1.2"
    for context in (old, client):
        assert context.minimum_version == ssl.TLSVersion.TLSv1_2


def test_a_client_without_a_certificate_is_refused(folder):
    bare = ssl.create_default_context(cafile=folder / "ca.pem")
    found = shake(server_context(folder), bare)
    assert "answer" not in found or found["answer"] == b""
    assert "peer did not return a certificate" in str(found["server"])


def test_a_client_of_another_authority_is_refused(folder, tmp_path):
    make_certificates(tmp_path / "other", HOSTS)
    stranger = ssl.create_default_context(cafile=folder / "ca.pem")
    stranger.load_cert_chain(tmp_path / "other" / "client.pem")
    found = shake(server_context(folder), stranger)
    assert found.get("answer", b"") == b""
    assert "CERTIFICATE_VERIFY_FAILED" in str(found["server"])


def test_a_server_of_another_authority_is_refused(folder, tmp_path):
    make_certificates(tmp_path / "other", HOSTS)
    assert "CERTIFICATE_VERIFY_FAILED" in str(
        shake(server_context(tmp_path / "other"), client_context(folder))["client"]
    )


@pytest.mark.parametrize("host", ["example.org", "127.0.0.2", "localhost.example.org"])
def test_a_wrong_host_name_is_refused(folder, host):
    found = shake(server_context(folder), client_context(folder), host)
    assert "answer" not in found
    assert "mismatch" in str(found["client"]) or "not valid for" in str(found["client"])


@pytest.mark.parametrize("side", ["server", "client"])
def test_an_expired_leaf_is_refused(tmp_path, side):
    fresh, past = tmp_path / "tls", tmp_path / "past"
    then = datetime.now(UTC) - timedelta(days=40)
    make_certificates(past, HOSTS, days=30, now=then)
    shutil.copytree(past, fresh)
    make_certificates(fresh, HOSTS)  # the same authority
    server = server_context(past if side == "server" else fresh)
    client = client_context(past if side == "client" else fresh)
    found = shake(server, client)
    assert found.get("answer", b"") == b""
    assert "certificate has expired" in str(found["client" if side == "server" else "server"])
    assert shake(server_context(fresh), client_context(fresh))["answer"] == b"hello"


def test_neither_certificate_serves_as_the_other(folder):
    swapped = folder.parent / "swapped"
    shutil.copytree(folder, swapped)
    shutil.copy(folder / "server.pem", swapped / "client.pem")
    shutil.copy(folder / "client.pem", swapped / "server.pem")
    assert "unsuitable certificate purpose" in str(shake(server_context(folder), client_context(swapped))["server"])
    assert "unsuitable certificate purpose" in str(shake(server_context(swapped), client_context(folder))["client"])


def loaded(folder):
    names = ("ca", "server", "client")
    return [x509.load_pem_x509_certificate((folder / f"{name}.pem").read_bytes()) for name in names]


def value(certificate, kind):
    return certificate.extensions.get_extension_for_class(kind).value


def test_the_certificates_say_what_they_are_for(folder):
    ca, server, client = loaded(folder)
    assert value(ca, x509.BasicConstraints) == x509.BasicConstraints(ca=True, path_length=0)
    assert value(ca, x509.KeyUsage).key_cert_sign
    assert not value(ca, x509.KeyUsage).digital_signature
    identifier = value(ca, x509.SubjectKeyIdentifier).digest
    usages = {server: ExtendedKeyUsageOID.SERVER_AUTH, client: ExtendedKeyUsageOID.CLIENT_AUTH}
    for leaf, usage in usages.items():
        leaf.verify_directly_issued_by(ca)
        assert isinstance(leaf.public_key().curve, ec.SECP256R1)
        assert value(leaf, x509.BasicConstraints) == x509.BasicConstraints(ca=False, path_length=None)
        assert list(value(leaf, x509.ExtendedKeyUsage)) == [usage]
        assert value(leaf, x509.AuthorityKeyIdentifier).key_identifier == identifier
        assert value(leaf, x509.SubjectKeyIdentifier).digest != identifier
        assert not value(leaf, x509.KeyUsage).key_cert_sign
        assert timedelta(days=364) < leaf.not_valid_after_utc - datetime.now(UTC) <= timedelta(days=365)
    names = value(server, x509.SubjectAlternativeName)
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]


def test_keys_are_the_owners_alone(folder):
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert modes == {"ca.key": 0o600, "ca.pem": 0o644, "server.pem": 0o600, "client.pem": 0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_running_it_again_renews_the_leaves_and_keeps_the_authority(folder):
    kept = [(folder / name).read_bytes() for name in ("ca.key", "ca.pem")]
    before = loaded(folder)
    running, client = server_context(folder), client_context(folder)
    make_certificates(folder, ["localhost"], days=10)
    after = loaded(folder)
    assert [(folder / name).read_bytes() for name in ("ca.key", "ca.pem")] == kept
    assert before[0] == after[0]
    for old, new in zip(before[1:], after[1:], strict=True):
        assert old.public_key() != new.public_key()
    assert shake(running, client_context(folder))["answer"] == b"hello"  # the running server takes the new client
    assert shake(server_context(folder), client)["answer"] == b"hello"


def test_a_run_that_was_killed_after_the_key_is_finished(folder):
    for name in ("ca.pem", "server.pem", "client.pem"):
        (folder / name).unlink()
    key = (folder / "ca.key").read_bytes()
    make_certificates(folder, HOSTS)
    assert (folder / "ca.key").read_bytes() == key
    assert shake(server_context(folder), client_context(folder))["answer"] == b"hello"


def test_leaves_end_with_the_authority(tmp_path):
    long_ago = datetime.now(UTC) - timedelta(days=3600)
    make_certificates(tmp_path / "tls", HOSTS, now=long_ago)
    until = make_certificates(tmp_path / "tls", HOSTS)
    assert until == loaded(tmp_path / "tls")[0].not_valid_after_utc
    with pytest.raises(VaultError, match="has expired"):
        make_certificates(tmp_path / "tls", HOSTS, now=datetime.now(UTC) + timedelta(days=100))


NO_NAMES = ["", "a b", "-a", "exa_mple", "1.2.3.4.5.6 ", "a" * 64, "*.example.org", "ä.org"]
NO_ADDRESSES = ["300.1.1.1", "1.2.3", "example.1", "127"]


@pytest.mark.parametrize("host", NO_NAMES + NO_ADDRESSES)
def test_hosts_that_are_none(tmp_path, host):
    with pytest.raises(VaultError, match="expected a name such as localhost, or an address"):
        make_certificates(tmp_path / "tls", [host])
    assert not (tmp_path / "tls").exists()


@pytest.mark.parametrize(("days", "hosts"), [(0, HOSTS), (826, HOSTS), (365, [])])
def test_days_and_hosts_have_bounds(tmp_path, days, hosts):
    with pytest.raises(VaultError, match=r"expected 1 to 825|at least one"):
        make_certificates(tmp_path / "tls", hosts, days)


def test_an_ipv6_address_is_a_host(tmp_path):
    make_certificates(tmp_path / "tls", ["::1"])
    (address,) = value(loaded(tmp_path / "tls")[1], x509.SubjectAlternativeName).get_values_for_type(x509.IPAddress)
    assert str(address) == "::1"


def test_missing_and_broken_files(folder, tmp_path):
    with pytest.raises(VaultError, match=r"`radvit vault tls .* --host localhost` makes them"):
        server_context(tmp_path / "absent")
    (folder / "client.pem").write_text("nothing")
    with pytest.raises(VaultError, match="expected PEM files"):
        client_context(folder)
    (folder / "ca.key").chmod(0o644)
    with pytest.raises(VaultError, match=r"chmod 600 .*ca\.key"):
        make_certificates(folder, HOSTS)
    (folder / "ca.key").chmod(0o600)
    (folder / "ca.key").write_text("nothing")
    with pytest.raises(VaultError, match="is malformed"):
        make_certificates(folder, HOSTS)
    (folder / "ca.key").unlink()
    with pytest.raises(VaultError, match="is there without its key"):
        make_certificates(folder, HOSTS)


def test_a_key_of_another_authority_is_refused(folder, tmp_path):
    make_certificates(tmp_path / "other", HOSTS)
    shutil.copy(tmp_path / "other" / "ca.key", folder / "ca.key")
    with pytest.raises(VaultError, match="is not the key of"):
        make_certificates(folder, HOSTS)
