"""What is saved without its base is the image again, wherever the base is."""

from __future__ import annotations

import json
import tarfile

import pytest
from support import stores, tars
from support.registry import TestRegistry

from layerkit.errors import NotFoundError, UsageError

LOW = tars.archive(tars.directory("etc"), tars.file("etc/low", b"l" * 5000))
MIDDLE = tars.archive(tars.file("etc/middle", b"m" * 5000))
TOP = tars.archive(tars.file("top", b"t" * 100))
FORMS = ["oci-archive", "docker-archive", "oci-dir"]


@pytest.fixture(scope="module")
def registry():
    """A registry with `base`, `app` on it, `sister` on its lowest layer, and `other`."""
    with TestRegistry() as running:
        running.images = {
            name: running.add_image("team", name, layers)
            for name, layers in {
                "base": [LOW, MIDDLE],
                "app": [LOW, MIDDLE, TOP],
                "sister": [LOW, TOP],
                "other": [MIDDLE, LOW],
            }.items()
        }
        running.names = {name: f"{running.host}/team:{name}" for name in running.images}
        yield running


@pytest.fixture
def names(registry, cli):
    """The full name of each image, all of which are here."""
    assert cli("pull", "-q", *registry.names.values()).code == 0
    return registry.names


@pytest.fixture
def save(cli, names, tmp_path):
    """Saves images without the layers of the base; the path."""

    def run(form, *images):
        path = tmp_path / "saved"
        wanted = [names[image] for image in images]
        options = ["--format", form, "--exclude-base", names["base"], "-o", path]
        assert cli("save", *options, *wanted) == (0, "", "")
        return path

    return run


def files_of(path):
    """The names of the files in an archive or layout, without folders."""
    if path.is_dir():
        return {each.name for each in path.rglob("*") if each.is_file()}
    with tarfile.open(path) as tar:
        return {each.name.rpartition("/")[2] for each in tar if each.isreg()}


def layers_of(image, form):
    """What the files of an image's layers are called, lowest first."""
    if form == "docker-archive":
        return [f"{diff_id.partition(':')[2]}.tar" for diff_id in image.diff_ids]
    return [layer.digest.hex for layer in image.layers]


def id_of(cli, name, *options):
    """The id of an image."""
    return cli(*options, "images", "-q", "--no-trunc", name).out.strip()


@pytest.mark.parametrize("form", FORMS)
def test_with_the_base_it_is_the_same_image(cli, names, save, tmp_path, form):
    """Loaded where the base is, the image has its id and all of its files."""
    path, elsewhere = save(form, "app"), tmp_path / "elsewhere"
    assert cli("--root", elsewhere, "pull", "-q", names["base"]).code == 0

    loaded = cli("--root", elsewhere, "load", "-q", "-i", path)

    assert loaded == (0, f"Loaded image: {names['app']}\n", "")
    assert id_of(cli, names["app"], "--root", elsewhere) == id_of(cli, names["app"]) != ""
    listing = cli("--root", elsewhere, "ls", "-R", names["app"]).out
    assert listing.split() == ["/:", "etc", "top", "/etc:", "low", "middle"]
    assert stores.faults(elsewhere) == []


@pytest.mark.parametrize("form", FORMS)
def test_without_the_base_nothing_is_loaded(registry, cli, names, save, tmp_path, form):
    """One error names the layers that are missing and the base; nothing stays behind."""
    path, elsewhere = save(form, "app"), tmp_path / "elsewhere"

    outcome = cli("--root", elsewhere, "load", "-q", "-i", path)

    missing = ", ".join(name[:12] for name in layers_of(registry.images["app"], form)[:2])
    wanted = "if it was saved with --exclude-base, pull or load that image first"
    if form != "docker-archive":
        base = f"{names['base']} {registry.images['base'].descriptor.digest}"
        wanted = f"it was saved without the layers of {base}: pull or load that image first"
    told = [
        f"layerkit: cannot load {names['app']}: layers are neither in it nor here: {missing}",
        f"hint: {wanted}",
    ]
    assert (outcome.code, outcome.out) == (NotFoundError.exit_code, "")
    assert outcome.err.splitlines() == told
    assert cli("--root", elsewhere, "images", "-a", "-q").out == ""
    assert list((elsewhere / "layers").iterdir()) == []
    assert list((elsewhere / "blobs/sha256").iterdir()) == []


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("image", "shared"), [("app", 2), ("sister", 1), ("base", 2)])
def test_as_many_layers_are_left_out_as_are_shared(registry, save, form, image, shared):
    """Counted from the bottom; what lies above is there, also where it is nothing."""
    layers = layers_of(registry.images[image], form)

    found = files_of(save(form, image))

    assert found & set(layers) == set(layers[shared:])


@pytest.mark.parametrize("form", FORMS)
def test_a_layer_that_another_image_has_elsewhere_stays(registry, cli, save, tmp_path, form):
    """What one image leaves out is saved where another has it, but not at its bottom."""
    path, elsewhere = save(form, "app", "other"), tmp_path / "elsewhere"

    assert set(layers_of(registry.images["other"], form)) <= files_of(path)
    loaded = cli("--root", elsewhere, "load", "-q", "-i", path)
    assert (loaded.code, len(loaded.out.splitlines())) == (0, 2)


def test_the_index_names_the_base(registry, names, save):
    """An image that misses layers has the base's name and digest as annotations, others not."""
    path = save("oci-dir", "app", "other")

    first, second = json.loads((path / "index.json").read_text())["manifests"]

    digest = str(registry.images["base"].descriptor.digest)
    assert first["annotations"]["org.opencontainers.image.base.name"] == names["base"]
    assert first["annotations"]["org.opencontainers.image.base.digest"] == digest
    assert "org.opencontainers.image.base.name" not in second["annotations"]


def test_an_id_is_a_base_too(cli, names, tmp_path):
    """Images without names are saved and left out as others; the digest tells the base."""
    ids = {name: cli("images", "-q", names[name]).out.strip() for name in ("app", "base")}
    options = ["--format", "oci-dir", "--exclude-base", ids["base"], "-o", tmp_path / "saved"]

    assert cli("save", *options, ids["app"]).code == 0

    (entry,) = json.loads((tmp_path / "saved/index.json").read_text())["manifests"]
    assert list(entry["annotations"]) == ["org.opencontainers.image.base.digest"]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("base", "code", "message"),
    [
        ("{other}", UsageError.exit_code, "nothing to leave out: no lowest layer is that of"),
        ("nowhere:1", NotFoundError.exit_code, "no such image: nowhere:1"),
    ],
    ids=["unrelated", "unknown"],
)
def test_a_base_that_is_none_is_refused(cli, names, tmp_path, form, base, code, message):
    """An option that would do nothing is a mistake; no file is left."""
    path = tmp_path / "saved"
    options = ["--format", form, "--exclude-base", base.format(**names), "-o", path]

    outcome = cli("save", *options, names["app"])

    assert outcome.code == code
    assert message in outcome.err
    assert not path.exists()
