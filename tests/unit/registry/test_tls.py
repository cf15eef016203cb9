"""Certificates in use: real TLS on loopback, and clear words for files that cannot be used."""

from __future__ import annotations

import contextlib
import datetime as dt
import http.client
import ipaddress
import ssl

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from support.registry import TestRegistry

from layerkit.errors import RegistryError, UsageError
from layerkit.registry import outcome, tls
from layerkit.registry.endpoints import TLS
from layerkit.registry.limits import Limits

LIMITS = Limits()
LOOPBACK = ipaddress.ip_address("127.0.0.1")
LONG_AGO = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def authority():
    """A private authority."""
    return trustme.CA()


@pytest.fixture(scope="module")
def stranger():
    """Another one, that nobody trusts."""
    return trustme.CA()


@pytest.fixture
def files(tmp_path, authority, stranger):
    """Certificates and keys in PEM form, each in a file, and files that have none."""
    me, other = authority.issue_cert("me@home.io"), stranger.issue_cert("me@home.io")
    expired = authority.issue_cert("me@home.io", not_after=LONG_AGO)
    contents = {
        "ca.crt": authority.cert_pem,
        "stranger.crt": stranger.cert_pem,
        "me.cert": me.cert_chain_pems[0],
        "me.key": me.private_key_pem,
        "both.pem": me.private_key_and_cert_chain_pem,
        "other.cert": other.cert_chain_pems[0],
        "other.key": other.private_key_pem,
        "expired.cert": expired.cert_chain_pems[0],
        "expired.key": expired.private_key_pem,
    }
    for name, blob in contents.items():
        blob.write_to_path(tmp_path / name)
    (tmp_path / "text").write_text("no certificate\n")
    (tmp_path / "broken.crt").write_text(
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    )
    (tmp_path / "encrypted.key").write_bytes(_encrypted(me.private_key_pem.bytes()))
    (tmp_path / "folder").mkdir()
    return tmp_path


def _encrypted(pem):
    """The same private key, with a password."""
    key = serialization.load_pem_private_key(pem, None)
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"password"),
    )


@pytest.fixture
def serve(authority):
    """Starts a registry with a certificate of the authority, asking for clients' if wanted."""
    with contextlib.ExitStack() as stack:

        def start(clients=False, address="127.0.0.1"):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            authority.issue_cert(address).configure_cert(context)
            if clients:
                authority.configure_trust(context)
                context.verify_mode = ssl.CERT_REQUIRED
                # Since 1.3 a refused client has sent its request by then, which may be answered
                # with a reset before it reads why.
                context.maximum_version = ssl.TLSVersion.TLSv1_2
            return stack.enter_context(TestRegistry(tls=context))

        yield start


def ask(registry, settings):
    """The status of a request with these settings; raises as a pull does."""
    connection = http.client.HTTPSConnection(
        registry.host, timeout=LIMITS.read, context=tls.context(settings)
    )
    try:
        connection.request("GET", "/v2/")
        return connection.getresponse().status
    except OSError as error:
        raise outcome.failure(f"cannot reach {registry.host}", error, LIMITS) from None
    finally:
        connection.close()


def test_a_private_authority_is_trusted(serve, files):
    """T09: with its certificate, a registry is asked like any other."""
    assert ask(serve(), TLS((files / "ca.crt",))) == 200


def test_several_authorities_are_trusted(serve, files):
    """T09: one that does not fit is no harm."""
    assert ask(serve(), TLS((files / "stranger.crt", files / "ca.crt"))) == 200


@pytest.mark.parametrize("names", [[], ["stranger.crt"]], ids=["T09-none", "T09-wrong"])
def test_a_stranger_is_not_trusted(serve, files, names):
    """T09: an authority that is not trusted is one error with a next step, and no request."""
    registry = serve()

    with pytest.raises(RegistryError, match="its certificate is not trusted") as caught:
        ask(registry, TLS(tuple(files / name for name in names)))

    assert registry.requests == []
    assert "certs.d/HOST:PORT/ca.crt" in caught.value.hint


@pytest.mark.parametrize("value", ["stranger.crt", "missing"])
def test_variables_do_not_beat_configuration(serve, files, monkeypatch, value):
    """T09: what is configured is trusted, whatever the environment names as the system's."""
    for variable in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(variable, str(files / value))
    monkeypatch.setenv("SSL_CERT_DIR", str(files / "folder"))

    assert ask(serve(), TLS((files / "ca.crt",))) == 200


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_variables_of_other_programs_trust_nobody(serve, files, monkeypatch, variable):
    """T09: they are for those programs."""
    monkeypatch.setenv(variable, str(files / "ca.crt"))

    with pytest.raises(RegistryError, match="its certificate is not trusted"):
        ask(serve(), TLS())


def test_the_systems_authorities_stay_trusted(files, monkeypatch, serve):
    """T09: an authority of one's own is added to those of the system."""
    monkeypatch.setenv("SSL_CERT_FILE", str(files / "ca.crt"))

    assert ask(serve(), TLS((files / "stranger.crt",))) == 200


def test_the_name_has_to_fit(serve, files):
    """A certificate for another host is refused, also of a trusted authority."""
    with pytest.raises(RegistryError, match=r"its certificate is not trusted \(IP address"):
        ask(serve(address="127.0.0.2"), TLS((files / "ca.crt",)))


def test_nothing_is_checked_where_nothing_shall_be(serve):
    """`skip_verify` and `insecure` take any certificate."""
    assert ask(serve(address="127.0.0.2"), TLS(verify=False)) == 200


def test_an_intermediate_authority_is_enough(authority, files, serve):
    """Who is named is trusted, even if somebody else vouches for them; as in Go's programs."""
    child = authority.create_child_ca()
    child.cert_pem.write_to_path(files / "child.crt")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    child.issue_cert("127.0.0.1").configure_cert(context)

    with TestRegistry(tls=context) as registry:
        assert ask(registry, TLS((files / "child.crt",))) == 200


def test_authorities_without_extensions_are_trusted(files, authority, monkeypatch):
    """Old private authorities lack key identifiers, which Python wants since 3.13."""
    usual = ssl.create_default_context

    def strict(**options):
        context = usual(**options)
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        return context

    monkeypatch.setattr(ssl, "create_default_context", strict)
    certificate, context = _bare_authority(files)

    with TestRegistry(tls=context) as registry:
        assert ask(registry, TLS((certificate,))) == 200
        assert tls.context(TLS()).verify_flags & ssl.VERIFY_X509_STRICT


def _bare_authority(folder):
    """An authority's certificate as old tools made it, and a server with one signed by it."""
    authority, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    own = _certificate("Old CA", "Old CA", authority)
    own = own.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=False)
    server = _certificate("server", "Old CA", key).add_extension(
        x509.SubjectAlternativeName([x509.IPAddress(LOOPBACK)]), critical=False
    )
    (folder / "old.crt").write_bytes(_signed(own, authority))
    (folder / "server.pem").write_bytes(
        _signed(server, authority)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    return folder / "old.crt", context


def _certificate(subject, issuer, key):
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, subject)]))
        .issuer_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=2))
        .not_valid_after(now + dt.timedelta(days=2))
    )


def _signed(certificate, authority):
    return certificate.sign(authority, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


@pytest.mark.parametrize(
    "identity",
    [
        pytest.param([("me.cert", "me.key")], id="T10-two-files"),
        pytest.param([("both.pem", "both.pem")], id="T10-one-file"),
        pytest.param([("me.cert", "me.key"), ("other.cert", "other.key")], id="T10-first-counts"),
    ],
)
def test_a_client_shows_its_certificate(serve, files, identity):
    """A registry that wants to know its clients lets us in."""
    pairs = tuple((files / certificate, files / key) for certificate, key in identity)

    assert ask(serve(clients=True), TLS((files / "ca.crt",), pairs)) == 200


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        pytest.param("", "handshake failure", id="T10-none"),
        pytest.param("other", "unknown ca", id="T10-stranger"),
        pytest.param("expired", "certificate expired", id="T10-expired"),
    ],
)
def test_a_client_that_is_not_let_in(serve, files, name, reason):
    """What the registry says about our certificate is the error, with a next step."""
    pair = ((files / f"{name}.cert", files / f"{name}.key"),) if name else ()
    registry = serve(clients=True)

    with pytest.raises(RegistryError, match=f"TLS failed .*{reason}") as caught:
        ask(registry, TLS((files / "ca.crt",), pair))

    assert registry.requests == []
    assert "NAME.cert" in caught.value.hint


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("missing.crt", "no such file or directory"),
        ("folder", "is a directory"),
        ("text", "no certificate in PEM form in it"),
        ("me.key", "no certificate in PEM form in it"),
        ("broken.crt", "no certificate in PEM form in it"),
    ],
)
def test_a_file_that_is_no_authority_is_named(files, name, reason):
    """T09: the file, and what is wrong with it."""
    with pytest.raises(UsageError) as caught:
        tls.context(TLS((files / "ca.crt", files / name)))

    assert str(caught.value) == f"cannot use certificate authority {files / name}: {reason}"


@pytest.mark.parametrize(
    ("certificate", "key", "what"),
    [
        ("missing", "me.key", "certificate {certificate}: no such file or directory"),
        ("me.cert", "missing", "key {key}: no such file or directory"),
        ("folder", "me.key", "certificate {certificate}: is a directory"),
        ("text", "me.key", "certificate {certificate}: no certificate in PEM form in it"),
        ("broken.crt", "me.key", "certificate {certificate}: no certificate in PEM form in it"),
        ("me.cert", "text", "key {key}: no private key in PEM form in it"),
        ("me.cert", "me.cert", "key {key}: no private key in PEM form in it"),
        ("me.cert", "other.key", "key {key}: it is not the key of {certificate}"),
        ("me.cert", "encrypted.key", "key {key}: it is encrypted"),
    ],
)
def test_a_file_that_is_no_identity_is_named(files, certificate, key, what):
    """T10: the one of the two files that is wrong, and nobody is asked for a password."""
    paths = {"certificate": files / certificate, "key": files / key}

    with pytest.raises(UsageError) as caught:
        tls.context(TLS(identity=(tuple(paths.values()),)))

    assert str(caught.value) == f"cannot use client {what.format(**paths)}"


def test_a_server_without_tls_is_explained(files):
    """T12: where TLS is wanted and not spoken, the hint says how plain http is allowed."""
    with TestRegistry() as registry, pytest.raises(RegistryError, match="TLS failed") as caught:
        ask(registry, TLS((files / "ca.crt",)))

    assert "insecure-registries" in caught.value.hint
    assert registry.requests == []
