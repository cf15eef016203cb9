"""Pulls through mirrors and over TLS, as the files that users already have configure them."""

from __future__ import annotations

import shutil
import ssl

import pytest
import trustme
from support import tars
from support.faults import hang_up, status
from support.registry import TestRegistry
from support.uploads import only

LAYERS = [tars.archive(tars.file("a", "A" * 600)), tars.archive(tars.file("b", "B"))]


@pytest.fixture
def folder(environment, tmp_path, monkeypatch):
    """The user's folder of configuration."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "config").mkdir()
    return tmp_path / "config"


@pytest.fixture
def hosts(folder):
    """Writes containerd's `hosts.toml` for a registry."""

    def write(registry, text):
        path = folder / "containerd/certs.d" / registry / "hosts.toml"
        path.parent.mkdir(parents=True)
        path.write_text(text)

    return write


def test_a_mirror_of_the_hub(hosts, cli):
    """C13: what docker prints, and the mirror is told for whom it is asked."""
    with TestRegistry() as mirror:
        added = mirror.add_image("library/centos", "7", LAYERS)
        hosts("docker.io", f'server = "{mirror.url}"\n[host."{mirror.url}"]\n')

        pulled = cli("pull", "centos:7")

        assert (pulled.code, pulled.err.count("warning")) == (0, 0)
        lines = pulled.out.splitlines()
        assert lines[0] == "7: Pulling from library/centos"
        assert sorted(lines[1:3]) == sorted(
            f"{layer.digest.short}: Pull complete" for layer in added.layers
        )
        assert lines[3:] == [
            f"Digest: {added.descriptor.digest}",
            "Status: Downloaded newer image for centos:7",
            "docker.io/library/centos:7",
        ]
        assert {request.query for request in mirror.requests} == {"ns=docker.io"}


def test_a_mirror_without_head(hosts, cli):
    """M15: it is asked whether a name is unchanged, and not left out when it knows no HEAD."""
    with TestRegistry() as mirror, TestRegistry() as origin:
        for registry in (mirror, origin):
            registry.add_image("app", "1", LAYERS)
        hosts(origin.host, f'server = "{origin.url}"\n[host."{mirror.url}"]\n')
        name = f"{origin.host}/app:1"
        assert cli("pull", name).code == 0
        mirror.requests.clear()

        assert "up to date" in cli("pull", name).out
        mirror.fault("/manifests/", only("HEAD", status(405)))
        assert "up to date" in cli("pull", name).out

        assert [each.method for each in mirror.requests] == ["HEAD", "HEAD", "GET"]
        assert origin.requests == []


def test_mirrors_one_after_another(hosts, cli):
    """L07: a silent mirror is asked once, one without the image each time, the registry last."""
    with TestRegistry() as silent, TestRegistry() as empty, TestRegistry() as origin:
        origin.add_image("app", "1", LAYERS)
        silent.fault("", hang_up)
        text = f'[host."{silent.url}"]\n[host."{empty.url}"]\n'
        hosts(origin.host, f'server = "{origin.url}"\n{text}')

        pulled = cli("pull", "-q", f"{origin.host}/app:1")

        assert (pulled.code, pulled.out) == (0, f"{origin.host}/app:1\n")
        assert len(silent.requests) == 1
        assert f"a mirror is left out: cannot reach registry {silent.host}" in pulled.err
        assert len(empty.requests) == len(origin.requests) == 4


def test_a_mirror_may_not_say_what_a_tag_means(hosts, cli):
    """C13: one that may only be pulled from is not asked for tags; its headers are its own."""
    with TestRegistry() as mirror, TestRegistry() as origin:
        for registry in (mirror, origin):
            registry.add_image("app", "1", LAYERS)
        host = f'[host."{mirror.url}"]\ncapabilities = ["pull"]\n'
        header = f'[host."{mirror.url}".header]\nx-key = "secret"\n'
        hosts(origin.host, f'server = "{origin.url}"\n{host}{header}')

        assert cli("pull", "-q", f"{origin.host}/app:1").code == 0

        assert [each.path.split("/")[-1] for each in origin.requests] == ["1"]
        assert len(mirror.requests) == 3
        assert {each.headers.get("X-Key") for each in mirror.requests} == {"secret"}
        assert {each.headers.get("X-Key") for each in origin.requests} == {None}


def test_what_the_registry_says_counts(hosts, cli):
    """L07: when nobody has the image, the error is that of the registry itself."""
    with TestRegistry() as mirror, TestRegistry() as origin:
        mirror.fault("", status(503))
        hosts(origin.host, f'server = "{origin.url}"\n[host."{mirror.url}"]\n')

        pulled = cli("pull", f"{origin.host}/app:1")

        assert pulled.code == 3
        told, error = pulled.err.splitlines()
        assert told.startswith(
            f"warning: a mirror is left out: registry {mirror.host} cannot serve"
        )
        assert error.startswith(f"layerkit: registry {origin.host} has no manifest")


def test_credentials_stay_with_their_registry(folder, hosts, cli, monkeypatch):
    """A02, C13: a mirror never sees the credentials of the registry."""
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))
    with TestRegistry() as mirror, TestRegistry("basic") as origin:
        origin.add_image("app", "1", LAYERS)
        (folder / "config.json").write_text(
            f'{{"auths": {{"{origin.host}": {{"auth": "dXNlcjpzZWNyZXQ="}}}}}}'
        )
        hosts(origin.host, f'server = "{origin.url}"\n[host."{mirror.url}"]\n')

        cli("pull", f"{origin.host}/app:1")

        assert any("Authorization" in each.headers for each in origin.requests)
        assert not any("Authorization" in each.headers for each in mirror.requests)


@pytest.fixture
def authority():
    """A certificate authority of our own."""
    return trustme.CA()


@pytest.fixture
def secure(authority):
    """A registry with a certificate of that authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with TestRegistry(tls=context) as registry:
        registry.add_image("app", "1", LAYERS)
        yield registry


def test_a_private_authority(secure, authority, folder, cli):
    """T09: docker's certs.d says whom to trust for one registry."""
    certificates = folder / "docker/certs.d" / secure.host
    certificates.mkdir(parents=True)
    authority.cert_pem.write_to_path(str(certificates / "ca.crt"))

    assert cli("pull", "-q", f"{secure.host}/app:1").code == 0

    shutil.rmtree(certificates)
    trustme.CA().cert_pem.write_to_path(str(folder / "other.pem"))
    (folder / "containerd/certs.d" / secure.host).mkdir(parents=True)
    (folder / "containerd/certs.d" / secure.host / "hosts.toml").write_text(
        f'server = "{secure.url}"\nca = "{folder / "other.pem"}"\n'
    )
    refused = cli("pull", f"{secure.host}/app:1")
    assert refused.code == 5
    assert refused.err.count("\n") <= 2
    assert "its certificate is not trusted" in refused.err


def test_an_authority_of_one_command(secure, authority, tmp_path, cli):
    """T09: `--ca` is trusted beside the system's, for this pull alone."""
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))

    assert cli("pull", "-q", "--ca", tmp_path / "ca.pem", f"{secure.host}/app:1").code == 0
    assert cli("pull", "-q", "--ca", tmp_path / "none.pem", f"{secure.host}/app:1").code == 2
