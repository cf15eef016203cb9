"""`tags`, `referrers` and `inspect --remote` show what a registry has, without a pull."""

import json

import pytest
from support import tars
from support.faults import with_headers
from support.uploads import UploadRegistry

from layerkit import digest as digests
from layerkit import oci

LAYER = tars.archive(tars.file("f", "x"))
SBOM = "application/spdx+json"


@pytest.fixture
def registry():
    """A registry with an index `app:1` of two images, and an SBOM attached to it."""
    with UploadRegistry() as registry:
        registry.has_referrers = True
        images = {
            f"linux/{name}": registry.add_image(
                "app", None, [LAYER], {"architecture": name, "author": name}
            ).descriptor
            for name in ("amd64", "arm64")
        }
        unknown = {"unknown/unknown": registry.add_manifest("app", b"{}", oci.OCI_MANIFEST)}
        index = registry.add_index("app", "1", {**images, **unknown})
        document = {
            "schemaVersion": 2,
            "artifactType": SBOM,
            "annotations": {"org.opencontainers.image.created": "2026-01-02T03:04:05Z"},
            "subject": oci.wire(index),
        }
        registry.add_manifest("app", json.dumps(document).encode(), oci.OCI_MANIFEST)
        yield registry


@pytest.fixture
def name(registry):
    """The index by its full name."""
    return f"{registry.host}/app:1"


def digest_of(registry, name):
    """The digest of what is under a tag of `app`."""
    return str(digests.of_bytes(registry.manifest("app", name)[1]))


def test_tags_are_lines(registry, cli):
    """One tag a line, sorted."""
    registry.add_image("app", "0.9", [LAYER])

    assert cli("tags", f"{registry.host}/app").out == "0.9\n1\n"


@pytest.mark.parametrize("text", ["app:1", f"app@sha256:{'0' * 64}", "localhost:5000/app:1"])
def test_tags_are_of_a_repository(cli, text):
    """A name with tag or digest is refused before anything is asked."""
    outcome = cli("tags", text)

    assert outcome.code == 2
    assert "wanted a repository" in outcome.err


def test_referrers_are_a_table(registry, cli, name):
    """Digest, type, time and size of each, in columns."""
    heading, row = cli("referrers", name).out.splitlines()

    assert heading.split() == ["DIGEST", "ARTIFACT", "TYPE", "CREATED", "AT", "SIZE"]
    assert row.split()[0].startswith("sha256:")
    assert SBOM in row


@pytest.mark.parametrize(("kind", "count"), [(SBOM, 1), ("x/y", 0)])
def test_referrers_of_one_type(cli, name, kind, count):
    """X02: the registry does not filter here, so the client does."""
    lines = cli("referrers", "--artifact-type", kind, "--format", "json", name).out.splitlines()

    assert len(lines) == count


def test_referrers_have_templates(cli, name):
    """`--format` takes fields, and refuses unknown ones."""
    assert cli("referrers", "--format", "{{.ArtifactType}} {{.MediaType}}", name).out == (
        f"{SBOM} {oci.OCI_MANIFEST}\n"
    )
    assert cli("referrers", "--format", "{{.Nothing}}", name).code == 2


@pytest.mark.parametrize("platform", ["linux/amd64", "linux/arm64"])
def test_an_index_is_inspected(registry, cli, name, platform):
    """The platforms of the index, without attestations; the rest is about the one asked for."""
    (found,) = json.loads(cli("inspect", "--remote", "--platform", platform, name).out)

    assert found["Digest"] == digest_of(registry, "1")
    assert found["MediaType"] == oci.OCI_INDEX
    assert [each["Platform"] for each in found["Platforms"]] == ["linux/amd64", "linux/arm64"]
    assert f"{found['Os']}/{found['Architecture']}" == platform
    assert found["Author"] == found["Architecture"]
    assert found["Config"]["Cmd"] == ["sh"]
    config, layer = found["Manifest"]["config"], found["Manifest"]["layers"][0]
    assert found["Id"] == config["digest"]
    assert found["Size"] == config["size"] + layer["size"]
    assert found["LayersData"] == [
        {"MIMEType": layer["mediaType"], "Digest": layer["digest"], "Size": layer["size"]}
    ]
    assert not any("/blobs/" in path and layer["digest"] in path for path in registry.paths())


def test_inspecting_keeps_nothing(cli, state_root, name):
    """No state directory is made for a look into a registry."""
    assert cli("inspect", "--remote", name).code == 0
    assert not state_root.exists()


def test_inspect_takes_a_template(cli, name):
    """`--format` prints fields of the record, also in one line of JSON."""
    assert cli("inspect", "--remote", "-f", "{{.MediaType}}", name).out == f"{oci.OCI_INDEX}\n"
    assert json.loads(cli("inspect", "--remote", "-f", "json", name).out)["Size"] > 0


def test_raw_is_byte_for_byte(registry, cli, name):
    """`--raw` prints the index, with `--platform` that one's manifest."""
    index = cli("inspect", "--remote", "--raw", name).out
    manifest = cli("inspect", "--remote", "--raw", "--platform", "linux/arm64", name).out

    assert str(digests.of_bytes(index.encode())) == digest_of(registry, "1")
    assert str(digests.of_bytes(manifest.encode())) in index


def test_the_limit_on_pulls(registry, cli, name):
    """L04: one HEAD says what is left; no manifest is got."""
    limits = {"RateLimit-Limit": "100;w=21600", "RateLimit-Remaining": "76;w=21600"}
    registry.fault("/manifests/", with_headers(limits))

    (found,) = json.loads(cli("inspect", "--remote", "--limits", name).out)
    assert found == {
        "Registry": registry.host,
        "Limit": 100,
        "Remaining": 76,
        "WindowSeconds": 21600,
        "Source": "",
    }
    assert [each.method for each in registry.requests] == ["HEAD"]


@pytest.mark.parametrize(
    "options",
    [
        ["--platform", "linux/amd64"],
        ["--raw"],
        ["--limits"],
        ["--remote", "--type", "container"],
        ["--remote", "--raw", "--limits"],
        ["--remote", "--raw", "-f", "json"],
    ],
)
def test_options_that_do_not_go_together(cli, options):
    """What would do nothing is refused."""
    assert cli("inspect", *options, "app:1").code == 2


def test_several_images_are_one_array(cli, registry, name):
    """What is missing is told, the others are shown; the exit code is that of the failure."""
    outcome = cli("inspect", "--remote", f"{registry.host}/app:none", name)

    assert outcome.code == 3
    assert len(json.loads(outcome.out)) == 1


def test_a_warning_of_the_registry_is_shown_once(registry, cli, name):
    """X04: on stderr, for each command that asks a registry."""
    registry.fault("/v2/", with_headers({"Warning": '299 - "soon gone"'}))

    for arguments in (
        ["tags", f"{registry.host}/app"],
        ["referrers", name],
        ["inspect", "--remote", "--platform", "linux/amd64", name],
        ["pull", "-q", "--platform", "linux/amd64", name],
    ):
        err = cli(*arguments).err
        assert err.splitlines()[-1] == f"warning: registry {registry.host} says: soon gone"
        assert err.count("soon gone") == 1
