"""Cases of registries that take a whole command: storage, proxies, kills, and answers nobody wants."""

from __future__ import annotations

import json
import signal
import ssl
import subprocess
import sys
import threading

import pytest
import trustme
from support import stores, tars
from support.debian_registry import PROGRAM, debian_registry
from support.faults import (
    HOSTILE_HEADS,
    Presigned,
    cut,
    held,
    redirect,
    stall,
    status,
    with_headers,
    wrong_bytes,
)
from support.names import resolving
from support.processes import until
from support.proxy import Proxy
from support.registry import TestRegistry
from support.web import full_host

from layerkit import oci
from layerkit.ops.home import Home
from layerkit.registry import Limits
from layerkit.store import journal

LAYERS = [tars.archive(tars.file("a", "A" * 600)), tars.archive(tars.file("b", "B"))]
NOISE = tars.archive(tars.file("noise", bytes(range(256)) * (6 << 12)))
"""A layer of 6 MiB."""


@pytest.fixture
def registry():
    """A registry on loopback where everybody may pull."""
    with TestRegistry() as registry:
        yield registry


@pytest.fixture
def storage():
    """What the registry redirects to."""
    with TestRegistry() as storage:
        yield storage


@pytest.fixture
def home(state_root):
    """The state directory of the commands."""
    with Home(state_root) as home:
        yield home


@pytest.fixture
def hosts(environment, tmp_path, monkeypatch):
    """Writes containerd's `hosts.toml` for a registry."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))

    def write(registry, text):
        path = tmp_path / "config/containerd/certs.d" / registry / "hosts.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    return write


def secure(*names):
    """An authority, and a registry with a certificate of it for these names; to be started."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    return authority, TestRegistry(tls=context)


def port_of(registry):
    """Its port."""
    return int(registry.host.rpartition(":")[2])


def pulling(command, name, *options):
    """A process that pulls."""
    return subprocess.Popen(
        [*command, "pull", "-q", *options, name],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def sent(registry, blob):
    """The bytes of a blob that a registry sent."""
    return sum(each.sent for each in registry.requests if blob.digest.hex in each.path)


# -- names ------------------------------------------------------------------------------------------


def test_a_registry_with_an_ipv6_address(hosts, cli):
    """R07: the Host header has brackets and port, and so has the folder of its configuration."""
    with TestRegistry(address="::1") as registry:
        registry.add_image("app", "1", LAYERS)
        hosts(registry.host, f'[host."{registry.url}".header]\nx-own = "found"\n')

        pulled = cli("pull", "-q", f"{registry.host}/app:1")

        assert (pulled.code, pulled.out) == (0, f"{registry.host}/app:1\n")
        assert registry.host.startswith("[::1]:")
        assert {each.headers["Host"] for each in registry.requests} == {registry.host}
        assert {each.headers.get("X-Own") for each in registry.requests} == {"found"}


def test_a_name_that_is_not_found_once(hosts, cli, registry):
    """T16: a failure of DNS that may pass is tried again; a name that nobody has ends it, by name."""
    registry.add_image("app", "1", LAYERS)
    url = f"http://r.example:{port_of(registry)}"
    for name in ("r.example", "nowhere.example"):
        hosts(f"{name}:1", f'server = "{url.replace("r.example", name)}"\n')

    with resolving({"r.example": ["127.0.0.1"]}, failures=1) as asked:
        assert cli("pull", "-q", "r.example:1/app:1").code == 0
        refused = cli("pull", "-q", "nowhere.example:1/app:1")

    assert asked.count("r.example") > 1
    assert refused.code == 5
    assert f"nowhere.example:{port_of(registry)}: name or service not known" in refused.err


# -- manifests --------------------------------------------------------------------------------------


def test_types_where_they_are_wanted_and_nowhere_else(cli, registry):
    """M01: documents are asked for by all their types, blobs and tags by none (Artifactory: 406)."""
    image = registry.add_image("app", None, LAYERS)
    registry.add_index("app", "1", {"linux/amd64": image.descriptor})

    def picky(request, serve):
        wanted = request.headers.get("Accept", "*/*")
        return status(406)(request, serve) if "application/vnd" in wanted else serve(request)

    registry.fault("/(blobs|tags)/", picky)

    assert cli("pull", "-q", "--platform", "linux/amd64", f"{registry.host}/app:1").code == 0
    assert oci.OCI_INDEX in registry.requests[0].headers["Accept"]


@pytest.mark.parametrize(
    "media_type", [*oci.SCHEMA1_TYPES, "application/json"], ids=lambda text: f"M02-{text[12:]}"
)
def test_an_image_of_schema_1(cli, registry, media_type):
    """It is refused by the name of the format, with advice, before a layer is asked for."""
    document = {"schemaVersion": 1, "name": "app", "tag": "1", "fsLayers": [], "signatures": []}
    registry.add_manifest("app", json.dumps(document).encode(), media_type, "1")
    registry.fault("manifests", _whatever_is_accepted)

    pulled = cli("pull", f"{registry.host}/app:1")

    assert pulled.code == 4
    assert "schema 1" in pulled.err
    assert "hint: " in pulled.err
    assert registry.paths("/blobs/") == []


def _whatever_is_accepted(request, serve):
    request.headers["Accept"] += ", application/json"
    return serve(request)


# -- storage ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [302, 307])
def test_signed_urls_of_storage(cli, registry, storage, code):
    """T03: a URL is asked for as it was signed: byte for byte, by the same method, without a login."""
    for each in (registry, storage):
        each.add_image("app", "1", [*LAYERS, NOISE], compression="")
    signed = Presigned(storage.url, uses=1, code=code)
    registry.fault("/(manifests|blobs)/", signed.redirect)
    storage.fault("", signed.check)

    assert cli("pull", "-q", f"{registry.host}/app:1").code == 0
    assert cli("pull", "-q", f"{registry.host}/app:1").code == 0

    assert {each.status for each in storage.requests} <= {200, 206}
    assert {each.method for each in storage.requests} == {"GET", "HEAD"}
    assert not any("Authorization" in each.headers for each in storage.requests)


@pytest.mark.parametrize(
    ("place", "why"),
    [
        pytest.param("http://{storage}", "without TLS", id="T07-without-tls"),
        pytest.param("https://{storage}", "this machine", id="T07-this-machine"),
        pytest.param("https://169.254.169.254", "this machine or its link", id="T07-cloud"),
        pytest.param("https://[::1]:{port}", "this machine", id="T07-IPv6"),
        pytest.param("file:///etc", "neither http nor https", id="T07-file"),
    ],
)
@pytest.mark.parametrize("what", ["redirect", "realm"])
def test_ways_that_are_not_followed(environment, cli, tmp_path, storage, place, why, what):
    """A registry elsewhere does not make its clients ask this machine, nor anybody without TLS."""
    authority, registry = secure("r.example")
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    target = place.format(storage=storage.host, port=port_of(storage))
    challenge = {"WWW-Authenticate": f'Bearer realm="{target}/token",service="s"'}
    with registry, resolving({"r.example": ["127.0.0.1"]}):
        registry.add_image("app", "1", LAYERS)
        refused = with_headers(challenge)
        registry.fault(
            "manifests",
            redirect(target)
            if what == "redirect"
            else lambda request, _: refused(request, lambda asked: status(401)(asked, None)),
        )

        name = f"r.example:{port_of(registry)}/app:1"
        pulled = cli("pull", "--ca", tmp_path / "ca.pem", name)

    assert pulled.code == 5
    assert why in pulled.err
    assert storage.connections == 0


def foreign(registry, layer, url):
    """Hold an image whose layer is at `url`, and not in the registry."""
    image = registry.add_image("app", None, [layer], compression="")
    registry._repository("app").blobs.pop(str(image.layers[0].digest))
    document = json.loads(image.raw)
    document["layers"][0]["urls"] = [url]
    document["layers"][0]["mediaType"] = "application/vnd.oci.image.layer.nondistributable.v1.tar"
    registry.add_manifest("app", json.dumps(document).encode(), oci.OCI_MANIFEST, "1")


def test_a_layer_that_only_its_maker_has(cli, hosts, home, storage):
    """M12: what the registry has not comes from the document's address, without login or headers."""
    with TestRegistry("bearer") as registry:
        digest = storage.add_blob("layers", NOISE).digest
        foreign(registry, NOISE, f"{storage.url}/v2/layers/blobs/{digest}")
        text = f'[host."{registry.url}".header]\nx-own = "secret"\n'
        hosts(registry.host, f'server = "{registry.url}"\n{text}')

        assert cli("pull", "-q", f"{registry.host}/app:1").code == 0

    assert home.store.blobs.has(digest)
    assert storage.requests
    assert not {"Authorization", "X-Own"} & {
        name for each in storage.requests for name in each.headers
    }


def test_a_layer_that_its_maker_changed(cli, registry, storage):
    """M12: the digest is checked as that of any other blob."""
    storage.add_blob("layers", NOISE)
    storage.fault("blobs", wrong_bytes)
    digest = storage.add_blob("layers", NOISE).digest
    foreign(registry, NOISE, f"{storage.url}/v2/layers/blobs/{digest}")

    pulled = cli("pull", "-q", f"{registry.host}/app:1")

    assert pulled.code == 4
    assert "wrong digest" in pulled.err


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "https://169.254.169.254/x",
        "https://127.0.0.1:{port}/x",
        "http://{storage}/x",
    ],
    ids=["M12-file", "M12-T07-cloud", "M12-T07-this-machine", "M12-T07-without-tls"],
)
def test_layers_are_not_looked_for_everywhere(environment, cli, tmp_path, storage, url):
    """A document leads neither to this machine nor to its link, nor away from TLS."""
    authority, registry = secure("r.example")
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with registry, resolving({"r.example": ["127.0.0.1"]}):
        foreign(registry, NOISE, url.format(port=port_of(storage), storage=storage.host))
        name = f"r.example:{port_of(registry)}/app:1"

        pulled = cli("pull", "--ca", tmp_path / "ca.pem", name)

    assert pulled.code == 5
    assert "refused the address of blob" in pulled.err
    assert storage.connections == 0


def test_tls_that_ends_without_a_word(environment, cli, tmp_path):
    """D12: a connection that ends without close_notify has broken off; the rest is asked for."""
    authority, registry = secure("127.0.0.1")
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with registry:
        blob = registry.add_image("app", "1", [NOISE], compression="").layers[0]
        registry.fault(blob.digest.hex, cut(1 << 20), times=3)

        pulled = cli("pull", "-q", "--ca", tmp_path / "ca.pem", f"{registry.host}/app:1")

        assert pulled.code == 0, pulled.err
        assert sent(registry, blob) <= blob.size + 3 * (64 << 10)


# -- mirrors ----------------------------------------------------------------------------------------


def test_a_mirror_that_cannot_be_reached(hosts, cli):
    """L07: it costs one time limit, not one for each blob, and the image comes from the registry."""
    with TestRegistry() as empty, TestRegistry() as origin, full_host() as silent:
        origin.add_image("app", "1", LAYERS)
        gone = f'[host."http://m.example:{silent.rpartition(":")[2]}"]\ndial_timeout = "300ms"\n'
        hosts(origin.host, f'server = "{origin.url}"\n{gone}[host."{empty.url}"]\n')

        with resolving({"m.example": ["127.0.0.1"]}) as asked:
            pulled = cli("pull", "-q", f"{origin.host}/app:1")

        assert pulled.code == 0
        assert asked == ["m.example"]
        assert len(empty.requests) == len(origin.requests) == 4


def test_a_mirror_that_does_not_know_head(hosts, cli, registry):
    """M06, L07: it says nothing to the HEAD of a second pull, and is asked on all the same."""
    with TestRegistry() as mirror:
        for each in (mirror, registry):
            each.add_image("app", "1", LAYERS)
        hosts(registry.host, f'server = "{registry.url}"\n[host."{mirror.url}"]\n')
        name = f"{registry.host}/app:1"
        assert cli("pull", "-q", name).code == 0
        mirror.fault(
            "",
            lambda request, serve: (status(405) if request.method == "HEAD" else as_it_is)(
                request, serve
            ),
        )
        registry.fault("", status(405))
        for each in (mirror, registry):
            each.requests.clear()

        assert cli("pull", "-q", name).code == 0

        assert [each.method for each in mirror.requests] == ["HEAD", "GET"]
        assert registry.requests == []


def as_it_is(request, serve):
    """No fault."""
    return serve(request)


def test_a_pull_goes_on_the_next_day(hosts, home, layerkit_command):
    """K18: with an old token, after a kill, from another mirror: only what is missing is fetched."""
    with TestRegistry("bearer") as one, TestRegistry("bearer") as two, TestRegistry() as origin:
        for each in (one, two, origin):
            blob = each.add_image("app", "1", [NOISE], compression="").layers[0]
        mirrors = [f'[host."{each.url}"]\n' for each in (one, two)]
        one.fault(blob.digest.hex, stall(4 << 20))
        hosts(origin.host, f'server = "{origin.url}"\n{"".join(mirrors)}')
        with pulling(layerkit_command, f"{origin.host}/app:1") as process:
            until(lambda: home.store.blobs.arrived(blob.digest, blob.size) >= 3 << 20)
            process.kill()
        one.forget_tokens()
        kept = home.store.blobs.arrived(blob.digest, blob.size)

        hosts(origin.host, f'server = "{origin.url}"\n{"".join(mirrors[::-1])}')
        with pulling(layerkit_command, f"{origin.host}/app:1") as process:
            assert process.wait() == 0, process.stderr.read()

        assert sent(two, blob) == blob.size - kept
        assert sent(one, blob) <= 4 << 20
        assert stores.faults(home.store.root) == []


@pytest.mark.debian(PROGRAM)
def test_a_cold_proxy_of_debian(layerkit_command, registry, tmp_path):
    """D04: it ignores ranges while it has not all; each pull asks it for a blob once, not in pieces."""
    blob = registry.add_image("app", "1", [NOISE], compression="").layers[0]
    roots = [tmp_path / "one", tmp_path / "two"]

    with debian_registry(
        tmp_path / "proxy", auth=f"proxy:\n  remoteurl: {registry.url}\n"
    ) as proxy:
        commands = [[*layerkit_command, "--root", str(root)] for root in roots]
        with (
            pulling(commands[0], f"{proxy.host}/app:1") as one,
            pulling(commands[1], f"{proxy.host}/app:1") as two,
        ):
            assert (one.wait(), two.wait()) == (0, 0)

    assert [fault for root in roots for fault in stores.faults(root)] == []
    assert sent(registry, blob) <= 3 * blob.size  # the proxy fetches it for itself as well


# -- kills and losses --------------------------------------------------------------------------------


def test_what_a_power_loss_zeroed_is_fetched_again(home, registry, cli):
    """K05: an extent that the journal has and the disk has not is asked for, and no other one."""
    blob = registry.add_image("app", "1", [NOISE], compression="").layers[0]
    registry.fault(blob.digest.hex, cut(4 << 20), times=1)
    registry.fault(blob.digest.hex, status(410))
    assert cli("pull", f"{registry.host}/app:1").code == 5
    kept = home.store.blobs.arrived(blob.digest, blob.size)
    folder = home.store.root / f"ingest/sha256-{blob.digest.hex}"
    recorded = (folder / "journal").read_bytes()
    _, lost, *_ = journal.parse(recorded, blob.digest, blob.size)
    with (folder / "data").open("r+b") as data:
        data.seek(lost.offset)
        data.write(bytes(lost.size))
    registry._faults.clear()
    registry.requests.clear()

    assert cli("pull", "-q", f"{registry.host}/app:1").code == 0

    asked = sorted(each.range for each in registry.requests if blob.digest.hex in each.path)
    end = lost.offset + lost.size - 1
    assert asked == [f"bytes={lost.offset}-{end}", f"bytes={kept}-{blob.size - 1}"]
    assert sent(registry, blob) == blob.size - kept + lost.size


def test_who_waits_for_a_blob_may_leave(home, registry, layerkit_command):
    """K09: Ctrl-C of the second process ends it, and does the first one no harm."""
    blob = registry.add_image("app", "1", [NOISE], compression="").layers[0]
    rest = threading.Event()
    registry.fault(blob.digest.hex, held(2 << 20, rest))
    name = f"{registry.host}/app:1"
    command = [*layerkit_command, "--progress", "json"]
    with pulling(layerkit_command, name) as owner:
        until(lambda: home.store.blobs.arrived(blob.digest, blob.size) >= 1 << 20)
        with subprocess.Popen(
            [*command, "pull", name], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE
        ) as waiter:
            assert any(b'"done"' in line for line in waiter.stderr)  # it shows how far the other is
            waiter.send_signal(signal.SIGINT)
            waiter.stderr.read()
            assert waiter.wait() == 130
        assert owner.poll() is None
        rest.set()
        assert owner.wait() == 0, owner.stderr.read()

    assert stores.faults(home.store.root) == []
    assert stores.partials(home.store.root) == []


# -- large and many -----------------------------------------------------------------------------------


def test_many_small_layers(cli, registry):
    """D31: connections are used again, so 300 layers need no more than a large one."""
    layers = [tars.archive(tars.file(f"f{number}", "x" * 1024)) for number in range(300)]
    registry.add_image("app", "1", layers)

    assert cli("pull", "-q", f"{registry.host}/app:1").code == 0

    assert len(registry.requests) == 302
    assert registry.connections <= Limits().per_host + 1


PEAK = """
import sys
from layerkit.cli import main
code = main(sys.argv[1:])
with open("/proc/self/status") as status:
    print(next(line for line in status if line.startswith("VmHWM:")).split()[1])
sys.exit(code)
"""


def test_memory_does_not_grow_with_a_blob(registry, environment):
    """D32: a pull holds pieces of a blob, never all of it."""
    large = 192 << 20
    registry.add_image("app", "1", [tars.archive(tars.file("f", bytes(large)))], compression="")

    done = subprocess.run(
        [sys.executable, "-c", PEAK, "pull", "-q", f"{registry.host}/app:1"],
        check=True,
        stdout=subprocess.PIPE,
    )

    assert int(done.stdout.split()[-1]) << 10 < large * 2 // 3


# -- proxies -----------------------------------------------------------------------------------------


@pytest.fixture
def far(environment, tmp_path):
    """A registry with TLS and a name that only a proxy knows; the name has its port."""
    authority, registry = secure("r.example")
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with registry:
        registry.add_image("app", "1", LAYERS)
        yield registry, f"r.example:{port_of(registry)}"


def test_a_registry_behind_a_proxy(cli, monkeypatch, tmp_path, far):
    """T13: it is asked through a tunnel; the proxy's password reaches nobody but the proxy."""
    registry, name = far
    with Proxy("me:pass%word", {name: ("127.0.0.1", port_of(registry))}) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:pass%25word@{proxy.host}")
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")

        pulled = cli("--debug", "pull", "--ca", tmp_path / "ca.pem", f"{name}/app:1")

        assert pulled.code == 0, pulled.err
        assert {(each.method, each.target) for each in proxy.log} == {("CONNECT", name)}
        assert {each.password for each in proxy.log} == {"me:pass%word"}
    assert not any("Proxy-Authorization" in each.headers for each in registry.requests)
    assert "pass%" not in pulled.out + pulled.err


def test_a_proxy_that_knows_us_not(cli, monkeypatch, tmp_path, far):
    """T13: a wrong password is told as the proxy's refusal, and does not show."""
    registry, name = far
    with Proxy("me:right", {name: ("127.0.0.1", port_of(registry))}) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:wrong-secret@{proxy.host}")

        pulled = cli("--debug", "pull", "--ca", tmp_path / "ca.pem", f"{name}/app:1")

    assert pulled.code == 5
    assert "through the proxy): tunnel connection failed: 407" in pulled.err
    assert "wrong-secret" not in pulled.err
    assert registry.requests == []


def test_plain_http_behind_a_proxy(cli, monkeypatch, hosts, registry):
    """T13: without TLS the proxy gets the whole URL, and keeps its password from the registry."""
    registry.add_image("app", "1", LAYERS)
    name = f"r.example:{port_of(registry)}"
    hosts(name, f'server = "http://{name}"\n')
    with Proxy("me:secret-word", {name: ("127.0.0.1", port_of(registry))}) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)

        assert cli("pull", "-q", f"{name}/app:1").code == 0

        assert proxy.log[0].target == f"http://{name}/v2/app/manifests/1"
    assert len(registry.requests) == 4


@pytest.mark.parametrize(
    "listed", ["r.example", ".example", "r.example:{port}", "*", "10.0.0.0/8, r.example"]
)
def test_a_registry_that_needs_no_proxy(cli, monkeypatch, tmp_path, far, listed):
    """T13: what NO_PROXY lists is asked directly."""
    registry, name = far
    with Proxy("me:secret", {}) as proxy, resolving({"r.example": ["127.0.0.1"]}):
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", listed.format(port=port_of(registry)))

        assert cli("pull", "-q", "--ca", tmp_path / "ca.pem", f"{name}/app:1").code == 0

        assert proxy.log == []


def test_this_machine_needs_no_proxy(cli, monkeypatch, registry):
    """T13: loopback is never asked through one, whatever the environment says."""
    registry.add_image("app", "1", LAYERS)
    with Proxy("me:secret", {}) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)

        assert cli("pull", "-q", f"{registry.host}/app:1").code == 0
        assert cli("pull", "-q", f"localhost:{port_of(registry)}/app:1").code == 0

        assert proxy.log == []


# -- hostile servers ----------------------------------------------------------------------------------


@pytest.mark.parametrize("part", ["manifests", "blobs"])
@pytest.mark.parametrize("head", HOSTILE_HEADS, ids=lambda name: f"S01-{name.replace(' ', '-')}")
def test_an_answer_that_is_none(cli, registry, home, head, part):
    """It is one clear line, whichever request gets it; nothing of it is kept."""
    registry.add_image("app", "1", LAYERS)
    registry.fault(part, HOSTILE_HEADS[head])

    pulled = cli("pull", "-q", f"{registry.host}/app:1")

    assert pulled.code in (4, 5)
    (line,) = pulled.err.splitlines()
    assert registry.host in line or "invalid manifest: not JSON" in line
    assert len(line) < 400
    assert home.store.database.images() == []
    assert stores.faults(home.store.root) == []


NASTY = "\x1b[2J\x1b]0;title\x07 \u202egpj.exe\u2066 \x9b31m red \x00\r\nfake: line"


def test_texts_cannot_change_the_terminal(cli, registry):
    """S03: what servers and images say is shown without escapes, marks of direction and new lines."""
    said = json.dumps({"errors": [{"code": "DENIED", "message": NASTY}]})
    registry.fault("/other/", status(403, said))
    warning = {"Warning": '299 - "\x1b[31mold\x9b"'}
    registry.fault("/tags/", status(200, json.dumps({"name": "app", "tags": ["1"]}), **warning))
    image = registry.add_image(
        "app",
        "1",
        LAYERS,
        {"author": NASTY, "config": {"Labels": {"title": NASTY}, "Cmd": [NASTY]}},
    )

    shown = [
        cli("pull", f"{registry.host}/other:1"),
        cli("tags", f"{registry.host}/app"),
        cli("inspect", "--remote", f"{registry.host}/app:1"),
        cli("pull", f"{registry.host}/app:1"),
        cli("history", "--no-trunc", f"{registry.host}/app:1"),
        cli("inspect", f"{registry.host}/app:1"),
        cli("images"),
    ]

    assert image.descriptor.digest.hex in shown[3].out
    assert "DENIED" in shown[0].err
    assert "old" in shown[1].err
    for outcome in shown:
        text = outcome.out + outcome.err
        assert not [sign for sign in text if sign != "\n" and not sign.isprintable()], text
