"""`layers` has a line for each layer, or for each file of one."""

from __future__ import annotations

import json

import pytest
from support import tars
from support.registry import TestRegistry

from layerkit.errors import NotFoundError, UsageError

BASE = tars.archive(
    tars.directory("etc"),
    tars.file("etc/motd", b"x" * 1000),
    tars.file("etc/issue", b"x" * 200),
)
TOP = tars.archive(
    tars.directory("etc"),
    tars.whiteout("etc/motd"),
    tars.file("etc/issue", b"y" * 300),
    tars.file(b"new \xff\t", b""),
    tars.symlink("link", "etc"),
)


@pytest.fixture(scope="module")
def registry():
    """A registry with an image, `app:1`."""
    with TestRegistry() as running:
        running.image = running.add_image("app", "1", [BASE, TOP], compression="")
        yield running


@pytest.fixture(params=["here", "remote"])
def layers(request, registry, cli):
    """Runs `layers` for the image in the store or in the registry; its lines on stdout."""
    name = f"{registry.host}/app:1"
    if request.param == "here":
        assert cli("pull", "-q", name).code == 0

    def run(*arguments):
        outcome = cli("--progress", "none", "layers", *arguments, name)
        assert outcome.code == 0
        return outcome.out.splitlines()

    return run


def short(registry):
    """The first digits of the blobs' digests."""
    return [layer.digest.short for layer in registry.image.layers]


def test_the_table_has_a_row_for_each_layer(registry, layers):
    """Lowest first, with sizes for people."""
    header, *rows = layers()

    titles = ["LAYER", "DIGEST", "DIFF ID", "BLOB SIZE", "SIZE", "FILES", "WASTED"]
    assert header.split() == " ".join(titles).split()
    first, second = short(registry)
    assert [row.split() for row in rows] == [
        ["1", first, first, "4.1kB", "1.2kB", "3", "1.2kB"],
        ["2", second, second, "4.1kB", "300B", "5", "0B"],
    ]


def test_the_total_is_a_note(registry, cli):
    """What the whole image weighs stands on stderr, where no script trips over it."""
    name = f"{registry.host}/app:1"
    assert cli("pull", "-q", name).code == 0

    wanted = "note: 2 layers, 8.19kB to download, 1.5kB unpacked in 8 entries, 1.2kB wasted\n"
    assert cli("layers", name).err == wanted
    for options in (["--layer", "1"], ["--files"], ["--format", "json"]):
        assert cli("layers", *options, name).err == ""


def test_json_has_numbers_of_bytes(registry, layers):
    """One object a line, sizes exact; --no-trunc gives digests in full."""
    records = [json.loads(line) for line in layers("--format", "json", "--no-trunc")]

    first = registry.image.layers[0]
    assert records[0] == {
        "Number": 1,
        "Digest": str(first.digest),
        "DiffID": registry.image.diff_ids[0],
        "BlobSize": first.size,
        "Size": 1200,
        "Files": 3,
        "Wasted": 1200,
    }
    assert [record["Number"] for record in records] == [1, 2]


def test_one_layer_can_be_asked_for(layers):
    """--layer restricts the rows; templates have the fields."""
    assert layers("--layer", "2", "--format", "{{.Number}} {{.Size}}") == ["2 300"]


def test_files_are_told_layer_by_layer(registry, layers):
    """Below a heading, lines as `diff` has them, and the bytes of files behind a tab."""
    first, second = short(registry)

    assert layers("--files") == [
        f"Layer 1: {first}",
        "A /etc",
        "A /etc/issue\t200B",
        "A /etc/motd\t1kB",
        "",
        f"Layer 2: {second}",
        "C /etc",
        "C /etc/issue\t300B",
        "D /etc/motd\t1kB",
        "A /link",
        "A /new \\xff\\t\t0B",
    ]


def test_files_of_one_layer_can_be_asked_for(registry, layers):
    """The numbers stay those of the image."""
    lines = layers("--files", "--layer", "2", "--no-trunc")

    assert lines[0] == f"Layer 2: {registry.image.layers[1].digest}"
    assert len(lines) == 6


def test_changes_have_fields(layers):
    """json and templates have one line for each change, with the fields of a diff."""
    records = [json.loads(line) for line in layers("--files", "--format", "json", "--layer", "2")]

    assert records[1] == {
        "layer": 2,
        "kind": "C",
        "path": "/etc/issue",
        "why": ["content"],
        "size": 300,
    }
    assert layers("--files", "--format", "{{.kind}} {{.path}}", "--layer", "2")[-1] == (
        "A /new \\xff\\t"
    )
    assert layers("--files", "--format", "table", "--layer", "1")[1].split() == [
        *("1", "A", "0B", "/etc")
    ]


def test_wasted_bytes_are_those_that_nobody_sees(registry, cli):
    """Computed by hand: what is behind each number stands beside its entry."""
    lowest = tars.archive(
        tars.directory("d"),
        tars.file("kept", b"x" * 1),  # shown
        tars.file("one", b"x" * 2),  # wasted: replaced above
        tars.file(
            "two", b"x" * 4
        ),  # shown: `two` is copied up above, but `link` still is this file
        tars.hardlink("link", "two"),
        tars.file("three", b"x" * 8),  # wasted: both of its names are copied up above
        tars.hardlink("third", "three"),
        tars.file("d/gone", b"x" * 16),  # wasted: its folder goes
        tars.file("moved", b"x" * 32),  # shown: the name goes, but above it has another one
        tars.file("twice", b"x" * 64),  # wasted: the same layer replaces it
        tars.file("twice", b"x" * 128),  # shown
        tars.gnu_sparse("holes", [(0, 1)], 256, b"x"),  # wasted, with its holes
        tars.file("again", b"x" * 512),  # wasted, though the same comes again
    )
    above = tars.archive(
        tars.file("one", b"y" * 1),  # shown
        tars.file("two", b"x" * 4),  # shown
        tars.file("three", b"x" * 8),  # shown
        tars.hardlink("third", "three"),
        tars.hardlink("other", "moved"),
        tars.whiteout("holes"),
        tars.file("again", b"x" * 512),  # shown
        tars.file("short-lived", b"x" * 1024),  # wasted: deleted above
    )
    top = tars.archive(
        tars.whiteout("d"),
        tars.whiteout("moved"),
        tars.whiteout("short-lived"),
        tars.whiteout("nothing"),
    )
    registry.add_image("wasted", "1", [lowest, above, top])
    name = f"{registry.host}/wasted:1"
    assert cli("pull", "-q", name).code == 0

    out = cli("layers", "--format", "{{.Number}} {{.Size}} {{.Files}} {{.Wasted}}", name).out

    assert out.splitlines() == [
        f"1 {1 + 2 + 4 + 8 + 16 + 32 + 64 + 128 + 256 + 512} 13 {2 + 8 + 16 + 64 + 256 + 512}",
        f"2 {1 + 4 + 8 + 512 + 1024} 8 1024",
        "3 0 4 0",
    ]


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--layer", "3"], NotFoundError.exit_code, "no layer 3 in {name}: it has 2"),
        (["--layer", "0"], UsageError.exit_code, "0 is not in the range x>=1"),
        (["--format", "{{.No}}"], UsageError.exit_code, "no field .No"),
        (["--format", "{{range .}}"], UsageError.exit_code, "unsupported in a template"),
    ],
)
def test_what_is_not_there_is_an_error(registry, cli, options, code, message):
    """Numbers behind the last layer and unknown fields are told."""
    name = f"{registry.host}/app:1"
    outcome = cli("layers", *options, name)

    assert (outcome.code, outcome.out) == (code, "")
    assert message.format(name=name) in outcome.err


def test_reading_the_registry_is_noted(registry, cli):
    """A note says that there is no image here; nothing is kept."""
    name = f"{registry.host}/app:1"

    outcome = cli("--progress", "plain", "layers", name)

    note, *progress, total = outcome.err.splitlines()
    assert note == f"note: {name} is not here: it is read from the registry"
    assert set(progress) == {f"{digest}: Downloading 4.1kB" for digest in short(registry)}
    assert total.startswith("note: 2 layers")
    assert cli("images", "-q").out == ""
