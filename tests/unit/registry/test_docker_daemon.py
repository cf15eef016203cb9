"""docker's daemon.json."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from layerkit import reference
from layerkit.errors import UsageError
from layerkit.registry import docker_daemon
from layerkit.registry.endpoints import READ, TLS

PATH = Path("/etc/docker/daemon.json")
CENTOS = reference.parse("centos:7")


def known(host):
    """What is known about a host: an authority by its name."""
    return TLS((Path("/certs") / host,))


@pytest.fixture
def endpoints(fs):
    """The bases of the endpoints that a daemon.json with these settings has for an image."""

    def read(name, **values):
        document = {key.replace("_", "-"): value for key, value in values.items()}
        fs.create_file(PATH, contents=json.dumps(document))
        daemon = docker_daemon.load([Path("/missing.json"), PATH])
        return daemon.endpoints(reference.parse(name), known)

    return read


def test_mirrors_of_docker_hub(endpoints):
    """They come first, in their order, only to read, and never as the Hub itself."""
    found = endpoints("centos:7", registry_mirrors=["https://m.io/", "http://127.0.0.1:5000"])

    assert [(each.base, each.namespace) for each in found] == [
        ("https://m.io/v2", ""),
        ("http://127.0.0.1:5000/v2", ""),
        ("https://registry-1.docker.io/v2", ""),
    ]
    assert [each.actions for each in found[:2]] == [READ, READ]
    assert [each.is_origin for each in found] == [False, False, True]
    assert [each.tls for each in found] == [
        known("m.io"), known("127.0.0.1:5000"), known("registry-1.docker.io")
    ]  # fmt: skip


def test_mirrors_are_for_docker_hub_only(endpoints):
    """Another registry is asked as if the file said nothing."""
    assert endpoints("quay.io/a", registry_mirrors=["https://m.io"]) == []


@pytest.mark.parametrize(
    ("entry", "name"),
    [
        ("r.io:5000", "r.io:5000/a"),
        ("r.io", "r.io/a"),
        ("http://r.io/", "r.io/a"),
        ("10.1.2.3:5000", "10.1.2.3:5000/a"),
        ("10.0.0.0/8", "10.1.2.3:5000/a"),
        ("2001:db8::/32", "[2001:db8::1]:5000/a"),
    ],
)
def test_a_registry_without_a_certificate(endpoints, entry, name):
    """T12: a host with its port, or the network of an address, is asked unverified, then plain."""
    found = endpoints(name, insecure_registries=[entry])
    host = name.removesuffix("/a")

    assert [each.base for each in found] == [f"https://{host}/v2", f"http://{host}/v2"]
    assert found[0].tls == replace(known(host), verify=False)


@pytest.mark.parametrize(
    ("entry", "name"),
    [
        ("r.io:5000", "r.io/a"),
        ("r.io", "r.io:5000/a"),
        ("r.io", "x.r.io/a"),
        ("10.0.0.0/8", "11.1.2.3/a"),
        ("10.0.0.0/8", "r.io/a"),
        ("10.0.0.0/99", "10.1.2.3/a"),
        ("", "r.io/a"),
    ],
)
def test_other_registries_stay_secure(endpoints, entry, name):
    """What only looks similar is asked as if the file said nothing."""
    assert endpoints(name, insecure_registries=[entry]) == []


def test_a_mirror_without_a_certificate(endpoints):
    """A mirror may be insecure, too."""
    mirror, hub = endpoints(
        "centos", registry_mirrors=["https://m.io"], insecure_registries=["m.io"]
    )

    assert (mirror.tls.verify, hub.tls.verify) == (False, True)


def test_the_first_file_counts_alone(fs):
    """A user's docker does not read the machine's file."""
    fs.create_file(PATH, contents=json.dumps({"insecure-registries": ["r.io"]}))
    fs.create_file("/home/daemon.json", contents="{}")

    found = docker_daemon.load([Path("/home/daemon.json"), PATH])

    assert found.endpoints(reference.parse("r.io/a"), known) == []


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"registry_mirrors": [1]}, "registry-mirrors: wanted a string or a list of strings"),
        ({"registry_mirrors": ["ftp://m.io"]}, "registry-mirrors: 'ftp://m.io' is no mirror: "),
        ({"insecure_registries": {}}, "insecure-registries: wanted a string or a list"),
    ],
)
def test_a_wrong_value_is_named(endpoints, values, message):
    """The message has file and key."""
    with pytest.raises(UsageError) as caught:
        endpoints("centos", **values)

    assert str(caught.value).startswith(f"cannot use {PATH}: {message}")
