"""`df` has docker's columns, units and field names."""

from __future__ import annotations

import json

import pytest
from support import homes, partials, tars

from layerkit.ops.home import Home
from layerkit.ops.tag import tag

LOW = tars.archive(tars.file("low", b"l" * 1_000_000))
HIGH = tars.archive(tars.file("high", "h"))


@pytest.fixture
def image(environment, state_root, tmp_path):
    """The image `app:1`, also called `app:2`, and a partial download."""
    with Home(state_root) as home:
        image = homes.load_layers(home, tmp_path / "layout", [LOW, HIGH])
        tag(home, "app:1", "app:2")
        partials.leave_download(home.store.blobs)
    return image


def test_an_empty_store(cli):
    """Every type has its row; nothing has no percentage."""
    outcome = cli("df")

    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.splitlines() == [
        "TYPE                TOTAL     ACTIVE    SIZE      RECLAIMABLE",
        *(
            f"{kind.ljust(20)}0         0         0B        0B"
            for kind in (
                *("Images", "Layers", "Blobs", "Containers", "Local Volumes"),
                *("Views", "Partial downloads", "Temporary files"),
            )
        ),
    ]


def test_the_rows_of_an_image(cli, image):
    """Counts, sizes in docker's units, and what could go with its part in percent."""
    rows = {line[:20].strip(): line[20:].split() for line in cli("df").out.splitlines()}

    assert rows["Images"][:2] == ["1", "0"]
    assert rows["Images"][-1] == "(100%)"
    assert rows["Layers"][:2] == ["2", "2"]
    assert rows["Layers"][2].endswith("MB")
    assert rows["Layers"][3:] == ["0B", "(0%)"]
    assert rows["Blobs"][:2] == ["4", "4"]
    assert rows["Partial downloads"][:2] == ["1", "0"]


def test_json_has_dockers_fields(cli, image):
    """One object a row, sizes as docker prints them and as numbers."""
    records = [json.loads(line) for line in cli("df", "--format", "json").out.splitlines()]

    (record,) = [each for each in records if each["Type"] == "Partial downloads"]
    assert record == {
        "Type": "Partial downloads",
        "TotalCount": "1",
        "Active": "0",
        "Size": record["Size"],
        "Reclaimable": f"{record['Size']} (100%)",
        "SizeBytes": record["SizeBytes"],
        "ReclaimableBytes": record["SizeBytes"],
    }
    assert 2 << 20 <= record["SizeBytes"] < 3 << 20


def test_a_template_chooses_fields(cli, image):
    """Of each row, with or without headings."""
    assert cli("df", "--format", "{{.Type}} {{.TotalCount}}").out.splitlines()[0] == "Images 1"
    assert cli("df", "--format", "table {{.Type}}").out.splitlines()[0] == "TYPE"


def test_every_item_is_listed(cli, image):
    """-v has a table for each type: names of images, digests of content, how far downloads are."""
    out = cli("df", "-v").out
    (digest, _) = partials.blob()
    lines = {line.split("  ")[0]: line.split() for line in out.splitlines()}

    assert lines["REPOSITORY"] == [
        "REPOSITORY",
        "TAG",
        "IMAGE",
        "ID",
        "CREATED",
        "SIZE",
        "SHARED",
        "SIZE",
        "UNIQUE",
        "SIZE",
        "CONTAINERS",
    ]
    assert [line.split()[:3] for line in out.splitlines() if line.startswith("app ")] == [
        ["app", "1", image.config.short],
        ["app", "2", image.config.short],
    ]
    for layer in image.layers:
        assert lines[str(layer.diff_id)][1] == "1"
        assert lines[str(layer.blob)][1] == "1"
    assert lines[str(digest)][1:3] == ["2.1MB", "3.15MB"]
    assert lines[str(digest)][-1] == "no"
    assert [line for line in out.splitlines() if line.endswith(":")] == [
        "Images space usage:",
        "Layers space usage (tars and indexes):",
        "Blobs space usage:",
        "Containers space usage:",
        "Local Volumes space usage:",
        "Views space usage (directories for overlayfs):",
        "Partial downloads space usage:",
        "Temporary files space usage:",
    ]


def test_every_item_as_json(cli, image):
    """-v is one object with a list for each type."""
    record = json.loads(cli("df", "-v", "--format", "json").out)

    assert [each["Tag"] for each in record["Images"]] == ["1", "2"]
    assert record["Images"][0]["SharedSizeBytes"] == 0
    assert record["Images"][0]["UniqueSizeBytes"] == sum(
        each["SizeBytes"] for each in (*record["Layers"], *record["Blobs"])
    )
    (download,) = record["PartialDownloads"]
    assert (download["VerifiedBytes"], download["BlobSizeBytes"]) == (2 << 20, partials.SIZE)
    assert (record["Containers"], record["Views"], record["TemporaryFiles"]) == ([], [], [])


@pytest.mark.root
def test_containers_are_listed(cli, image, state_root):
    """With id, image, state and name."""
    with Home(state_root) as home:
        container = homes.create(home, image, name="box")

    (record,) = json.loads(cli("df", "-v", "--format", "{{json .Containers}}").out)

    assert (record["ID"], record["Names"]) == (container.id[:12], "box")
    assert (record["Image"], record["Status"]) == ("app:1", "created")
    assert f"{container.id[:12]}   app:1" in cli("df", "-v").out


def test_a_download_without_a_journal(cli, image, state_root):
    """What nobody knows is a question mark, and null as a number."""
    (digest, _) = partials.blob()
    (state_root / f"ingest/sha256-{digest.hex}/journal").write_bytes(b"")

    (record,) = json.loads(cli("df", "-v", "--format", "{{json .PartialDownloads}}").out)

    assert (record["Verified"], record["BlobSize"], record["BlobSizeBytes"]) == ("0B", "?", None)
    assert "   0B         ?         " in cli("df", "-v").out


@pytest.mark.parametrize(
    "options",
    [
        ["--format", "{{.Nothing}}"],
        ["-v", "--format", "{{.Type}}"],
        ["-v", "--format", "table"],
        ["-v", "--format", "table {{.Images}}"],
        ["--files"],
        ["x"],
    ],
    ids=" ".join,
)
def test_what_is_not_known_is_refused(cli, image, options):
    """Fields, tables and options that do not exist are usage errors."""
    outcome = cli("df", *options)

    assert (outcome.code, outcome.out) == (2, "")
