"""One GET, with our own rules for redirects, limits and errors."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading

import pytest
from support.faults import cut, hang_up, redirect, stall, status, with_headers
from support.processes import until
from support.registry import TestRegistry
from support.web import Reply

from layerkit.errors import RegistryError, UnavailableError
from layerkit.registry.endpoints import TLS
from layerkit.registry.limits import Limits
from layerkit.registry.transport import Request, Transport

LIMITS = Limits(connect=5, read=20, redirects=10)
SECRET = {"Authorization": "Bearer secret-token", "Cookie": "secret=cookie"}


@pytest.fixture
def transport():
    """A transport with patience."""
    transport = Transport(LIMITS, "layerkit/test")
    yield transport
    transport.close()


@pytest.fixture
def hasty():
    """A transport that gives up a silent server soon."""
    transport = Transport(Limits(connect=5, read=0.2), "layerkit/test")
    yield transport
    transport.close()


@pytest.fixture
def no_names(monkeypatch):
    """Only this machine's addresses can be looked up."""
    known = socket.getaddrinfo

    def look_up(host, *arguments, **options):
        if host != "127.0.0.1":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return known(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)


def get(transport, url, headers=None):
    """The status and body of a GET."""
    with transport.send(Request(url, headers or {})) as answer:
        return answer.status, answer.read_past(1000)


def test_requests_say_who_asks_and_want_no_encoding(transport, registry):
    """D21: the user agent is ours, and a body is asked for as it is stored."""
    assert get(transport, f"{registry.url}/v2/") == (200, b"{}")

    headers = registry.requests[0].headers
    assert headers["User-Agent"] == "layerkit/test"
    assert headers["Accept-Encoding"] == "identity"


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_redirects_are_followed_without_secrets(transport, registry, other, code):
    """D21, T01, T02: another origin gets the range and the query as they are, but no credentials."""
    registry.fault("^/v2/$", redirect(other.url, code, query="sig=%7Ea%2Bb&x"))

    got = get(transport, f"{registry.url}/v2/", {**SECRET, "Range": "bytes=1-2"})

    (request,) = other.requests
    assert got == (200, b"{}")
    assert (request.method, request.query, request.range) == ("GET", "sig=%7Ea%2Bb&x", "bytes=1-2")
    assert request.headers["Accept-Encoding"] == "identity"
    assert not {"Authorization", "Cookie"} & set(request.headers)


def test_credentials_stay_with_their_origin(transport, registry):
    """A redirect to the same scheme, host and port keeps the credentials."""
    registry.fault("/a", status(307, Location="/v2/"))

    get(transport, f"{registry.url}/a", SECRET)

    assert [request.authorization for request in registry.requests] == ["Bearer", "Bearer"]


def test_credentials_do_not_come_back(transport, registry, other):
    """T01: once dropped, credentials stay away, also when a redirect leads back."""
    registry.fault("/a", status(307, Location=f"{other.url}/b"))
    other.fault("/b", status(307, Location=f"{registry.url}/v2/"))

    get(transport, f"{registry.url}/a", SECRET)

    assert [request.authorization for request in registry.requests] == ["Bearer", ""]


def test_another_name_of_the_same_host_is_another_origin(transport, registry):
    """T01: `localhost` and 127.0.0.1 are not the same origin."""
    port = registry.host.rpartition(":")[2]
    registry.fault("/a", status(307, Location=f"http://localhost:{port}/v2/"))

    get(transport, f"{registry.url}/a", SECRET)

    assert [request.authorization for request in registry.requests] == ["Bearer", ""]


def test_a_redirect_ends(transport, registry):
    """SE-25, T02: ten redirects are followed, not an eleventh."""
    registry.fault("/", status(302, Location="/again"))

    with pytest.raises(RegistryError, match=f"registry {registry.host} redirects more than 10"):
        get(transport, f"{registry.url}/a")

    assert len(registry.requests) == 11


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ({}, "names no address"),
        ({"Location": "file:///etc/passwd"}, "neither http nor https"),
        ({"Location": "http://user:secret@x/"}, "has credentials"),
        ({"Location": "http://[::1/"}, "IPv6"),
    ],
    ids=str,
)
def test_bad_redirects_are_refused(transport, registry, location, reason):
    """T02, T07: a redirect to nowhere or to what must not be followed is an error that names the host."""
    registry.fault("/a", status(307, **location))

    with pytest.raises(
        RegistryError, match=f"refused a redirect of registry {registry.host}.*{reason}"
    ) as caught:
        get(transport, f"{registry.url}/a")

    assert "secret" not in caught.value.message


def test_the_body_of_a_redirect_is_not_waited_for(transport, registry):
    """A redirect with an endless body is followed at once."""
    registry.fault("/a", lambda *_: Reply(307, {"Location": "/v2/"}, bytes(1 << 20), 0, "stall"))

    assert get(transport, f"{registry.url}/a") == (200, b"{}")


def test_cookies_are_not_kept(transport, registry):
    """No request carries what an earlier answer set."""
    registry.fault("^/v2/$", with_headers({"Set-Cookie": "a=b; Path=/"}))

    get(transport, f"{registry.url}/v2/")
    get(transport, f"{registry.url}/v2/")

    assert "Cookie" not in registry.requests[1].headers


def test_the_environment_is_not_read(registry, transport, monkeypatch, tmp_path):
    """Neither proxies nor netrc of the environment change a request."""
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    assert get(transport, f"{registry.url}/v2/") == (200, b"{}")
    assert registry.requests[0].authorization == ""


def test_loopback_is_never_asked_through_a_proxy(registry):
    """T13: a proxy is for other machines."""
    transport = Transport(LIMITS, "test", {"http": "http://127.0.0.1:9"})

    assert get(transport, f"{registry.url}/v2/") == (200, b"{}")
    transport.close()


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_other_machines_are_asked_through_the_proxy(registry, scheme):
    """T13: a proxy that refuses is named as the reason, its password is not."""
    proxy = f"http://me:secret-of-proxy@{registry.host}"
    transport = Transport(LIMITS, "test", {scheme: proxy})
    registry.fault("", status(407))

    if scheme == "http":
        assert get(transport, "http://r.example/v2/")[0] == 407
        assert "Proxy-Authorization" in registry.requests[0].headers
    else:
        with pytest.raises(
            UnavailableError,
            match=r"cannot reach registry r\.example \(through the proxy\): tunnel",
        ) as caught:
            get(transport, "https://r.example/v2/")
        assert "secret" not in caught.value.message
    transport.close()


def test_a_listed_machine_is_asked_without_the_proxy(registry, no_names):
    """T13: a host in the list of exceptions is asked directly."""
    proxies = {"https": registry.url, "no_proxy": "r.invalid"}
    transport = Transport(LIMITS, "test", proxies)

    with pytest.raises(RegistryError, match=r"^cannot reach registry r\.invalid: "):
        get(transport, "https://r.invalid/v2/")

    assert registry.connections == 0
    transport.close()


def closed_port():
    """A port of this machine where nobody listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def test_nobody_there(transport):
    """A refused connection is told as one, with the host."""
    port = closed_port()

    with pytest.raises(
        UnavailableError, match=f"^cannot reach registry 127.0.0.1:{port}: connection refused$"
    ):
        get(transport, f"http://127.0.0.1:{port}/secret?secret")


def test_no_such_host(transport, no_names):
    """T16: a name that nobody has is told as one, with the host, and not asked for again."""
    with pytest.raises(
        RegistryError, match=r"^cannot reach registry r\.example: name or service not known$"
    ) as caught:
        get(transport, "https://r.example/v2/")

    assert not isinstance(caught.value, UnavailableError)


def test_a_label_too_long_for_dns(transport):
    """A name that cannot be a host is an error of the registry class, not of Python."""
    with pytest.raises(RegistryError, match=r"^cannot reach registry aaa.*not a valid host"):
        get(transport, f"https://{'a' * 70}.example/v2/")


def test_no_answer(transport, registry):
    """A connection closed before the answer is told as that."""
    registry.fault("", hang_up)

    with pytest.raises(UnavailableError, match=r"connection closed without an answer$"):
        get(transport, f"{registry.url}/v2/")


def test_silence_is_no_answer(hasty):
    """SE-25: a server that accepts and says nothing is given up after the read limit."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host = f"127.0.0.1:{silent.getsockname()[1]}"

        with pytest.raises(
            UnavailableError, match=rf"^cannot reach registry {host}: nothing came for 0\.2 s$"
        ):
            get(hasty, f"http://{host}/v2/")


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 10_000 + b"\r\n",
    ],
    ids=["not http", "no status", "long line", "many headers"],
)
def test_what_is_no_http_is_refused(transport, answer):
    """S01: an answer that is not HTTP, or has an endless head, is one bounded error."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=_answer_once, args=(server, answer))
        thread.start()

        with pytest.raises(
            RegistryError, match=r"cannot reach registry .*: the answer is not HTTP$"
        ):
            get(transport, f"http://127.0.0.1:{server.getsockname()[1]}/v2/")
        thread.join()


def _answer_once(server, answer):
    connection, _ = server.accept()
    with connection:
        connection.recv(65536)
        try:
            connection.sendall(answer)
            connection.shutdown(socket.SHUT_WR)
            connection.recv(1)
        except OSError:
            pass  # the client had enough


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (cut(1), "connection closed too early"),
        (cut(1, reset=True), "connection (closed|reset)"),
        (stall(1), "nothing came for 0.2 s"),
    ],
    ids=["cut", "reset", "stall"],
)
def test_a_body_that_breaks_off_is_told(hasty, registry, fault, reason):
    """A body that ends, breaks or stalls in the middle is an error that names the host."""
    registry.fault("", fault)

    with pytest.raises(
        UnavailableError,
        match=f"^registry {registry.host} broke off: .*{reason}|^cannot reach.*reset",
    ):
        get(hasty, f"{registry.url}/v2/")


def test_reading_stops_behind_the_limit(transport, registry):
    """SE-25: of a long body no more than asked for is read."""
    descriptor = registry.add_blob("a", bytes(100_000))

    with transport.send(Request(f"{registry.url}/v2/a/blobs/{descriptor.digest}")) as answer:
        assert len(answer.read_past(10)) == 11


def test_connections_are_used_again(transport, registry):
    """After a body was read, or a short one discarded, the connection serves the next request."""
    registry.fault("/a", status(307, Location="/v2/"))
    registry.fault("/b", status(404, "no such thing"))

    get(transport, f"{registry.url}/a")
    with transport.send(Request(f"{registry.url}/b")) as answer:
        answer.discard()
    get(transport, f"{registry.url}/v2/")

    assert registry.connections == 1


def test_tls_wanted_but_not_spoken(transport, registry):
    """T12: a server without TLS where TLS is wanted is one clear error, with no fall back to http."""
    url = registry.url.replace("http:", "https:")

    with pytest.raises(RegistryError, match=f"^cannot reach registry {registry.host}: TLS failed"):
        get(transport, f"{url}/v2/")

    assert registry.requests == []


@pytest.fixture
def certificate(tmp_path):
    """The path of a key and certificate for 127.0.0.1 that nobody has signed."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl to make a certificate")
    path = tmp_path / "both.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-keyout", path, "-out", tmp_path / "cert.pem", "-subj", "/CN=test", "-days", "2",
         "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True, capture_output=True,
    )  # fmt: skip
    path.write_text(path.read_text() + (tmp_path / "cert.pem").read_text())
    return path


@pytest.fixture
def tls_registry(certificate):
    """A registry that serves https with that certificate."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate)
    with TestRegistry(tls=server) as registry:
        yield registry


def test_an_unknown_certificate_is_refused(transport, tls_registry, monkeypatch, certificate):
    """T09: a certificate nobody vouches for is one clear error, whatever the environment says."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    monkeypatch.setenv("CURL_CA_BUNDLE", str(certificate))

    with pytest.raises(
        RegistryError,
        match=f"^cannot reach registry {tls_registry.host}: its certificate is not trusted .self",
    ) as caught:
        get(transport, f"{tls_registry.url}/v2/")

    assert not isinstance(caught.value, UnavailableError)
    assert tls_registry.requests == []


def test_whom_to_trust_is_part_of_a_request(transport, tls_registry, certificate):
    """An authority of one request counts for no other one."""
    url = f"{tls_registry.url}/v2/"

    with transport.send(Request(url, tls=TLS(authorities=(certificate,)))) as answer:
        assert answer.status == 200
    with pytest.raises(RegistryError, match="not trusted"):
        get(transport, url)


def test_private_headers_stay_with_their_origin(transport, registry):
    """T01: what one server is told, those that it redirects to are not."""
    with TestRegistry() as other:
        registry.fault("/start", redirect(f"{other.url}/v2/"))
        request = Request(f"{registry.url}/start", {"X-All": "a"}, private={"X-Own": "b"})
        transport.send(request).close()

        (first, second) = (registry.requests[-1], other.requests[-1])
    assert (first.headers["X-All"], first.headers["X-Own"]) == ("a", "b")
    assert second.headers["X-All"] == "a"
    assert "X-Own" not in second.headers


def test_connections_in_use_are_ended_when_they_are_given_back(transport, registry):
    """L05: a server with too much to do is rid of them, though the answer is still in use."""
    with transport.send(Request(f"{registry.url}/v2/")) as answer:
        transport.close_idle()
        assert registry.open == 1
        while answer.read_some(1000):
            pass
        until(lambda: registry.open == 0)
