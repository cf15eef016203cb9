"""Archives go between layerkit and the other tools, both ways, and nothing gets lost on the way."""

import hashlib
import json
import os
import re
import subprocess
import tarfile

import pytest
from support import images, stores, tars
from support.debian_registry import PROGRAM, debian_registry
from support.trees import differences, scan

from layerkit.errors import IntegrityError, LayerkitError, NotFoundError, UsageError

BASE = tars.archive(tars.directory("etc"), tars.file("etc/motd", b"hello\n"))
TOP = tars.archive(tars.file("etc/issue", b"x" * 2000), tars.whiteout("etc/motd"))
AGAIN = tars.archive(tars.file("etc/again", b"y"))
CONFIG = {
    "created": "2020-11-14T00:20:04Z",
    "config": {"Cmd": ["sh"], "Env": ["A=1"]},
    "history": [
        {"created": "2020-11-13T00:00:00Z", "created_by": "ADD base"},
        {"created": "2020-11-14T00:20:04Z", "created_by": "ADD top"},
    ],
}

skopeo = pytest.mark.debian("skopeo")


@pytest.fixture
def layout(tmp_path):
    """An image of two layers as a layout of somebody else, called `app`."""
    tars.oci_layout(tmp_path / "app", [BASE, TOP], name="1", config=CONFIG)
    return tmp_path / "app"


@pytest.fixture
def image_id(layout):
    """The digest of the layout's config."""
    (config,) = (blob for blob in blobs(layout) if b'"rootfs"' in blob)
    return f"sha256:{hashlib.sha256(config).hexdigest()}"


def blobs(layout):
    """The content of a layout's blobs."""
    return [path.read_bytes() for path in (layout / "blobs/sha256").iterdir()]


@pytest.fixture
def loaded(layout, cli):
    """The name of the image after it was loaded."""
    assert cli("load", "-q", "-i", layout) == (0, "Loaded image: app:1\n", "")
    return "app:1"


def run(*command):
    """Run a program that must succeed; its output."""
    done = subprocess.run(
        list(map(str, command)),
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def copy(source, target):
    """Copy an image with skopeo."""
    run("skopeo", "--insecure-policy", "copy", "--quiet", source, target)


def id_of(cli, name):
    """The whole id of an image."""
    return cli("images", "-q", "--no-trunc", name).out.strip()


# -- what we write, read by others ----------------------------------------------------------------

FORMS = {
    "oci-archive": "oci-archive",
    "oci-archive as docker's": "docker-archive",
    "docker-archive": "docker-archive",
    "oci-dir": "oci",
}


@skopeo
@pytest.mark.parametrize("form", FORMS)
def test_skopeo_reads_what_we_save(loaded, image_id, cli, tmp_path, form):
    """In every format it finds the image with its config and the content of its layers."""
    target = tmp_path / "saved"
    assert cli("save", "--format", form.split()[0], "-o", target, loaded) == (0, "", "")

    source = f"{FORMS[form]}:{target}"
    config = json.loads(run("skopeo", "inspect", "--config", source))
    copy(source, f"oci:{tmp_path / 'copied'}:x")

    assert config["config"] == CONFIG["config"]
    assert config["rootfs"]["diff_ids"] == [
        f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in (BASE, TOP)
    ]
    again = cli("load", "-q", "-i", tmp_path / "copied").out
    assert again == "Loaded image: copied:x\n"
    if FORMS[form] != "docker-archive":  # from those skopeo makes a config of its own
        assert id_of(cli, "copied:x") == image_id


@skopeo
def test_skopeo_finds_each_of_several_images(loaded, cli, tmp_path):
    """All names are there, in both descriptions of the archive."""
    tars.oci_layout(tmp_path / "more", [BASE, AGAIN], name="2")
    cli("load", "-i", tmp_path / "more")
    cli("tag", loaded, "localhost:5000/x/app:1")
    path = tmp_path / "all.tar"
    names = [loaded, "more:2", "localhost:5000/x/app:1"]
    assert cli("save", "-o", path, *names).code == 0

    for name in ("docker.io/library/app:1", "docker.io/library/more:2", "localhost:5000/x/app:1"):
        for kind in ("oci-archive", "docker-archive"):
            digest = json.loads(run("skopeo", "inspect", f"{kind}:{path}:{name}"))["Layers"]
            assert len(digest) == 2, (kind, name)
    tags = json.loads(run("skopeo", "list-tags", f"docker-archive:{path}"))["Tags"]
    assert sorted(tags) == [
        "docker.io/library/app:1", "docker.io/library/more:2", "localhost:5000/x/app:1",
    ]  # fmt: skip


@pytest.mark.root
@pytest.mark.debian("umoci")
def test_umoci_unpacks_what_we_save(loaded, cli, tmp_path):
    """A saved layout is one for umoci, and its root is the one that we unpack."""
    cli("save", "--format", "oci-dir", "-o", tmp_path / "layout", loaded)
    image = f"{tmp_path / 'layout'}:docker.io/library/app:1"

    run("umoci", "unpack", "--image", image, tmp_path / "bundle")

    assert cli("unpack", loaded, tmp_path / "root") == (0, "", "")
    assert differences(scan(tmp_path / "bundle/rootfs"), scan(tmp_path / "root")) == []


class Buildah:
    """Buildah with a store in a folder of its own."""

    def __init__(self, folder):
        self._options = [f"--root={folder / 'root'}", f"--runroot={folder / 'run'}"]
        self._options += ["--storage-driver=vfs"]

    def __call__(self, *arguments):
        """Run one of its commands; the output."""
        return run("buildah", *self._options, *arguments).strip()


@pytest.fixture
def buildah(tmp_path):
    """Buildah without any image."""
    buildah = Buildah(tmp_path / "buildah")
    yield buildah
    buildah("rm", "--all")
    buildah("rmi", "--all", "--force")


@pytest.mark.root
@pytest.mark.debian("buildah")
@pytest.mark.parametrize("form", list(FORMS)[:3])
def test_buildah_pulls_what_we_save(loaded, image_id, cli, buildah, tmp_path, form):
    """It gets the same id and the full name, as podman would: they share that code."""
    path = tmp_path / "saved.tar"
    cli("save", "--format", form.split()[0], "-o", path, loaded)

    buildah("pull", "--quiet", f"{FORMS[form]}:{path}")

    listed = json.loads(buildah("images", "--json", "--no-trunc"))
    assert [(each["id"], each["names"]) for each in listed] == [
        (image_id, ["docker.io/library/app:1"])
    ]


@skopeo
@pytest.mark.root
@pytest.mark.debian(PROGRAM)
def test_from_a_save_through_a_registry_and_back(loaded, image_id, cli, tmp_path):
    """Saved, copied to a registry by skopeo and pulled, it is the same image."""
    cli("save", "-o", tmp_path / "saved.tar", loaded)
    with debian_registry(tmp_path / "registry") as registry:
        target = f"docker://{registry.host}/back:1"
        options = ["--quiet", "--dest-tls-verify=false"]
        source = f"oci-archive:{tmp_path / 'saved.tar'}"
        run("skopeo", "--insecure-policy", "copy", *options, source, target)
        cli("rmi", loaded)
        assert cli("pull", "-q", f"{registry.host}/back:1").code == 0

        assert id_of(cli, f"{registry.host}/back") == image_id


# -- what others write, read by us ----------------------------------------------------------------


@skopeo
@pytest.mark.parametrize(
    ("transport", "name", "kind"),
    [
        ("oci:{}/image:7", "image:7", "OCI image layout"),
        ("oci:{}/image:quay.io/a/b:7", "quay.io/a/b:7", "OCI image layout"),
        ("oci-archive:{}/image:7", "image:7", "OCI archive"),
        ("oci-archive:{}/image", None, "OCI archive"),
        ("docker-archive:{}/image:quay.io/a/b:7", "quay.io/a/b:7", "docker archive"),
        ("docker-archive:{}/image:app:7", "app:7", "docker archive"),
        ("docker-archive:{}/image", None, "docker archive"),
    ],
)
def test_what_skopeo_writes(layout, image_id, cli, tmp_path, transport, name, kind):
    """It is found to be what it is, under its name, with the same layers."""
    copy(f"oci:{layout}:1", transport.format(tmp_path))

    outcome = cli("--progress", "none", "load", "-i", tmp_path / "image")

    assert (outcome.code, outcome.err) == (0, f"note: format of {tmp_path}/image: {kind}\n")
    line = f"Loaded image: {name}" if name else "Loaded image ID: sha256:[0-9a-f]{64}"
    assert re.fullmatch(f"{line}\n", outcome.out)
    (image,) = json.loads(cli("inspect", name or outcome.out.split()[-1]).out)
    if kind != "docker archive":
        assert image["Id"] == image_id
    assert image["RootFS"]["Layers"] == [
        f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in (BASE, TOP)
    ]
    assert image["Config"]["Env"] == ["A=1"]


@skopeo
def test_a_docker_archive_with_several_images(layout, cli, tmp_path):
    """What skopeo has added one after another comes with all names."""
    names = ["one:1", "two:2"]
    tars.oci_layout(tmp_path / "other", [BASE, AGAIN], name="1")
    for source, name in zip((layout, tmp_path / "other"), names, strict=True):
        copy(f"oci:{source}:1", f"docker-archive:{tmp_path / (name[:3] + '.tar')}:{name}")
    both = tmp_path / "both.tar"
    _join(both, [tmp_path / "one.tar", tmp_path / "two.tar"])

    assert cli("load", "-q", "-i", both).out == "Loaded image: one:1\nLoaded image: two:2\n"


def _join(target, archives_):
    """One docker archive of several."""
    items, members = [], {}
    for path in archives_:
        with tarfile.open(path) as tar:
            items += json.load(tar.extractfile("manifest.json"))
            for each in tar:
                if each.isreg() and each.name not in {"manifest.json", "repositories"}:
                    members[each.name] = tar.extractfile(each).read()
    entries = [tars.file(name, data) for name, data in members.items()]
    target.write_bytes(tars.archive(*entries, tars.file("manifest.json", json.dumps(items))))


@pytest.mark.root
@pytest.mark.debian("umoci")
def test_what_umoci_writes(cli, tmp_path):
    """A layout that umoci has made and packed."""
    image = f"{tmp_path / 'made'}:v1"
    run("umoci", "init", "--layout", tmp_path / "made")
    run("umoci", "new", "--image", image)
    run("umoci", "unpack", "--image", image, tmp_path / "bundle")
    (tmp_path / "bundle/rootfs/hello").write_text("from umoci")
    run("umoci", "repack", "--image", image, tmp_path / "bundle")

    assert cli("load", "-q", "-i", tmp_path / "made").out == "Loaded image: made:v1\n"
    cli("unpack", "made:v1", tmp_path / "root")
    assert (tmp_path / "root/hello").read_text() == "from umoci"


@pytest.fixture
def built(buildah, tmp_path):
    """The id of an image that buildah has built, `localhost/my/app:1`."""
    container = buildah("from", "scratch")
    (tmp_path / "hello").write_text("from buildah")
    buildah("copy", "--quiet", container, tmp_path / "hello", "/srv/hello")
    buildah("config", "--cmd", "/srv/hello", "--env", "A=1", container)
    return buildah("commit", "--quiet", container, "localhost/my/app:1")


@pytest.mark.root
@pytest.mark.debian("buildah")
@pytest.mark.parametrize(
    ("transport", "names"),
    [
        ("oci:{}:v1", {"image:v1"}),
        ("oci-archive:{}:my/app:1", {"my/app:1"}),
        ("docker-archive:{}:localhost/my/app:1", {"localhost/my/app:1"}),
    ],
)
def test_what_buildah_pushes(buildah, built, cli, tmp_path, transport, names):
    """It keeps its id, its name and its files."""
    target = tmp_path / "image"
    buildah("push", "--quiet", "localhost/my/app:1", transport.format(target))

    out = cli("load", "-q", "-i", target).out

    assert {line.removeprefix("Loaded image: ") for line in out.splitlines()} == names
    name = names.pop()
    assert id_of(cli, name) == f"sha256:{built}"
    cli("unpack", name, tmp_path / "root")
    assert (tmp_path / "root/srv/hello").read_text() == "from buildah"


# -- there and back -------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["oci-archive", "docker-archive", "oci-dir"])
def test_save_rmi_load_gives_the_same_image(loaded, image_id, cli, state_root, tmp_path, form):
    """After an image is gone, its archive brings it back under the same id and name."""
    target = tmp_path / "saved"
    first = json.loads(cli("inspect", loaded).out)[0]
    assert cli("save", "--format", form, "-o", target, loaded).code == 0
    assert cli("rmi", loaded).code == 0
    assert list((state_root / "layers").iterdir()) == []

    assert cli("load", "-q", "-i", target) == (0, "Loaded image: app:1\n", "")

    second = json.loads(cli("inspect", loaded).out)[0]
    assert second["Id"] == image_id == first["Id"]
    if form != "docker-archive":
        assert second == first
    assert stores.faults(state_root) == []


@pytest.mark.parametrize("arguments", [[], ["--format", "docker-archive"]])
def test_a_pipe_from_save_to_load(loaded, layerkit_command, cli, tmp_path, arguments):
    """Without files: what save writes to a pipe, load reads from one, into another store."""
    save = subprocess.Popen([*layerkit_command, "save", *arguments, loaded], stdout=subprocess.PIPE)
    with save, save.stdout:
        other = [*layerkit_command, "--root", str(tmp_path / "other")]
        load = subprocess.run(
            [*other, "load"], stdin=save.stdout, check=True, capture_output=True, text=True
        )

    assert save.returncode == 0
    assert load.stdout == "Loaded image: app:1\n"
    assert "note: format of standard input: " in load.stderr


def test_nothing_half_done_is_left_in_the_place_of_an_archive(loaded, cli, state_root, tmp_path):
    """An error while saving leaves no file, and what was there."""
    target = tmp_path / "saved.tar"
    target.write_text("mine")
    for blob in (state_root / "blobs/sha256").iterdir():
        if blob.stat().st_size > 400:
            blob.chmod(0o600)
            blob.write_bytes(blob.read_bytes()[:-1] + b"?")

    outcome = cli("save", "-o", target, loaded)

    assert outcome.code == IntegrityError.exit_code
    assert target.read_text() == "mine"
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".")]


# -- export and import ----------------------------------------------------------------------------

RUN = "echo new > /srv/new; ln /srv/new /srv/again; rm -r /media; chmod 4755 /srv/new"


@pytest.mark.root
@pytest.mark.debian("tar", *images.MINBASE_PROGRAMS)
@pytest.mark.timeout(600)
def test_an_exported_container_is_imported_again(cli, layerkit_command, tmp_path):
    """A container's root goes through a pipe into a new image, which runs and has the changes."""
    cli("load", "-i", images.debian_minbase())
    name = cli("images", "--format", "{{.Repository}}:{{.Tag}}").out.strip()
    assert cli("run", "--name", "c", name, "sh", "-c", RUN).code == 0
    path = tmp_path / "c.tar"

    assert cli("export", "-o", path, "c") == (0, "", "")
    changes = ["-c", 'CMD ["cat", "/srv/again"]', "-c", "ENV A=1"]
    done = cli("--progress", "none", "import", *changes, "-m", "made here", path, "mine:1")

    assert (done.code, done.err) == (0, "")
    assert done.out.strip() == id_of(cli, "mine:1")
    assert cli("run", "--rm", "mine:1") == (0, "new\n", "")
    assert cli("history", "--format", "{{.Comment}}", "mine:1").out == "made here\n"
    listing = run("tar", "-tvf", path)
    assert "media" not in listing
    assert re.search(r"^-rwsr-xr-x .* srv/again$", listing, re.MULTILINE)
    piped = subprocess.run(
        f"{layerkit_command[0]} export c | cmp - {path}", shell=True, check=False
    )
    assert piped.returncode == 0


def test_import_prints_the_id(cli, tmp_path, monkeypatch):
    """Name, platform, time and comment are where docker has them."""
    (tmp_path / "root.tar").write_bytes(BASE)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000000")
    monkeypatch.chdir(tmp_path)

    outcome = cli("--progress", "none", "import", "--platform", "linux/arm64", "root.tar", "mine")

    (image,) = json.loads(cli("inspect", "mine:latest").out)
    assert outcome == (0, f"{image['Id']}\n", "")
    assert image["Created"] == "2001-09-09T01:46:40Z"
    assert image["Comment"] == "Imported from root.tar"
    assert (image["Os"], image["Architecture"]) == ("linux", "arm64")
    assert cli("--progress", "none", "import", "--platform", "arm64", "root.tar").out == outcome.out


def test_import_from_standard_input(layerkit_command, cli, tmp_path):
    """`-` is the tar that comes in."""
    done = subprocess.run(
        [*layerkit_command, "import", "-", "mine:1"], input=BASE, check=True, capture_output=True
    )

    assert done.stdout.decode().strip() == id_of(cli, "mine:1")
    assert json.loads(cli("inspect", "mine:1").out)[0]["Comment"] == "Imported from -"


# -- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["save", "nothing"], NotFoundError.exit_code, "no such image: nothing"),
        (["save"], UsageError.exit_code, "missing argument"),
        (["save", "--format", "oci-dir", "app:1"], UsageError.exit_code, "name it with -o"),
        (["save", "-o", "{tmp}", "app:1"], UsageError.exit_code, "it is a directory"),
        (["save", "-o", "{tmp}/no/x", "app:1"], LayerkitError.exit_code, "no such file"),
        (["save", "--format", "oci-dir", "-o", "{tmp}", "app:1"], 2, "no empty directory"),
        (["export", "nothing"], NotFoundError.exit_code, "no such container: nothing"),
        (["import", "{tmp}/none"], UsageError.exit_code, "none: no such file"),
        (["import", "-c", "RUN x", "{tmp}/none"], UsageError.exit_code, "unknown change 'RUN'"),
        (["import", "--platform", "a/b/c/d", "-"], UsageError.exit_code, "invalid platform"),
        (["load", "--platform", "linux/s390x", "-i", "{tmp}/app"], 3, "linux/s390x"),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, list) else "",
)
def test_mistakes_are_told(loaded, cli, tmp_path, arguments, code, text):
    """One line says what is wrong, and the exit code of its kind."""
    outcome = cli(*(argument.format(tmp=tmp_path) for argument in arguments))

    assert (outcome.code, outcome.out) == (code, "")
    line = next(each for each in outcome.err.splitlines() if not each.startswith("hint: "))
    assert line.startswith("layerkit: ")
    assert text in line


def test_a_bad_time_is_told(cli, tmp_path, monkeypatch):
    """SOURCE_DATE_EPOCH is a number of seconds."""
    (tmp_path / "root.tar").write_bytes(BASE)
    for text in ("yesterday", "1e9", "9" * 30):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", text)
        outcome = cli("import", tmp_path / "root.tar")
        assert (outcome.code, outcome.out) == (UsageError.exit_code, "")
        assert "SOURCE_DATE_EPOCH" in outcome.err


@pytest.mark.parametrize("command", [["save", "app:1"], ["export", "c"], ["load"], ["import", "-"]])
def test_a_terminal_is_no_place_for_an_archive(loaded, cli, monkeypatch, command):
    """Nothing is written to one or read from one."""
    monkeypatch.setattr(os, "isatty", lambda _: True)

    outcome = cli("--progress", "none", *command)

    assert outcome.code == UsageError.exit_code
    assert "terminal" in outcome.err
    assert outcome.out == ""
