"""Of several configurations the right one has the word, and none is read before it is wanted."""

from pathlib import Path

import pytest

from layerkit import reference
from layerkit.errors import UsageError
from layerkit.registry import Files, Places, configured, settings

CONTAINERD = Path("/etc/containerd/certs.d")
DOCKER = Path("/etc/docker/certs.d")
CONF = Path("/etc/containers/registries.conf")
DAEMON = Path("/etc/docker/daemon.json")
PLACES = Places((CONTAINERD, DOCKER), Files((CONF,)), (DAEMON,))
CA = Path("/home/ca.pem")

HOSTS = '[host."https://hosts.io"]'
REGISTRIES = '[[registry]]\nlocation="{}"\n[[registry.mirror]]\nlocation="conf.io"'
DAEMON_JSON = '{"registry-mirrors": ["https://daemon.io"], "insecure-registries": ["r.io"]}'


def first(name, places=PLACES):
    """Who is asked first for an image."""
    return configured(places)(reference.parse(name))[0].registry


def test_nothing_configured_is_the_registry_itself(fs):
    """As if there were no configuration at all."""
    (found,) = configured(PLACES)(reference.parse("centos"))

    assert (found.base, found.is_origin) == ("https://registry-1.docker.io/v2", True)


@pytest.mark.parametrize("name", ["centos", "r.io/a"])
def test_the_order_of_configurations(fs, name):
    """The registry's own hosts.toml, registries.conf, daemon.json, hosts.toml for all."""
    registry = reference.parse(name).registry
    itself = reference.parse(name).host
    steps = [itself]
    fs.create_file(CONTAINERD / "_default/hosts.toml", contents=HOSTS)
    steps.append(first(name))
    fs.create_file(DAEMON, contents=DAEMON_JSON)
    steps.append(first(name))
    fs.create_file(CONF, contents=REGISTRIES.format(registry))
    steps.append(first(name))
    fs.create_file(DOCKER / registry / "hosts.toml", contents=HOSTS.replace("hosts", "own"))
    steps.append(first(name))

    daemon = "daemon.io" if name == "centos" else itself
    assert steps == [itself, "hosts.io", daemon, "conf.io", "own.io"]


@pytest.mark.parametrize(
    ("directory", "name"),
    [
        pytest.param("r.io", "r.io/a", id="C13-host"),
        pytest.param("r.io:5000", "r.io:5000/a", id="C13-port"),
        pytest.param("r.io_5000_", "r.io:5000/a", id="C13-port-of-containerd"),
        pytest.param("_default", "r.io:5000/a", id="C13-default"),
        pytest.param("[::1]:5000", "[::1]:5000/a", id="R07-IPv6"),
        pytest.param("docker.io", "centos", id="C13-Hub"),
    ],
)
@pytest.mark.parametrize("folder", [CONTAINERD, DOCKER])
def test_hosts_toml_is_found_by_the_registry(fs, folder, directory, name):
    """A directory of the registry's name, in any of the folders."""
    fs.create_file(folder / directory / "hosts.toml", contents=HOSTS)

    assert first(name) == "hosts.io"


@pytest.mark.parametrize("directory", ["r.io", "r.io:5001", "x.r.io:5000", "default"])
def test_hosts_toml_is_not_for_another_registry(fs, directory):
    """Name and port have to be equal."""
    fs.create_file(CONTAINERD / directory / "hosts.toml", contents=HOSTS)

    assert first("r.io:5000/a") == "r.io:5000"


def test_blocked_is_blocked(fs):
    """C11: a registry that registries.conf blocks is refused, whoever else has the word."""
    fs.create_file(
        CONF, contents=REGISTRIES.format("r.io").replace("[[registry.", "blocked=true\n[[registry.")
    )
    fs.create_file(CONTAINERD / "r.io/hosts.toml", contents=HOSTS)

    with pytest.raises(UsageError, match=f"is blocked: {CONF} blocks r.io"):
        first("r.io/a")


def test_certificates_are_found_for_mirrors_too(fs):
    """T09: each host of registries.conf has the certificates in a directory of its name."""
    fs.create_file(CONF, contents=REGISTRIES.format("r.io"))
    fs.create_file(DOCKER / "conf.io/ca.crt")
    fs.create_file(CONTAINERD / "r.io/own.crt")

    found = configured(PLACES)(reference.parse("r.io/a"))

    assert [each.tls.authorities for each in found] == [
        (DOCKER / "conf.io/ca.crt",),
        (CONTAINERD / "r.io/own.crt",),
    ]


def test_certificates_mean_tls_on_this_machine_too(fs):
    """R07, T09: a registry on loopback with an authority of its own speaks TLS."""
    fs.create_file(DOCKER / "[::1]:5000/ca.crt")

    (found,) = configured(PLACES)(reference.parse("[::1]:5000/a"))

    assert (found.base, len(found.tls.authorities)) == ("https://[::1]:5000/v2", 1)


@pytest.mark.parametrize("name", ["r.io/a", "hosts.io/a", "localhost:5000/a"])
def test_authorities_of_the_caller_are_trusted_everywhere(fs, name):
    """T09: what is given for one command counts for mirrors and registries, beside what is found."""
    fs.create_file(CONTAINERD / "r.io/hosts.toml", contents=f'{HOSTS}\nca = "own.crt"')
    fs.create_file(DOCKER / "hosts.io/ca.crt")

    found = configured(Places(PLACES.certs, authorities=(CA,)))(reference.parse(name))

    assert all(each.tls.authorities[0] == CA for each in found)
    assert all(each.base.startswith("https:") for each in found)


@pytest.fixture
def reads(monkeypatch):
    """The files that were looked for."""
    seen = []
    for reader in ("read_toml", "read_json"):
        read = getattr(settings, reader)
        monkeypatch.setattr(settings, reader, lambda path, r=read: (seen.append(path), r(path))[1])
    return seen


def test_files_are_read_when_they_are_wanted(fs, reads):
    """Nothing is read beforehand, only what is for the host, and nothing twice."""
    fs.create_file(CONTAINERD / "r.io/hosts.toml", contents=HOSTS)
    fs.create_file(CONTAINERD / "other.io/hosts.toml", contents="broken = = ")
    lookup = configured(PLACES)
    assert reads == []

    for _ in range(2):
        lookup(reference.parse("r.io/a"))

    assert reads == [CONF, CONTAINERD / "r.io/hosts.toml"]


def test_general_files_are_read_once(fs, reads):
    """What is for all registries is kept."""
    lookup = configured(PLACES)
    for name in ("r.io/a", "s.io/a"):
        lookup(reference.parse(name))

    assert [reads.count(path) for path in (CONF, DAEMON)] == [1, 1]
