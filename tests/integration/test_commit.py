"""What is done in a container's root is in the image that `commit` makes, as every tool unpacks it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import stat
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from support import boxes, homes, stores, tars
from support.listing import entries_of
from support.tars import archive, directory, file, symlink, whiteout
from support.trees import differences, scan

from layerkit.diff.compare import compare
from layerkit.ops import containers, views
from layerkit.ops.home import Home
from layerkit.ops.inside import Finding, LocalContainer, LocalImage
from layerkit.tree import Kind

pytestmark = pytest.mark.root

TIME = tars.MTIME
CAPABILITY = b"\x01\x00\x00\x02\x00\x20" + bytes(14)
LAYERS = (
    archive(
        *homes.BOTTOM,
        directory("replaced/"),
        file("replaced/x"),
        file("file"),
        directory("folder/"),
        file("folder/x"),
        directory("srv/"),
        file("capable", pax={"SCHILY.xattr.security.capability": CAPABILITY}),
    ),
    archive(
        whiteout("d/b"),
        *homes.TOP,
        symlink("way", "d"),
        directory("links/"),
        file("links/one", "1"),
    ),
)
INIT = {b"dev", b"proc", b"sys", b"etc/hosts", b"etc/hostname", b"etc/resolv.conf"}
"""What layerkit itself puts into each container."""


@pytest.fixture
def home(state_root):
    """The state directory that the commands use, too."""
    with Home(state_root) as home:
        yield home


@pytest.fixture
def image(home, tmp_path):
    """An image of two layers, with a config that says more than its own making."""
    config = {
        "created": "2001-01-01T00:00:00Z",
        "author": "them",
        "docker_version": "1.2",
        "container_config": {"Cmd": ["old"]},
        "config": {"Env": ["PATH=/bin"], "Cmd": ["sh"]},
        "history": [{"created_by": "one"}, {"created_by": "two"}],
        "os.version": "9",
    }
    tars.oci_layout(tmp_path / "layout", LAYERS, name="app:1", config=config)
    (loaded,) = homes.load(home, tmp_path / "layout", platform=homes.AMD64)
    return home.store.database.images_by_id(loaded.id.hex)[0]


@pytest.fixture
def container(home, image):
    """A new container of the image, called box."""
    return homes.create(home, image, name="box")


@pytest.fixture
def commit(cli, home):
    """Commits the container by the command line; gives the record of the new image."""

    def commit(*arguments):
        outcome = cli("commit", *arguments, "box", "new:1")
        assert outcome.code == 0, outcome.err
        algorithm, _, digits = outcome.out.strip().partition(":")
        assert algorithm == "sha256"
        return home.store.database.images_by_id(digits)[0]

    return commit


@pytest.fixture
def change(home, image, container, tmp_path):
    """Do something in the container's root; gives a scan of it without what layerkit put there."""

    def change(act):
        with homes.root_of(home, image, container, tmp_path / "root") as root:
            act(root)
            return {path: each for path, each in scan(root).items() if path not in INIT}

    return change


def work(root):
    """All kinds of changes."""
    (root / "srv/new").write_text("new")
    (root / "srv/empty").mkdir(0o2750)
    (root / "srv/made/deep").mkdir(parents=True)
    (root / "srv/made/deep/file").write_bytes(bytes(3 << 20) + b"end")
    (root / "srv/s").symlink_to("/etc/passwd")
    os.mkfifo(root / "srv/pipe", 0o640)
    os.mknod(root / "srv/null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    os.setxattr(root / "srv/new", "user.comment", b"hello")
    os.setxattr(root / "srv/new", "security.capability", CAPABILITY)
    os.utime(root / "srv/new", ns=(0, 1_234_567_890_123_456_789))
    os.chown(root / "d/a", 5, 6)
    (root / "d/a").chmod(0o4755)
    shutil.rmtree(root / "d/gone")
    shutil.rmtree(root / "replaced")
    (root / "replaced").mkdir()
    (root / "replaced/y").touch()
    (root / "file").unlink()
    (root / "file").mkdir()
    (root / "file/x").touch()
    shutil.rmtree(root / "folder")
    (root / "folder").write_text("no folder")
    (root / "way").unlink()
    (root / "way").mkdir()
    (root / "way/x").touch()
    os.link(root / "links/one", root / "srv/other")
    (root / "caf").with_name(os.fsdecode(b"caf\xe9")).touch()
    (root / ("n" * 255)).touch()
    root.chmod(0o700)


def layer_of(home, image):
    """The entries of an image's top layer, kind and path."""
    tar = home.store.layers.tar(image.layers[-1].diff_id).read_bytes()
    return [(each.kind.name, os.fsdecode(each.path)) for each in entries_of(tar)]


def against(home, image, container):
    """How the container differs from a new one of the image."""
    box, made = LocalContainer(home, container, "box"), LocalImage(home.store, image, "new")

    def same_content(path, old, new):
        if not old.entry.size:
            return True
        return b"".join(made.content(Finding(path, old))) == b"".join(
            box.content(Finding(path, new))
        )

    try:
        return compare(views.base_tree(home.store, image), box.tree(), same_content)
    finally:
        box.close()
        made.close()


def without_times(found):
    """A scan but for what a second tool is free to do: the times of folders."""
    return {
        path: replace(each, mtime=0) if each.kind == "directory" else each
        for path, each in found.items()
        if path not in INIT
    }


# -- the image ------------------------------------------------------------------------------------


def test_the_image_is_what_the_container_shows(home, cli, change, commit, container, tmp_path):
    """XA-01, HL-01: unpacked, it has every name, byte, owner, time, xattr and link of the mount."""
    seen = change(work)

    image = commit()

    assert against(home, image, container) == []
    assert cli("unpack", "new:1", tmp_path / "unpacked") == (0, "", "")
    unpacked = without_times(scan(tmp_path / "unpacked"))
    assert differences(without_times(seen), unpacked) == []
    assert stores.faults(home.store.root) == []


@pytest.mark.debian("skopeo", "umoci")
def test_umoci_unpacks_the_same(cli, change, commit, tmp_path):
    """Copied by skopeo, which checks all digests, and unpacked by umoci, it is the same tree."""
    change(work)
    commit()
    name = "docker.io/library/new:1"
    source = f"oci:{os.environ['LAYERKIT_ROOT']}:{name}"
    run("skopeo", "--insecure-policy", "copy", "-q", source, f"oci:{tmp_path}/copy:new")

    run("umoci", "unpack", "--image", f"{tmp_path}/copy:new", tmp_path / "bundle")

    cli("unpack", "new:1", tmp_path / "unpacked")
    wanted = without_times(scan(tmp_path / "unpacked"))
    assert differences(wanted, without_times(scan(tmp_path / "bundle/rootfs"))) == []


@pytest.mark.debian("buildah")
def test_buildah_unpacks_the_same(cli, change, commit, tmp_path):
    """What podman would show, for it shares that code, is the same tree."""
    change(work)
    commit()
    state = Path(os.environ["LAYERKIT_ROOT"])
    # It makes a name of the path, in which it bears no capital letter.
    source = f"oci:{state.name}:docker.io/library/new:1"
    cli("unpack", "new:1", tmp_path / "unpacked")
    store = ("--root", f"{tmp_path}/storage", "--runroot", f"{tmp_path}/run")
    buildah = ("buildah", *store, "--storage-driver", "vfs")
    box = run(*buildah, "from", "--quiet", "--pull", source, cwd=state.parent)
    try:
        found = without_times(scan(run(*buildah, "mount", box)))
    finally:
        run(*buildah, "umount", box)
        run(*buildah, "rm", box)

    assert differences(without_times(scan(tmp_path / "unpacked")), found) == []


def run(*command, cwd=None):
    """The output of another tool."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_documents_say_what_was_made(home, image, change, commit):
    """EX-26: base layers stay, one diffID and one step come; what the base was made by goes."""
    change(lambda root: (root / "new").touch())

    made = commit("-m", "why", "-a", "me", "-c", "ENV A=1", "-c", 'CMD ["run"]')

    manifest = json.loads(home.store.blobs.read(made.manifest, 1 << 20))
    config = json.loads(home.store.blobs.read(made.config, 1 << 20))
    layer = home.store.layers.tar(made.layers[-1].diff_id).read_bytes()
    assert made.layers[:-1] == image.layers
    assert manifest["layers"][-1] == {
        "mediaType": "application/vnd.oci.image.layer.v1.tar",
        "digest": str(made.layers[-1].diff_id),
        "size": len(layer),
    }
    assert [each["digest"] for each in manifest["layers"]] == [
        str(each.blob) for each in made.layers
    ]
    assert config.pop("created") == config["history"][-1]["created"]
    assert config == {
        "architecture": "amd64",
        "os": "linux",
        "os.version": "9",
        "author": "me",
        "config": {"Env": ["PATH=/bin", "A=1"], "Cmd": ["run"]},
        "rootfs": {"type": "layers", "diff_ids": [str(each.diff_id) for each in made.layers]},
        "history": [
            {"created_by": "one"},
            {"created_by": "two"},
            {
                "created": config["history"][-1]["created"],
                "created_by": "sh -c true",
                "author": "me",
                "comment": "why",
            },
        ],
    }


def test_without_a_change_there_is_a_step_and_no_layer(home, image, cli, container, commit):
    """EX-04: the layers are the base's, and the history says so."""
    made = commit("-c", "USER app")

    assert made.layers == image.layers
    step = json.loads(home.store.blobs.read(made.config, 1 << 20))["history"][-1]
    assert step["empty_layer"] is True
    assert cli("history", "new:1").code == 0
    assert against(home, made, container) == []


def test_a_socket_alone_is_no_layer(home, image, cli, change):
    """EX-09: it is told, and nothing else of the layer is left."""
    change(bind("sock"))

    outcome = cli("commit", "box", "new:1")

    assert (outcome.code, outcome.err) == (
        0, "warning: left out socket 'sock': a tar holds none\n"
    )  # fmt: skip
    (name,) = [each for each in home.store.database.names() if each.name.endswith("new:1")]
    assert home.store.database.image(name.manifest).layers == image.layers


def bind(name):
    """Make a socket."""

    def act(root):
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(root / name))

    return act


def test_sockets_are_left_out_and_their_neighbours_stay(home, cli, change, commit):
    """EX-09: a warning, the files beside it, and a whiteout for the file it took the place of."""

    def act(root):
        (root / "srv/a").touch()
        (root / "d/a").unlink()
        bind("srv/b")(root)
        bind("d/a")(root)
        (root / "srv/c").touch()

    change(act)

    assert layer_of(home, commit()) == [
        ("DIRECTORY", "d"), ("WHITEOUT", "d/a"),
        ("DIRECTORY", "srv"), ("FILE", "srv/a"), ("FILE", "srv/c"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("act", "wanted"),
    [
        pytest.param(lambda root: root.chmod(0o750), [("DIRECTORY", "")], id="EX-23-chmod"),
        pytest.param(lambda root: os.chown(root, 9, 9), [("DIRECTORY", "")], id="EX-23-chown"),
        pytest.param(lambda root: (root / "n").touch(), [("FILE", "n")], id="EX-23-another"),
    ],
)
def test_the_root_is_written_when_it_changed(home, change, commit, container, act, wanted):
    """Its own mode and owner are kept; a new file in it is none of its changes."""
    change(act)

    made = commit()

    assert layer_of(home, made) == wanted
    box = LocalContainer(home, container, "box")
    tree = LocalImage(home.store, made, "new").tree()
    assert (tree.entry.mode, tree.entry.uid) == (box.tree().entry.mode, box.tree().entry.uid)
    box.close()


def test_a_copy_that_equals_its_original_is_left_out(home, image, change, commit):
    """EX-04: what overlayfs copied up without a change (OV-35) is in no layer."""

    def act(root):
        (root / "d/a").chmod(0o644)
        os.close(os.open(root / "top", os.O_RDWR))
        (root / "srv/x").touch()
        (root / "srv/x").unlink()

    change(act)

    assert commit().layers == image.layers


def test_a_new_name_of_an_unchanged_file(home, change, commit, container, cli, tmp_path):
    """EX-07: both names come, and are one file wherever the layer is applied."""
    change(lambda root: os.link(root / "links/one", root / "d/l1"))

    made = commit()

    assert layer_of(home, made) == [
        ("DIRECTORY", "d"), ("FILE", "d/l1"), ("DIRECTORY", "links"), ("HARDLINK", "links/one"),
    ]  # fmt: skip
    cli("unpack", "new:1", tmp_path / "unpacked")
    assert scan(tmp_path / "unpacked")[b"d/l1"].links == {b"d/l1", b"links/one"}


def test_a_whiteout_is_an_empty_file_of_no_time(home, change, commit):
    """EX-12, EX-13: a regular file without content, dated 1970, whenever it was made."""
    change(lambda root: (root / "top").unlink())

    tar = home.store.layers.tar(commit().layers[-1].diff_id).read_bytes()

    header = tar[:512]
    assert header[:100].rstrip(b"\0") == b".wh.top"
    assert header[124:136] == header[136:148] == b"00000000000\0"
    assert header[156:157] == b"0"


def test_holes_are_written_as_zeros(home, change, commit):
    """EX-21: a sparse file becomes a plain one of its full size."""

    def act(root):
        with (root / "holes").open("wb") as holes:
            holes.seek(1 << 20)
            holes.write(b"end")
            holes.truncate(2 << 20)

    change(act)

    tar = home.store.layers.tar(commit().layers[-1].diff_id).read_bytes()
    (entry,) = entries_of(tar)
    assert (entry.kind, entry.size, entry.extents) == (Kind.FILE, 2 << 20, None)
    assert tar[entry.data + (1 << 20) : entry.data + (1 << 20) + 3] == b"end"


def test_times_come_back_as_they_were(home, change, commit, container):
    """EX-15: fractions of a second are kept, so a comparison afterwards is empty."""

    def act(root):
        (root / "t").touch()
        os.utime(root / "t", ns=(0, TIME * 10**9 + 5))

    change(act)
    made = commit()

    assert LocalImage(home.store, made, "new").tree().children[b"t"].entry.nanos == 5
    assert against(home, made, container) == []


@pytest.mark.usefixtures("container")
def test_a_file_that_changes_its_size_meanwhile(home, cli, change, monkeypatch):
    """EX-22: what is missing is zeros, with a warning; the layer is well-formed."""
    change(lambda root: (root / "n").write_bytes(b"x" * 5000))
    upper = containers.upper_of(home, containers.find_container(home, "box"))
    content = LocalContainer.content

    def shrunk(self, finding):
        os.truncate(upper / "n", 10)
        return content(self, finding)

    monkeypatch.setattr(LocalContainer, "content", shrunk)

    outcome = cli("--progress", "none", "commit", "box", "new:1")

    assert outcome.err == "warning: filled 'n' with 4990 zeros: it shrank meanwhile\n"
    assert cli("cat", "new:1:/n").out == "x" * 10 + "\0" * 4990


def test_a_whiteout_device_cannot_be_made_inside(change):
    """EX-25, OV-13: overlayfs itself refuses a character device 0:0."""

    def act(root):
        with pytest.raises(PermissionError):
            os.mknod(root / "srv/zero", 0o666 | stat.S_IFCHR, 0)

    change(act)


def test_a_name_with_a_digest_is_refused(cli, container):
    """A digest names what is there already."""
    outcome = cli("commit", "box", f"new@sha256:{'0' * 64}")

    assert outcome.code == 2
    assert "a digest names an image already" in outcome.err


def test_docker_types_become_those_of_oci(home, cli, tmp_path):
    """EX-26: on layers with docker's media types, the new manifest is an OCI one throughout."""
    digest = f"sha256:{hashlib.sha256(LAYERS[0]).hexdigest()}"
    docker = "application/vnd.docker.image.rootfs.diff.tar.gzip"
    layer = tars.Blob(tars.gzipped(LAYERS[0]), digest, docker)
    homes.create(home, homes.load_layers(home, tmp_path / "docker", [layer]), name="box")

    made = home.store.database.images_by_id(cli("commit", "box").out.strip()[7:])[0]

    manifest = json.loads(home.store.blobs.read(made.manifest, 1 << 20))
    assert manifest["mediaType"] == "application/vnd.oci.image.manifest.v1+json"
    assert [each["mediaType"] for each in manifest["layers"]] == [
        "application/vnd.oci.image.layer.v1.tar+gzip"
    ]


# -- the same change, the same digest -------------------------------------------------------------


def test_the_same_change_gives_the_same_image(home, image, cli, commit, tmp_path, monkeypatch):
    """EX-20: with SOURCE_DATE_EPOCH, what two containers did alike is one image; all dates are it."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", str(TIME + 5))
    found = []
    for name in ("box", "other"):
        box = homes.create(home, image, name=name)
        with homes.root_of(home, image, box, tmp_path / name) as root:
            work(root)
        outcome = cli("commit", name)
        assert outcome.code == 0, outcome.err
        found.append(outcome.out)

    assert found[0] == found[1]
    made = home.store.database.images_by_id(found[0].strip()[7:])[0]
    assert made.created == "2001-09-09T01:46:45Z"
    tar = home.store.layers.tar(made.layers[-1].diff_id).read_bytes()
    assert {each.seconds for each in entries_of(tar)} <= {0, TIME, TIME + 5}


def test_a_layer_has_nothing_of_the_moment_or_the_machine(home, change, commit):
    """EX-20: no names of owners, no access times, no device numbers but a device's."""
    change(work)

    tar = home.store.layers.tar(commit().layers[-1].diff_id).read_bytes()

    assert b"atime" not in tar
    assert b"ctime" not in tar
    for entry in entries_of(tar):
        header = tar[entry.data - 512 : entry.data] if entry.kind is Kind.FILE else b""
        assert header[265:329].strip(b"\0") == b""
        assert header[329:345].strip(b"0\0") == b""


# -- with a container that ran ----------------------------------------------------------------------


@pytest.fixture
def busybox(cli, tmp_path):
    """The name of an image with a shell."""
    if obstacle := boxes.obstacle():
        pytest.skip(obstacle)
    root = boxes.make_image(tmp_path / "busybox")
    run("tar", "-C", root, "-cf", tmp_path / "busybox.tar", ".")
    assert cli("import", "-c", 'CMD ["sh"]', tmp_path / "busybox.tar", "busybox:1").code == 0
    return "busybox:1"


def test_what_ran_in_a_container_runs_in_its_image(busybox, cli):
    """A command's work is there for containers of the new image, with the new command."""
    script = "echo hello > /srv.txt; rm /etc/group"
    assert cli("run", "--name", "c", busybox, "sh", "-c", script).code == 0

    outcome = cli("commit", "-c", 'CMD ["cat", "/srv.txt"]', "c", "new:1")

    assert outcome.code == 0, outcome.err
    assert cli("run", "--name", "again", "new:1").out == "hello\n"
    assert cli("diff", "again").out == ""
    assert cli("run", "--rm", "new:1", "ls", "/etc/group").code == 1


def test_what_is_mounted_is_not_committed(busybox, cli, home):
    """EX-27, EX-28: neither files below mounts nor what layerkit put there to mount on."""
    script = "echo x >> /etc/hosts; echo x > /dev/shm/x; mkdir /d; touch /d/x"
    assert cli("run", "--name", "c", busybox, "sh", "-c", script).code == 0

    digest = cli("commit", "c").out.strip()

    made = home.store.database.images_by_id(digest[7:])[0]
    assert layer_of(home, made) == [("DIRECTORY", "d"), ("FILE", "d/x")]
