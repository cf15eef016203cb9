"""An index that was pulled is what other tools get of it, by the same digest as upstream."""

from __future__ import annotations

import json
import random
import subprocess
import urllib.request

import pytest
from support import stores, tars
from support.debian_registry import PROGRAM, debian_registry
from support.registry import TestRegistry
from support.serving import program

from layerkit import digest as digests
from layerkit import oci

NOISE = random.Random(4)
BASE = tars.archive(tars.file("base", NOISE.randbytes(20_000)))
TOPS = {text: tars.archive(tars.file("top", NOISE.randbytes(3_000))) for text in ("amd64", "arm64")}
TYPES = ", ".join((*oci.INDEX_TYPES, *oci.MANIFEST_TYPES))


@pytest.fixture(params=[False, True], ids=["OCI", "docker"])
def upstream(request):
    """A registry with `app:1`, an index of two images."""
    with TestRegistry() as registry:
        registry.images = {
            text: registry.add_image(
                "app", None, [BASE, top], {"architecture": text}, docker=request.param
            )
            for text, top in TOPS.items()
        }
        registry.index = registry.add_index(
            "app",
            "1",
            {f"linux/{text}": each.descriptor for text, each in registry.images.items()},
            docker=request.param,
        )
        yield registry


@pytest.fixture
def pulled(upstream, cli):
    """Pulls `app:1` for some platforms, and gives it the name `app:1` here, too."""

    def pull(*texts):
        name = f"{upstream.host}/app:1"
        for text in texts:
            outcome = cli("pull", "--platform", f"linux/{text}", name)
            assert outcome.code == 0, outcome.err
            assert f"Digest: {upstream.index.digest}\n" in outcome.out
        assert cli("tag", name, "app:1").code == 0

    return pull


@pytest.fixture
def served(pulled, layerkit_command, tmp_path):
    """Where `app` is served of which the amd64 image was pulled."""
    pulled("amd64")
    with program(layerkit_command, errors=tmp_path / "err") as (_, address):
        yield f"{address}/library/app"


def run(*command):
    """What a tool prints."""
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
    return done.stdout


def head(served, reference, accept=TYPES):
    """Type and digest in the answer to a HEAD."""
    place, _, repository = served.partition("/")
    url = f"http://{place}/v2/{repository}/manifests/{reference}"
    request = urllib.request.Request(url, method="HEAD", headers={"Accept": accept})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=30) as answer:
        return answer.headers["Content-Type"], answer.headers["Docker-Content-Digest"]


def test_a_second_pull_asks_by_head_alone(upstream, pulled, cli):
    """M15: by tag and by the index's digest; docker's words say that nothing changed."""
    pulled("amd64")
    upstream.requests.clear()

    for name in (f"{upstream.host}/app:1", f"{upstream.host}/app@{upstream.index.digest}"):
        outcome = cli("pull", "--platform", "linux/amd64", name)
        assert outcome.code == 0
        assert f"Status: Image is up to date for {name}\n" in outcome.out

    assert {(each.method, "/manifests/" in each.path) for each in upstream.requests} == {
        ("HEAD", True)
    }


def test_what_docker_shows(upstream, pulled, cli):
    """The digest of the index, in `images --digests` and `inspect`; `rmi` leaves nothing."""
    pulled("amd64")
    name = f"{upstream.host}/app:1"
    digest = str(upstream.index.digest)

    assert digest in cli("images", "--digests", f"{upstream.host}/app").out
    (shown,) = json.loads(cli("inspect", name).out)
    assert f"{upstream.host}/app@{digest}" in shown["RepoDigests"]
    assert cli("rmi", name, "app:1").code == 0


def test_rmi_leaves_nothing(pulled, upstream, cli, state_root):
    """Neither index nor manifest, also when two platforms were pulled."""
    pulled("amd64", "arm64")

    ids = set(cli("images", "-a", "-q", "--no-trunc").out.split())
    assert cli("rmi", "-f", *ids).code == 0

    assert list((state_root / "blobs/sha256").iterdir()) == []
    assert stores.faults(state_root) == []


def test_a_tag_has_the_digest_of_upstream(upstream, served):
    """HEAD says it; who takes manifests alone gets the one that is here."""
    image = upstream.images["amd64"].descriptor

    assert head(served, "1") == (upstream.index.media_type, str(upstream.index.digest))
    assert head(served, "1", "*/*")[1] == str(upstream.index.digest)
    assert head(served, upstream.index.digest)[0] == upstream.index.media_type
    assert head(served, "1", image.media_type) == (image.media_type, str(image.digest))
    with pytest.raises(urllib.error.HTTPError, match="404"):
        head(served, upstream.images["arm64"].descriptor.digest)


@pytest.mark.debian("skopeo")
def test_skopeo_gets_the_index(upstream, served, tmp_path):
    """Its raw manifest is the index of upstream, and our platform's image comes whole."""
    options = ("--override-os=linux", "--override-arch=amd64")
    found = run("skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{served}:1")
    about = run("skopeo", *options, "inspect", "--tls-verify=false", f"docker://{served}:1")
    copy = ("skopeo", "--insecure-policy", *options, "copy", "-q", "--src-tls-verify=false")
    run(*copy, f"docker://{served}:1", f"oci:{tmp_path}/copy:1")

    image = upstream.images["amd64"]
    assert digests.of_bytes(found) == upstream.index.digest
    assert json.loads(about)["Digest"] == str(upstream.index.digest)
    here = {path.name for path in (tmp_path / "copy/blobs/sha256").iterdir()}
    assert here >= {each.digest.hex for each in image.layers}


@pytest.mark.root
@pytest.mark.debian("buildah")
def test_buildah_pulls_our_platform(upstream, served, tmp_path):
    """Through the index, to the image whose id is the digest of the config."""
    place = ("--root", f"{tmp_path}/storage", "--runroot", f"{tmp_path}/run")
    pull = ("pull", "-q", "--tls-verify=false", "--arch=amd64", f"{served}:1")

    found = run("buildah", *place, "--storage-driver", "vfs", *pull)

    assert found.decode().strip() == upstream.images["amd64"].config.digest.hex


def test_layerkit_pulls_through_the_index(upstream, served, cli, tmp_path):
    """A second state directory has the index, too; another platform is not there."""
    second = tmp_path / "second"
    for text, code in (("arm64", 3), ("amd64", 0)):
        outcome = cli("--root", second, "pull", "--platform", f"linux/{text}", f"{served}:1")
        assert outcome.code == code, outcome.err

    assert f"Digest: {upstream.index.digest}\n" in outcome.out
    assert (second / "blobs/sha256" / upstream.index.digest.hex).exists()
    assert stores.faults(second) == []


@pytest.mark.debian(PROGRAM, "skopeo")
@pytest.mark.timeout(300)
def test_a_real_registry_takes_the_index(upstream, pulled, cli, tmp_path):
    """M15: pushed when all is here, it has its digest there, and a pull from there asks by HEAD."""
    pulled("arm64", "amd64")
    with debian_registry(tmp_path / "registry") as registry:
        name = f"{registry.host}/team/app:1"
        cli("tag", "app:1", name)
        pushed = cli("push", name)
        raw = run("skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{name}")
        copy = ("skopeo", "--insecure-policy", "copy", "--all", "-q", "--src-tls-verify=false")
        run(*copy, f"docker://{name}", f"oci:{tmp_path}/copy:1")
        again = cli("pull", "--platform", "linux/amd64", name)
        log = registry.log.read_text()

    index = upstream.index
    assert pushed.code == 0, pushed.err
    assert pushed.out.splitlines()[-1] == f"1: digest: {index.digest} size: {index.size}"
    assert "was pushed with all 2 images that it lists" in pushed.err
    assert digests.of_bytes(raw) == index.digest
    assert f"Status: Image is up to date for {name}\n" in again.out
    asked = [line for line in log.splitlines() if "layerkit" in line and "manifests/1" in line]
    assert not any("http.request.method=GET" in line for line in asked)


@pytest.mark.debian(PROGRAM, "skopeo")
@pytest.mark.timeout(300)
def test_a_real_registry_gets_the_image_of_an_index_with_holes(upstream, pulled, cli, tmp_path):
    """As from docker; a note says that it was not the index."""
    pulled("amd64")
    with debian_registry(tmp_path / "registry") as registry:
        name = f"{registry.host}/team/app:1"
        cli("tag", "app:1", name)
        pushed = cli("push", name)
        raw = run("skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{name}")

    assert raw == upstream.images["amd64"].raw
    assert "note: only the image for linux/amd64 was pushed" in pushed.err


@pytest.mark.parametrize("upstream", [False], indirect=True, ids=["OCI"])
@pytest.mark.debian("skopeo")
def test_skopeo_reads_a_saved_index(upstream, pulled, cli, tmp_path):
    """With the images of all platforms; a load elsewhere gives the name the digest of upstream."""
    pulled("amd64", "arm64")
    path = tmp_path / "saved.tar"
    assert cli("save", "-o", path, "app:1").code == 0

    name = "docker.io/library/app:1"
    copy = ("skopeo", "--insecure-policy", "copy", "--all", "-q")
    run(*copy, f"oci-archive:{path}:{name}", f"dir:{tmp_path}/copy")
    loaded = cli("--root", tmp_path / "second", "load", "-i", path)
    shown = cli("--root", tmp_path / "second", "images", "--digests", "--format", "{{.Digest}}")

    assert digests.of_bytes((tmp_path / "copy/manifest.json").read_bytes()) == upstream.index.digest
    assert loaded.code == 0, loaded.err
    assert shown.out == f"{upstream.index.digest}\n"


@pytest.mark.parametrize("upstream", [False], indirect=True, ids=["OCI"])
@pytest.mark.debian("skopeo", "umoci")
def test_the_store_stays_an_image_layout(upstream, pulled, state_root):
    """Its index.json is about manifests that are here whole, so that others can copy each of them."""
    pulled("amd64", "arm64")

    shown = json.loads(run("skopeo", "inspect", f"oci:{state_root}:docker.io/library/app:1"))
    assert shown["Digest"] == str(upstream.images["arm64"].descriptor.digest)
    assert "docker.io/library/app:1" in run("umoci", "ls", "--layout", str(state_root)).decode()
