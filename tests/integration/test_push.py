"""What is pushed to a real registry is what others pull from it."""

from __future__ import annotations

import json
import random
import subprocess

import pytest
from support import homes, tars
from support.cutter import Cutter
from support.debian_registry import PROGRAM, debian_registry

from layerkit import digest as digests
from layerkit import oci
from layerkit.ops.home import Home

pytestmark = [pytest.mark.debian(PROGRAM, "skopeo"), pytest.mark.timeout(300)]

LAYERS = [
    tars.archive(tars.file(f"n{number}", random.Random(number).randbytes(3 << 20)))
    for number in range(3)
]
USER, PASSWORD = "somebody", "secret-of-the-test"


@pytest.fixture
def image(state_root, tmp_path):
    """An image of three layers in the state directory, by name `app:1`."""
    with Home(state_root) as home:
        return homes.load_layers(home, tmp_path / "layout", LAYERS)


@pytest.fixture
def push(cli, image):
    """Gives the image a name and pushes it."""

    def push(name, *options):
        assert cli("tag", "app:1", name).code == 0
        return cli("push", *options, name)

    return push


def inspect(name, *options):
    """What skopeo finds under a name, the bytes of its manifest."""
    command = ["skopeo", "inspect", "--raw", "--tls-verify=false", *options, f"docker://{name}"]
    return subprocess.run(command, check=True, capture_output=True).stdout


def pulled_by_skopeo(name, folder):
    """The names of the blobs in the layout that skopeo makes of an image, whose digests it checks."""
    command = ["skopeo", "--insecure-policy", "copy", "--quiet", "--src-tls-verify=false"]
    subprocess.run([*command, f"docker://{name}", f"oci:{folder}:1"], check=True)
    return {path.name for path in (folder / "blobs/sha256").iterdir()}


def uploads(registry):
    """How many uploads the registry saw begin."""
    return registry.log.read_text().count("http.request.method=POST http.request.remoteaddr")


@pytest.mark.parametrize("relative", [False, True], ids=["P02-absolute", "P02-relativeurls"])
def test_skopeo_pulls_what_was_pushed(push, image, cli, tmp_path, relative):
    """P01: the same digests arrive, in docker's words; a second push uploads nothing."""
    with debian_registry(tmp_path / "registry", relative=relative) as registry:
        name = f"{registry.host}/team/app:1"
        outcome = push(name)
        begun = uploads(registry)
        again = cli("push", name)
        unchanged = uploads(registry)
        found = pulled_by_skopeo(name, tmp_path / "pulled")
        raw = inspect(name)

    layers = [layer.blob.short for layer in image.layers]
    last = f"1: digest: {image.manifest} size: {image.manifest_size}"
    lines = outcome.out.splitlines()
    assert outcome.code == 0, outcome.err
    assert lines[0] == f"The push refers to repository [{registry.host}/team/app]"
    assert lines[1:4] == [f"{layer}: Preparing" for layer in layers]
    assert sorted(lines[4:7]) == sorted(f"{layer}: Pushed" for layer in layers)
    assert lines[7:] == [last]
    assert sorted(again.out.splitlines()[4:7]) == sorted(
        f"{layer}: Layer already exists" for layer in layers
    )
    assert begun == unchanged == 4
    assert digests.of_bytes(raw) == image.manifest
    assert found >= {each.blob.hex for each in image.layers} | {image.config.hex}


@pytest.mark.root
def test_podman_and_docker_pull_what_was_pushed(push, image, engine, tmp_path):
    """P01: the image has the same id there, and goes by the same digest."""
    with debian_registry(tmp_path / "registry") as registry:
        name = f"{registry.host}/team/app:1"
        outcome = push(name)
        found = engine.pull(name)

    assert outcome.code == 0, outcome.err
    assert found == (image.config.hex, image.manifest.hex)


def test_layers_are_mounted_from_a_neighbour(push, image, tmp_path):
    """P05: what another repository of the registry has is taken over there."""
    with debian_registry(tmp_path / "registry") as registry:
        push(f"{registry.host}/library/base:1")
        outcome = push(f"{registry.host}/team/app:2")
        found = pulled_by_skopeo(f"{registry.host}/team/app:2", tmp_path / "pulled")

    mounted = {f"{layer.blob.short}: Mounted from library/base" for layer in image.layers}
    assert mounted < set(outcome.out.splitlines())
    assert image.config.hex in found


def test_a_broken_connection_does_not_break_the_blob(push, image, tmp_path):
    """P03: this registry appends whatever comes; cut three times, the blobs are still right."""
    with (
        debian_registry(tmp_path / "registry") as registry,
        Cutter(registry.host, [1_000_000, 1_500_000, 2_000_000]) as cutter,
    ):
        outcome = push(f"{cutter.host}/app:1")
        found = pulled_by_skopeo(f"{registry.host}/app:1", tmp_path / "pulled")

    assert outcome.code == 0, outcome.err
    assert cutter.cuts_left == 0
    assert found >= {each.blob.hex for each in image.layers}


def test_a_registry_with_passwords(push, image, tmp_path, monkeypatch):
    """P06: without a login the hint says how to get one; with the right one the push goes through."""
    with debian_registry(tmp_path / "registry", users={USER: PASSWORD}) as registry:
        name = f"{registry.host}/app:1"
        refused = push(name)
        file = tmp_path / "auth.json"
        pair = subprocess.run(
            ["base64"], input=f"{USER}:{PASSWORD}".encode(), capture_output=True, check=True
        ).stdout
        file.write_text(json.dumps({"auths": {registry.host: {"auth": pair.decode().strip()}}}))
        monkeypatch.setenv("REGISTRY_AUTH_FILE", str(file))
        accepted = push(name)
        raw = inspect(name, "--creds", f"{USER}:{PASSWORD}")

    assert refused.code == 5
    assert "wants credentials" in refused.err
    assert "hint: " in refused.err
    assert accepted.code == 0, accepted.err
    assert PASSWORD not in refused.err + accepted.err + accepted.out
    assert digests.of_bytes(raw) == image.manifest


def test_a_read_only_registry_says_so(push, image, tmp_path):
    """P06: 405 is told with its likely reason, at once."""
    with debian_registry(tmp_path / "registry", read_only=True) as registry:
        outcome = push(f"{registry.host}/app:1")

    assert outcome.code == 5
    assert "status 405 (it may be read-only)" in outcome.err


def test_tags_of_a_real_registry(push, cli, tmp_path):
    """X01: all tags, sorted; one page or many; an unknown repository is not found."""
    with debian_registry(tmp_path / "registry") as registry:
        for tag in ("b", "a", "C"):
            push(f"{registry.host}/team/app:{tag}", "-q")
        listed = cli("tags", f"{registry.host}/team/app")
        missing = cli("tags", f"{registry.host}/team/none")

    assert listed.out == "C\na\nb\n"
    assert missing.code == 3
    assert "has no tags of" in missing.err


def test_all_tags_are_pushed(cli, image, tmp_path):
    """P01: -a pushes each tag of the repository that is here, and no other."""
    with debian_registry(tmp_path / "registry") as registry:
        for tag in ("2", "1"):
            cli("tag", "app:1", f"{registry.host}/app:{tag}")
        cli("tag", "app:1", f"{registry.host}/other:3")
        outcome = cli("push", "-a", "-q", f"{registry.host}/app")
        listed = cli("tags", f"{registry.host}/app")

    assert outcome.out.split() == [f"{registry.host}/app:1", f"{registry.host}/app:2"]
    assert listed.out.split() == ["1", "2"]


def test_an_image_with_a_subject_is_found_by_it(cli, state_root, tmp_path):
    """P09, X02: this registry knows no referrers, so the tag made of the digest lists them; pulled
    and pushed again, the image is listed once.
    """
    with debian_registry(tmp_path / "registry") as registry:
        subject = push_with_subject(cli, state_root, tmp_path, registry.host)
        again = cli("push", f"{registry.host}/app:signed")
        listed = cli("referrers", "--format", "json", f"{registry.host}/app:1")
        other = cli(
            "referrers", "--artifact-type", "x/y", "--format", "json", f"{registry.host}/app:1"
        )
        table = cli("referrers", f"{registry.host}/app:1")
        raw = inspect(f"{registry.host}/app:sha256-{subject.hex}")

    assert again.code == 0, again.err
    (entry,) = map(json.loads, listed.out.splitlines())
    assert entry["ArtifactType"] == oci.OCI_CONFIG
    assert entry["Digest"] == json.loads(raw)["manifests"][0]["digest"]
    assert len(json.loads(raw)["manifests"]) == 1
    assert other.out == ""
    assert table.out.splitlines()[0].split() == [
        "DIGEST", "ARTIFACT", "TYPE", "CREATED", "AT", "SIZE",
    ]  # fmt: skip


def push_with_subject(cli, state_root, tmp_path, host):
    """Push `app:1`, then `app:signed`, an image that is attached to it; the digest of the first."""
    with Home(state_root) as home:
        image = homes.load_layers(home, tmp_path / "layout", LAYERS[:1], name=f"{host}/app:1")
        raw = home.store.blobs.read(image.manifest, oci.DOCUMENT_LIMIT)
        subject = {
            "mediaType": image.media_type,
            "digest": str(image.manifest),
            "size": image.manifest_size,
        }
        document = {**json.loads(raw), "subject": subject}
        attached = json.dumps(document).encode()
        index = tmp_path / "layout/index.json"
        blob = tmp_path / "layout/blobs/sha256" / digests.of_bytes(attached).hex
        blob.write_bytes(attached)
        entry = {
            "mediaType": image.media_type,
            "digest": f"sha256:{blob.name}",
            "size": len(attached),
            "annotations": {"org.opencontainers.image.ref.name": f"{host}/app:signed"},
        }
        index.write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    assert cli("push", f"{host}/app:1").code == 0
    assert cli("load", "-i", tmp_path / "layout").code == 0
    assert cli("push", f"{host}/app:signed").code == 0
    return image.manifest


def test_an_image_is_inspected_where_it_is(push, image, cli, tmp_path):
    """`inspect --remote` shows the documents without a pull, as skopeo sees them; `--raw` their
    bytes.
    """
    with debian_registry(tmp_path / "registry") as registry:
        name = f"{registry.host}/app:1"
        push(name)
        outcome = cli("inspect", "--remote", name)
        raw = cli("inspect", "--remote", "--raw", name)
        command = ["skopeo", "inspect", "--tls-verify=false", f"docker://{name}"]
        seen = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)

    (found,) = json.loads(outcome.out)
    assert {key: found[key] for key in ("Name", "Digest", "Architecture", "Os")} == {
        key: seen[key] for key in ("Name", "Digest", "Architecture", "Os")
    }
    assert [each["Digest"] for each in found["LayersData"]] == seen["Layers"]
    assert found["Id"] == str(image.config)
    assert digests.of_bytes(raw.out.encode()) == image.manifest
