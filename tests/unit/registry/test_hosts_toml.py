"""containerd's hosts.toml."""

from pathlib import Path

import pytest

from layerkit import reference
from layerkit.errors import UsageError
from layerkit.registry import hosts_toml, settings
from layerkit.registry.endpoints import ALL, READ, TLS, Action

FOLDER = Path("/etc/containerd/certs.d/docker.io")
CENTOS = reference.parse("centos:7")


@pytest.fixture
def endpoints(fs):
    """Reads a text as the hosts.toml of an image's registry."""

    def read(text, image=CENTOS):
        fs.create_file(FOLDER / "hosts.toml", contents=text)
        return hosts_toml.endpoints(settings.read_toml(FOLDER / "hosts.toml"), image)

    return read


def test_mirrors_come_in_the_order_of_the_file(endpoints):
    """C13: tables in their order, the server last, each with what it may be asked for."""
    found = endpoints("""
        server = "https://registry-1.docker.io"
        [host."https://z.io"]
          capabilities = ["pull"]
        [host."https://a.io"]
          capabilities = ["pull", "resolve"]
        [host."https://m.io"]
    """)

    assert [(each.base, each.actions, each.namespace) for each in found] == [
        ("https://z.io/v2", Action.PULL, "docker.io"),
        ("https://a.io/v2", READ, "docker.io"),
        ("https://m.io/v2", ALL, "docker.io"),
        ("https://registry-1.docker.io/v2", ALL, ""),
    ]
    assert [each.is_origin for each in found] == [False, False, False, True]


@pytest.mark.parametrize(
    ("text", "image", "bases"),
    [
        pytest.param("", "centos", ["https://registry-1.docker.io/v2"], id="C13-empty"),
        pytest.param("", "localhost:5000/a", ["http://localhost:5000/v2"], id="C13-empty-here"),
        pytest.param(
            'ca = "x"', "localhost:5000/a", ["https://localhost:5000/v2"], id="C13-ca-here"
        ),
        pytest.param('server = "m.io"', "centos", ["https://m.io/v2"], id="C13-only-a-mirror"),
        pytest.param(
            '[host."http://m.io:5000"]',
            "r.io/a",
            ["http://m.io:5000/v2", "https://r.io/v2"],
            id="C13-no-server",
        ),
        pytest.param(
            '[host."https://m.io/v2/hub"]\noverride_path = true',
            "r.io/a",
            ["https://m.io/v2/hub", "https://r.io/v2"],
            id="C13-override_path",
        ),
        pytest.param(
            'server = "https://m.io/v2/hub"\noverride_path = true',
            "r.io/a",
            ["https://m.io/v2/hub"],
            id="C13-override_path-of-server",
        ),
        pytest.param(
            "unknown = 1\n[host.'https://m.io']\nproxy = 'x'\n[new]\nx = 1",
            "r.io/a",
            ["https://m.io/v2", "https://r.io/v2"],
            id="C13-unknown-keys",
        ),
    ],
)
def test_the_server_is_the_registry_unless_said(endpoints, text, image, bases):
    """The last endpoint is `server`, else the registry itself, else nothing new."""
    assert [each.base for each in endpoints(text, reference.parse(image))] == bases


def test_headers_are_for_their_host_only(endpoints):
    """C13: each value of a header table, and none of them for the server."""
    mirror, server = endpoints("""
        [host."http://127.0.0.1:4001".header]
          X-Dragonfly-Registry = "https://docker.io"
          X-Many = ["a", "b"]
    """)

    assert mirror.headers == (
        ("X-Dragonfly-Registry", "https://docker.io"),
        ("X-Many", "a"),
        ("X-Many", "b"),
    )
    assert server.headers == ()


@pytest.mark.parametrize(
    ("text", "tls"),
    [
        ('ca = "ca.crt"', TLS((FOLDER / "ca.crt",))),
        ('ca = ["a.crt", "/b.crt"]', TLS((FOLDER / "a.crt", Path("/b.crt")))),
        ('client = "c.pem"', TLS(identity=((FOLDER / "c.pem", FOLDER / "c.pem"),))),
        (
            'client = ["/c.pem", "/d.pem"]',
            TLS(
                identity=(
                    (Path("/c.pem"), Path("/c.pem")),
                    (Path("/d.pem"), Path("/d.pem")),
                )
            ),
        ),
        (
            'client = [["/c.cert", "/c.key"], ["/d.pem", ""]]',
            TLS(
                identity=(
                    (Path("/c.cert"), Path("/c.key")),
                    (Path("/d.pem"), Path("/d.pem")),
                )
            ),
        ),
        ("skip_verify = true", TLS(verify=False)),
        ("skip_verify = false", TLS()),
    ],
    ids=["T09-one", "T09-list", "T10-both", "T10-list", "T10-pairs", "skip", "no-skip"],
)
@pytest.mark.parametrize("table", ["", '[host."https://m.io"]\n'], ids=["server", "host"])
def test_certificates(endpoints, table, text, tls):
    """Paths start at the file's folder; server and hosts have their own."""
    found = endpoints(table + text)

    assert found[0].tls == tls
    assert len(found) == 1 or found[1].tls == TLS()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1s", 1), ("1m30s", 90), ("500ms", 0.5), ("1.5h", 5400), (".5s", 0.5), ("0s", None)],
)
def test_the_time_to_connect(endpoints, text, seconds):
    """A duration as Go writes it."""
    (found,) = endpoints(f'dial_timeout = "{text}"')

    assert found.connect == seconds


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('capabilities = ["fly"]', "capabilities: got 'fly', wanted some of pull, resolve, push"),
        ("capabilities = [1]", "capabilities: wanted a string or a list"),
        ("ca = 1", "ca: wanted a string or a list"),
        ("client = 1", "client: wanted a path"),
        ('client = ""', "client: wanted a path"),
        ('client = [["a"]]', "client: wanted a path"),
        ('client = [["a", "b", "c"]]', "client: wanted a path"),
        ('client = [["", "b"]]', "client: wanted a path"),
        ('skip_verify = "yes"', "skip_verify: got 'yes', wanted true or false"),
        ('dial_timeout = "soon"', "dial_timeout: got 'soon', wanted a duration"),
        ('dial_timeout = "1s later"', "dial_timeout: got '1s later', wanted a duration"),
        ("dial_timeout = 30", "dial_timeout: got 30, wanted a string"),
        ("[header]\nX = 1", "header.X: wanted a string"),
        ('[header]\n"X Y" = "a"', 'header."X Y": not possible'),
        ('[header]\nX = "a\\r\\nY: b"', "header.X: not possible"),
        ('override_path = 1\nserver = "x"', "override_path: got 1"),
    ],
)
@pytest.mark.parametrize("table", ["server", 'host."https://m.io"'])
def test_a_wrong_value_is_named(endpoints, table, text, message):
    """The message has file, table and key, and the file is not half used."""
    if table != "server":
        text = f"[{table}]\n{text}".replace("[header]", f"[{table}.header]")
        message = f"{table}.{message}"

    with pytest.raises(UsageError) as caught:
        endpoints(text)

    assert str(caught.value).startswith(f"cannot use {FOLDER}/hosts.toml: {message}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('server = "ftp://x"', "server: not the URL of a registry: scheme 'ftp'"),
        ('[host."https://u:pw@m.io"]', "not the URL of a registry: it has credentials"),
        ("host = 1", "host: got 1, wanted a table"),
        ("[host]\nx = 1", "host.x: got 1, wanted a table"),
        ('[host."https://m.io"]\n[host."https://m.io"]', "not valid TOML"),
    ],
)
def test_a_wrong_host_is_named(endpoints, text, message):
    """What is no URL, and a host that stands twice, is an error of the file."""
    with pytest.raises(UsageError, match=f"^cannot use {FOLDER}/hosts.toml: ") as caught:
        endpoints(text)

    assert message in str(caught.value)
