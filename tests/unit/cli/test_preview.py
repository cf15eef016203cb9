"""`pull --dry-run` prints a table for each image, and what all of them take."""

from __future__ import annotations

import json
import random
from datetime import timedelta

import pytest
from support import tars
from support.uploads import UploadRegistry

from layerkit.errors import NotFoundError
from layerkit.ops.home import Home

LOW = tars.archive(tars.file("low", "l"))
HIGH = tars.archive(tars.file("high", random.Random(3).randbytes(2_000_000)))
AMD64 = ["--platform", "linux/amd64"]


@pytest.fixture
def registry():
    """A registry with `app:1` of two layers, and `app:2` of one of them and a plain one."""
    with UploadRegistry() as registry:
        registry.images = {
            "1": registry.add_image("app", "1", [LOW, HIGH]),
            "2": registry.add_image("app", "2", [HIGH], {"author": "x"}),
        }
        yield registry


@pytest.fixture
def look(cli, registry):
    """Runs `pull --dry-run` for tags of `app`."""

    def look(*options, tags=("1",)):
        names = [f"{registry.host}/app:{tag}" for tag in tags]
        return cli("pull", "--dry-run", *AMD64, *options, *names)

    return look


def test_a_table_and_totals(look, registry, state_root):
    """Layers with sizes and state, then what is fetched, here and needed; nothing is made."""
    outcome = look()
    image = registry.images["1"]
    first, second = image.layers

    lines = outcome.out.splitlines()
    assert (outcome.code, outcome.err) == (0, "")
    assert lines[:5] == [
        f"{registry.host}/app:1 (linux/amd64), {image.descriptor.digest}",
        "LAYER          SIZE      HERE      TO FETCH   UNPACKED   STATUS",
        f"{first.digest.short}   {first.size}B       0B        {first.size}B        ?          Not here",
        f"{second.digest.short}   2MB       0B        2MB        ?          Not here",
        "",
    ]
    assert lines[5:9] == [
        "To fetch: 2MB in 2 layers",
        "Already here: 0B",
        "Left by stopped pulls: 0B",
        "Disk needed: 2MB, and 2 layers unpacked, of a size that is not known before",
    ]
    assert lines[9].startswith("Disk free: ")
    assert not state_root.exists()


def test_what_is_here_is_told(look, registry, cli, state_root):
    """Layers of a pulled image exist, what a stopped pull left of another one is partly here."""
    cli("pull", "-q", *AMD64, f"{registry.host}/app:1")
    other = tars.archive(tars.file("other", random.Random(4).randbytes(3 << 20)))
    (blob,) = registry.add_image("app", "3", [other], compression="").layers
    with (
        Home(state_root) as home,
        home.store.blobs.ingest(blob.digest, blob.size) as transaction,
        transaction.writer(0) as writer,
    ):
        writer.write(other[: 1 << 20])

    out = look(tags=["2", "3"]).out.splitlines()

    assert out[2].split()[1:] == ["2MB", "2MB", "0B", "0B", "Already", "exists"]
    assert out[6].split()[1:] == ["3.15MB", "1.05MB", "2.1MB", "3.15MB", "Partly", "here"]
    assert out[8:12] == [
        "To fetch: 2.1MB in 1 layer",
        "Already here: 2MB",
        "Left by stopped pulls: 1.05MB",
        "Disk needed: 5.25MB",
    ]


def test_shared_layers_are_fetched_once(look):
    """Totals are those of all images together."""
    assert "To fetch: 2MB in 2 layers\n" in look(tags=["1", "2"]).out


def test_all_tags_of_a_repository(cli, registry):
    """-a looks at each of them."""
    out = cli("pull", "--dry-run", "-a", *AMD64, f"{registry.host}/app").out

    assert [line.split()[0] for line in out.splitlines() if "sha256:" in line] == [
        f"{registry.host}/app:1",
        f"{registry.host}/app:2",
    ]


def test_json_is_an_object_for_each_layer(look, registry):
    """Sizes are numbers; there are no totals."""
    records = [json.loads(line) for line in look("--format", "json").out.splitlines()]

    image = registry.images["1"]
    assert records[0] == {
        "Image": f"{registry.host}/app:1",
        "Digest": str(image.layers[0].digest),
        "DiffID": image.diff_ids[0],
        "Layer": image.layers[0].digest.short,
        "Size": image.layers[0].size,
        "Here": 0,
        "Missing": image.layers[0].size,
        "Unpacked": None,
        "Status": "Not here",
    }
    assert len(records) == 2


def test_a_template_chooses_fields(look, registry):
    """One line a layer, without the rest."""
    size = registry.images["2"].layers[0].size
    assert look("--format", "{{.Missing}} {{.Here}}", tags=["2"]).out == f"{size} 0\n"


def test_a_missing_image_does_not_stop_the_others(look, registry):
    """It is told, and the exit code is its."""
    outcome = look(tags=["none", "2"])

    assert outcome.code == NotFoundError.exit_code
    assert "app:none" in outcome.err
    assert "To fetch: 2MB in 1 layer\n" in outcome.out


def test_without_an_image_there_are_no_totals(look):
    """Nothing is printed when nothing was found."""
    assert look(tags=["none"]).out == ""


@pytest.mark.parametrize(
    "options",
    [
        ["--dry-run", "-q"],
        ["--dry-run", "--jobs", "3"],
        ["--dry-run", "--limit-rate", "1M"],
        ["--dry-run", "--format", "{{.Nothing}}"],
        ["--dry-run", "--platform", "a/b/c/d"],
        ["--format", "json"],
    ],
    ids=" ".join,
)
def test_options_that_do_not_go_together(cli, registry, options):
    """What would do nothing is refused before anything is asked."""
    outcome = cli("pull", *options, f"{registry.host}/app:1")

    assert (outcome.code, outcome.out) == (2, "")
    assert registry.paths() == []


def test_an_old_left_over_goes_with_the_next_pull(cli, registry, state_root, monkeypatch):
    """K12: a pull removes what nobody went on with for seven days, and says nothing of it."""
    other = tars.archive(tars.file("x", random.Random(5).randbytes(2 << 20)))
    blob = registry.add_blob("app", other)
    with (
        Home(state_root) as home,
        home.store.blobs.ingest(blob.digest, blob.size) as transaction,
        transaction.writer(0) as writer,
    ):
        writer.write(other[: 1 << 20])
    pull = ("pull", "-q", *AMD64, f"{registry.host}/app:1")

    assert cli(*pull).out == f"{registry.host}/app:1\n"
    assert len(list((state_root / "ingest").iterdir())) == 1
    monkeypatch.setattr("layerkit.ops.prune.AGE", timedelta(0))
    assert cli(*pull) == (0, f"{registry.host}/app:1\n", "")
    assert list((state_root / "ingest").iterdir()) == []
