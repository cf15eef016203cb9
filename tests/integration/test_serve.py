"""What other tools, and layerkit itself, pull from `layerkit serve`."""

import json
import os
import subprocess

import pytest
from support import stores, tars
from support.registry import TestRegistry
from support.serving import program

BASE = tars.archive(tars.directory("etc"), tars.file("etc/motd", os.urandom(300_000)))
TOP = tars.archive(tars.file("etc/issue", b"x" * 2000), tars.whiteout("etc/motd"))


@pytest.fixture(params=["gzip", "zstd", ""], ids=["gzip", "zstd", "plain"])
def source(request, cli):
    """An image that layerkit has pulled as `app:1`, with its name there."""
    docker = request.param == "gzip"
    with TestRegistry() as registry:
        image = registry.add_image(
            "app", "1", [BASE, TOP], compression=request.param, docker=docker
        )
        assert cli("pull", "-q", f"{registry.host}/app:1").code == 0
    assert cli("tag", f"{registry.host}/app:1", "app:1").code == 0
    return image


@pytest.fixture
def served(source, layerkit_command, tmp_path):
    """Where the image is served."""
    with program(layerkit_command, errors=tmp_path / "err") as (_, address):
        yield f"{address}/library/app"


def run(*command):
    """What a tool prints."""
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
    return done.stdout


@pytest.mark.debian("skopeo")
def test_skopeo_finds_the_same_digests(source, served, tmp_path):
    """The manifest, by tag and digest, and every blob are those of the first registry."""
    options = ("--tls-verify=false", "--raw")
    digest = source.descriptor.digest

    assert run("skopeo", "inspect", *options, f"docker://{served}:1") == source.raw
    assert run("skopeo", "inspect", *options, f"docker://{served}@{digest}") == source.raw
    about = json.loads(run("skopeo", "inspect", "--tls-verify=false", f"docker://{served}:1"))
    assert (about["Digest"], about["RepoTags"]) == (str(digest), ["1"])
    copy = ("skopeo", "--insecure-policy", "copy", "-q", "--src-tls-verify=false")
    run(*copy, f"docker://{served}:1", f"dir:{tmp_path}/copy")
    wanted = {each.digest.hex for each in (source.config, *source.layers)}
    assert wanted < set(os.listdir(tmp_path / "copy"))


@pytest.mark.root
@pytest.mark.debian("buildah")
def test_buildah_pulls_the_same_image(source, served, tmp_path):
    """Its image id is the digest of the config."""
    place = ("--root", f"{tmp_path}/storage", "--runroot", f"{tmp_path}/run")
    pull = ("pull", "-q", "--tls-verify=false", f"{served}:1")

    found = run("buildah", *place, "--storage-driver", "vfs", *pull)

    assert found.decode().strip() == source.config.digest.hex


@pytest.mark.root
def test_podman_and_docker_pull_the_same_image(source, served, engine):
    """Its image id is the digest of the config, and it goes by the digest of the same manifest."""
    if source.layers[0].media_type.endswith("zstd") and not engine.knows_zstd:
        pytest.skip("this docker knows no zstd")

    found = engine.pull(f"{served}:1")

    assert found == (source.config.digest.hex, source.descriptor.digest.hex)


def test_layerkit_pulls_the_same_digests(source, served, cli, tmp_path):
    """A second state directory has the same manifest, config and blobs afterwards."""
    second = tmp_path / "second"

    outcome = cli("--root", second, "--progress", "none", "pull", f"{served}:1")

    assert outcome.code == 0, outcome.err
    assert f"Digest: {source.descriptor.digest}\n" in outcome.out
    wanted = {each.digest.hex for each in (source.descriptor, source.config, *source.layers)}
    assert set(os.listdir(second / "blobs/sha256")) == wanted
    assert stores.faults(second) == []
