"""Volumes and bind mounts as docker's users know them, by whole commands."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from support import boxes

from layerkit.ops.home import Home
from layerkit.snapshot import upper

pytestmark = pytest.mark.root

MARK = "of the image"


@pytest.fixture
def image(cli, tmp_path):
    """Makes an image: busybox, what `prepare(root)` does, and changes of its config; its name."""
    if obstacle := boxes.obstacle():
        pytest.skip(obstacle)

    def make(prepare=lambda _root: None, *changes, name="app:1"):
        root = boxes.make_image(tmp_path / name.replace(":", "-"))
        prepare(root)
        tar = tmp_path / f"{name}.tar"
        subprocess.run(["tar", "-S", "--xattrs", "-C", root, "-cf", tar, "."], check=True)
        options = [part for change in ('CMD ["sh"]', *changes) for part in ("-c", change)]
        assert cli("import", *options, tar, name).code == 0
        return name

    return make


@pytest.fixture
def app(image):
    """The name of an image with a filled `/data`."""
    return image(fill)


@pytest.fixture
def sh(cli):
    """Runs a shell line in a new container of `app:1`, with these options; gives what it printed."""

    def run(line, *options, name="app:1"):
        outcome = cli("run", "--network=none", *options, name, "sh", "-c", line)
        assert (outcome.code, outcome.err) == (0, ""), outcome
        return outcome.out

    return run


def fill(root):
    """Put one of each kind of file into `/data`."""
    folder = root / "data"
    (folder / "inner").mkdir(parents=True)
    (folder / "file").write_text(MARK)
    os.link(folder / "file", folder / "inner/twin")
    (folder / "link").symlink_to("inner/twin")
    (folder / "inner/run").write_text("#!/bin/sh\n")
    os.chown(folder / "inner/run", 7, 8)
    (folder / "inner/run").chmod(0o4755)
    os.setxattr(folder / "file", "user.note", b"yes")
    os.mkfifo(folder / "pipe", 0o640)
    with open(folder / "holes", "wb") as file:
        file.truncate(1 << 20)
    os.chown(folder, 1000, 1001)
    folder.chmod(0o2750)


def data(state_root, name):
    """The folder that containers see of a volume."""
    return state_root / "volumes" / name / "_data"


def volumes(cli, *options):
    """The names that `volume ls` prints."""
    return cli("volume", "ls", "-q", *options).out.split()


def plain(folder):
    """All entries of a folder; the order of two names of one file is not told."""
    return {each.path: each for each in upper.read_plain(folder)}


# -- what a volume begins with --------------------------------------------------------------------


@pytest.mark.parametrize("driver", ["erofs", "overlay", "copy"])
def test_a_new_volume_has_what_the_image_has(cli, app, sh, state_root, tmp_path, driver):
    """Owner, mode, times, xattrs, links and devices of all, and of the folder itself."""
    outcome = cli(
        "--driver", driver, "run", "--network=none", "-v", "new:/data", app, "cat", "/data/link"
    )

    assert outcome == (0, MARK, "")
    wanted, found = plain(tmp_path / "app-1/data"), plain(data(state_root, "new"))
    assert list(found) == list(wanted)
    for path, entry in wanted.items():
        kept = (entry.kind, entry.mode, entry.uid, entry.gid, entry.seconds, entry.size, entry.link)
        other = found[path]
        assert kept == (
            *(other.kind, other.mode, other.uid, other.gid),
            *(other.seconds, other.size, other.link),
        ), path
        assert entry.xattrs == other.xattrs
    assert (data(state_root, "new") / "holes").stat().st_blocks == 0


def test_a_volume_that_is_used_keeps_what_it_has(cli, app, sh, image):
    """Two containers share it, and an image that has something else there changes nothing."""
    image(lambda root: (root / "data").mkdir(), name="other:1")
    sh("rm -r /data/*; echo mine > /data/file", "-v", "shared:/data")

    assert sh("ls /data", "-v", "shared:/data", name="other:1") == "file\n"
    assert sh("cat /data/file", "-v", "shared:/data") == "mine\n"


def test_an_empty_volume_is_filled_and_one_that_wants_no_copy_is_not(cli, app, sh, state_root):
    """Docker copies into every empty volume, but with nocopy; an inode that is in use stays."""
    assert sh("ls /data", "-v", "vol:/data:nocopy") == ""
    before = data(state_root, "vol").stat().st_ino

    assert "file" in sh("ls /data", "-v", "vol:/data")
    status = data(state_root, "vol").stat()
    assert (status.st_ino, status.st_mode & 0o7777, status.st_uid) == (before, 0o2750, 1000)


def test_a_place_that_the_image_has_not_begins_empty(app, sh, state_root):
    """Such a volume is root's, with mode 755."""
    assert sh("ls -A /new/place; stat -c %u:%a /new/place", "-v", "vol:/new/place") == "0:755\n"


def test_a_volume_begins_with_what_the_snapshot_has(cli, app, sh):
    """With --from, what was frozen lies above the image."""
    sh("rm /data/file; echo new > /data/added", "--name", "c")
    assert cli("snapshot", "create", "c", "s").code == 0

    ran = cli(
        "run",
        "--from",
        "c@s",
        "--network=none",
        "-v",
        "v1:/data",
        "sh",
        "-c",
        "cat /data/*d /data/link",
    )

    assert ran == (0, f"new\n{MARK}", "")


def test_two_that_start_at_once_share_one_whole_volume(app, layerkit_command, state_root, tmp_path):
    """Whoever comes second finds all of it."""
    line = "cat /data/link && ls /data | wc -l"
    command = [*layerkit_command, "run", "--network=none", "-v", "vol:/data", app, "sh", "-c", line]
    running = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        for _ in range(3)
    ]

    assert [each.communicate()[0] for each in running] == [f"{MARK}5\n".encode()] * 3
    assert sorted(os.listdir(state_root / "volumes")) == ["vol"]
    assert os.listdir(state_root / "ingest") == []


def test_a_volume_that_cannot_be_written_is_not_there(cli, app, state_root, monkeypatch):
    """What breaks off in the middle leaves neither a volume nor a container."""

    def fail(*_arguments, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("layerkit.snapshot.fill.copy", fail)
    outcome = cli("run", "-v", "vol:/data", app, "true")

    assert outcome.code == 125
    assert "no space left on device" in outcome.err
    assert volumes(cli) == cli("ps", "-aq").out.split() == os.listdir(state_root / "ingest") == []


def test_a_crash_while_an_empty_volume_is_filled_is_gone_on_from(
    cli, app, sh, state_root, monkeypatch
):
    """What was to be there comes with the next container."""
    assert cli("volume", "create", "vol").code == 0
    rename = os.rename

    def crash(source, target, **options):
        if Path(target).name == "holes":
            raise KeyboardInterrupt
        rename(source, target, **options)

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", crash)
        assert cli("create", "-v", "vol:/data", app).code == 130

    assert sh("ls /data", "-v", "vol:/data").split() == ["file", "holes", "inner", "link", "pipe"]


def test_etc_as_a_volume_has_the_files_of_the_container(app, sh):
    """hosts, hostname and resolv.conf are the container's own, also there."""
    assert (
        sh("cat /etc/hostname; ls /etc/passwd", "-h", "box", "-v", "etc:/etc")
        == "box\n/etc/passwd\n"
    )


# -- volumes without a name -----------------------------------------------------------------------


def test_an_images_volumes_are_made_for_each_container(cli, image, sh):
    """They begin with what the image has; where the user mounts something, that is there."""
    image(fill, "VOLUME /data /empty/")
    assert sh("cat /data/file; ls -A /empty", "--name", "one") == MARK
    (first, second) = volumes(cli)
    assert len(first) == len(second) == 64

    assert sh("ls /data", "-v", "mine:/data:nocopy", "--name", "two") == ""
    assert set(volumes(cli)) > {"mine", first, second}
    assert len(volumes(cli)) == 4


def test_volumes_without_a_name_go_with_their_container(cli, image, sh):
    """--rm and rm -v remove them, rm alone does not, and those with a name stay."""
    image(fill, "VOLUME /data")
    sh("true", "--rm", "-v", "/other", "-v", "named:/third")
    assert volumes(cli) == ["named"]

    sh("true", "--name", "one")
    sh("true", "--name", "two", "-v", "named:/third")
    assert cli("rm", "one").code == 0
    assert len(volumes(cli)) == 3
    assert cli("rm", "-v", "two").code == 0
    assert len(volumes(cli)) == 2
    assert "named" in volumes(cli)


def test_a_volume_without_a_name_that_another_container_uses_stays(cli, app, sh):
    """It was mounted there by the name that it got."""
    sh("echo x > /v/x", "--name", "one", "-v", "/v")
    (name,) = volumes(cli)
    sh("true", "--name", "two", "-v", f"{name}:/w")

    assert cli("rm", "-v", "one").code == 0
    assert volumes(cli) == [name]
    assert cli("rm", "-v", "two").code == 0
    assert volumes(cli) == [name]


def test_a_container_that_cannot_be_made_leaves_no_volume(cli, image, sh):
    """A name that is taken is found out late."""
    image(fill, "VOLUME /data")
    sh("true", "--name", "taken", "-v", "one:/data")

    assert cli("create", "--name", "taken", "app:1").code == 125
    assert volumes(cli) == ["one"]


def test_a_branch_has_unnamed_volumes_of_its_own(cli, image, sh):
    """What has a name is shared."""
    image(fill, "VOLUME /data")
    sh("echo x > /data/x; echo y > /named/y", "--name", "one", "-v", "named:/named")
    assert cli("snapshot", "create", "one", "s").code == 0
    assert cli("snapshot", "branch", "one@s", "two").code == 0

    used = [
        json.loads(cli("ps", "-a", "--no-trunc", "--format", "json", "-f", f"name={name}").out)
        for name in ("one", "two")
    ]
    first, second = (set(each["Mounts"].split(",")) for each in used)
    assert first & second == {"named"}
    assert len(first | second) == 3


@pytest.mark.parametrize(
    "place",
    ["/", "//", "/a/..", "/a\\u0000b"],
    ids=["root", "slashes", "dots", "nul"],
)
def test_a_volume_that_cannot_be_is_refused(cli, image, place):
    """What the image wants is named; nothing is made."""
    image(fill, f'VOLUME ["{place}"]')
    outcome = cli("create", "app:1")

    assert outcome.code == 125
    assert "the image wants a volume on" in outcome.err
    assert volumes(cli) == []


# -- where mounts go ------------------------------------------------------------------------------


def test_containers_of_one_image_do_not_see_each_other(cli, app, sh):
    """RT-F01: each has its own files, and the image has none of them."""
    sh("echo one > /x", "--name", "one")
    sh("test ! -e /x; echo two > /x; cat /x", "--name", "two")

    assert cli("diff", "one").out == cli("diff", "two").out == "A /x\n"
    assert cli("cat", "one:/x").out == "one\n"
    assert cli("ls", "app:1:/x").code != 0


def test_a_diff_tells_what_was_done(cli, app, sh):
    """RT-F02: and nothing of what layerkit mounts or binds."""
    sh("echo a > /n; rm /etc/group; chmod 600 /etc/passwd; mkdir -p /d/e", "--name", "c")

    assert set(cli("diff", "c").out.splitlines()) == {
        *("A /n", "D /etc/group", "C /etc/passwd", "A /d", "A /d/e", "C /etc"),
    }


@contextlib.contextmanager
def mounted(place, *options):
    """A tmpfs on the host, while the block runs."""
    place.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", *options, "layerkit-test", place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def test_what_the_host_mounts_later_is_not_seen(cli, app, tmp_path):
    """RT-F10: even below a bind mount whose source passes mounts on."""
    with mounted(tmp_path / "h") as shared:
        subprocess.run(["mount", "--make-shared", shared], check=True)
        (shared / "sub").mkdir()
        started = cli(
            "run", "-d", "--network=none", "--name", "c", "-v", f"{shared}:/c", app, "sleep", "1000"
        )
        assert started.code == 0
        try:
            with mounted(shared / "sub"):
                (shared / "sub/late").touch()
                assert cli("exec", "c", "ls", "-A", "/c/sub") == (0, "", "")
        finally:
            assert cli("rm", "-f", "c").code == 0


def test_readonly_holds_for_all_below(cli, app, tmp_path):
    """RT-F12: files, folders, and what is mounted in them on the host."""
    (tmp_path / "f").touch()
    with mounted(tmp_path / "h") as folder, mounted(folder / "sub"):
        line = "touch /c/x; touch /c/sub/x; echo > /f; rm /v/file; ls -A /c /c/sub"
        ran = cli(
            *(
                "run",
                "--rm",
                "--network=none",
                "-v",
                f"{folder}:/c:ro",
                "-v",
                f"{tmp_path / 'f'}:/f:ro",
            ),
            *("-v", "vol:/v:ro", app, "sh", "-c", line),
        )

        assert ran.err.count("Read-only file system") == 3
        assert ran.out == "/c:\nsub\n\n/c/sub:\n"


@pytest.mark.parametrize(
    ("link", "target", "kind"),
    [
        ("l", "/l/x", "folder"),
        ("l", "/l/x/y", "file"),
        ("dangling", "/dangling", "folder"),
        ("dangling", "/dangling/x", "file"),
    ],
    ids=["SE-16-folder", "SE-16-file", "SE-39-dangling", "SE-39-dangling-file"],
)
def test_a_target_stays_inside(cli, image, sh, tmp_path, link, target, kind):
    """RT-F12: links of the image lead to places in it, and nothing is made on the host."""
    outside, host = tmp_path / "outside", tmp_path / "h"
    outside.mkdir()

    def prepare(root):
        (root / "l").symlink_to(outside)
        (root / "dangling").symlink_to(f"../../..{outside}/deep/er")
        (root / outside.relative_to("/")).mkdir(parents=True)

    image(prepare)
    if kind == "file":
        host.write_text(MARK)
        assert sh(f"cat {target}", "-v", f"{host}:{target}") == MARK
    else:
        host.mkdir()
        (host / "mark").write_text(MARK)
        assert sh(f"cat {target}/mark", "-v", f"{host}:{target}") == MARK
    assert os.listdir(outside) == []


@pytest.mark.parametrize("target", ["/proc", "/proc/sys", "/p/sys", "/r", "/r/proc/self"])
def test_proc_and_the_root_are_never_covered(cli, image, tmp_path, target):
    """SE-16: not by links either; the container does not start."""

    def prepare(root):
        (root / "p").symlink_to("proc")
        (root / "r").symlink_to("../..")

    image(prepare)
    outcome = cli("run", "--rm", "--network=none", "-v", f"{tmp_path}:{target}", "app:1", "true")

    assert outcome.code == 125
    assert f"cannot mount on {target}: it l" in outcome.err


@pytest.mark.parametrize("link", ["/", "../../..", "/data/..", "."])
def test_a_volume_at_a_link_to_the_root_is_refused(cli, image, link):
    """SE-58: neither the host's root nor the image's gets into a volume."""
    image(lambda root: (root / "src").symlink_to(link))
    outcome = cli("create", "-v", "vol:/src", "app:1")

    assert outcome.code == 125
    assert "cannot mount a volume on /src: it leads to the root" in outcome.err
    assert volumes(cli) == []


def test_a_volume_at_a_link_has_what_the_image_has_there(cli, image, sh, tmp_path):
    """SE-58: a link is followed in the image, never on the host."""
    (tmp_path / "there").mkdir()
    (tmp_path / "there/secret").touch()

    def prepare(root):
        (root / "src").symlink_to(tmp_path / "there")
        place = root / (tmp_path / "there").relative_to("/")
        place.mkdir(parents=True)
        (place / "mark").touch()

    image(prepare)

    assert sh("ls /src", "-v", "vol:/src") == "mark\n"


SWAPPER = """
import os, sys
folder, outside = sys.argv[1:]
os.chdir(folder)
os.makedirs("real", exist_ok=True)
os.symlink(outside, "fake")
print(flush=True)
while True:
    for name in ("fake", "real"):
        try:
            os.rename("at", "spare")
        except OSError:
            pass
        try:
            os.rename(name, "at")
            os.rename("at", name)
        except OSError:
            pass
"""


def test_a_shared_volume_whose_folders_are_swapped(cli, app, tmp_path, state_root):
    """SE-16, SE-38, SE-39: whatever another container does there meanwhile, nothing is made outside."""
    outside, host = tmp_path / "outside", tmp_path / "h"
    outside.mkdir()
    host.mkdir()
    assert cli("volume", "create", "shared").code == 0
    command = [sys.executable, "-c", SWAPPER, data(state_root, "shared"), outside]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as swapper:
        try:
            swapper.stdout.readline()
            for number in range(8):
                target = f"/v/at/new{number}/x"
                options = ["-v", "shared:/v:nocopy", "-v", f"{host}:{target}"]
                outcome = cli("run", "--rm", "--network=none", *options, app, "true")
                assert outcome.code in {0, 125}
                assert "internal error" not in outcome.err
        finally:
            swapper.kill()

    assert os.listdir(outside) == os.listdir(host) == []


def test_a_missing_working_directory_is_made(sh, app):
    """RT-F15: with its parents, as root's, mode 755."""
    assert sh("pwd; stat -c %u:%a /a /a/b .", "-w", "/a/b/c") == "/a/b/c\n" + "0:755\n" * 3


def test_a_missing_source_is_made_for_v_and_refused_for_mount(cli, app, sh, tmp_path):
    """As docker does it; --mount can ask for it."""
    new = tmp_path / "new"
    outcome = cli("create", "--mount", f"type=bind,src={new},dst=/c", app)
    assert (outcome.code, new.exists()) == (125, False)

    sh("touch /c/x", "-v", f"{new}/one:/c")
    sh("touch /c/x", "--mount", f"type=bind,src={new}/two,dst=/c,bind-create-src")
    assert sorted(each.name for each in new.iterdir()) == ["one", "two"]
    assert (new / "one/x").exists()


def test_a_source_can_be_the_root_or_the_state_directory(app, sh, state_root):
    """Docker lets root mount what root can read."""
    assert (
        sh(f"ls /h{state_root}", "-v", "/:/h:ro").split()
        == sh("ls /s", "-v", f"{state_root}:/s").split()
    )


def test_inner_mounts_lie_on_outer_ones(app, sh, tmp_path):
    """Whatever their order."""
    for name in ("in", "out"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()

    options = ["-v", f"{tmp_path}/out:/m", "-v", f"{tmp_path}/in:/m/inner"]
    assert sh("ls /m /m/inner", *options) == "/m:\ninner\nout\n\n/m/inner:\nin\n"


def test_device_files_of_a_volume_cannot_be_opened(app, sh, state_root, cli):
    """One that came from an image could be any disk of the host."""
    assert cli("volume", "create", "vol").code == 0
    os.mknod(data(state_root, "vol") / "zero", 0o666 | 0o020000, os.makedev(1, 5))

    assert "Permission denied" in sh("head -c1 /v/zero 2>&1 || true", "-v", "vol:/v")


# -- what does not show ---------------------------------------------------------------------------


def names(tar):
    """The names in a tar."""
    with tarfile.open(tar) as archive:
        return {each.name.rstrip("/") for each in archive}


def test_mount_points_and_what_is_mounted_show_nowhere(cli, app, sh, tmp_path):
    """DF-32: not in diff, commit, export or a snapshot; what the user made stays."""
    (tmp_path / "h").mkdir()
    (tmp_path / "f").write_text("f")
    line = "touch /vol/x /h/x /deep/er/x; echo > /etc/f; mkdir -p /deep2; touch /some/where/mine"
    sh(
        line,
        *("--name", "c", "-v", "vol:/vol", "-v", f"{tmp_path}/h:/h", "-v", f"{tmp_path}/f:/etc/f"),
        *(
            "-v",
            "/deep/er",
            "-v",
            f"{tmp_path}/h:/some/where/else",
            "-v",
            f"{tmp_path}/h:/data/inner",
        ),
    )
    told = ["A /deep2", "A /some", "A /some/where", "A /some/where/mine"]

    assert cli("diff", "c").out.splitlines() == told
    assert cli("snapshot", "create", "c", "s").code == 0
    assert cli("diff", "c@s").out.splitlines() == told
    assert cli("diff", "app:1", "c").out.splitlines() == told
    assert cli("commit", "c", "new:1").code == 0
    assert cli("diff", "app:1", "new:1").out.splitlines() == told
    assert cli("export", "-o", tmp_path / "c.tar", "c").code == 0
    assert not {"vol", "h", "deep", "etc/f"} & {
        name.removeprefix("./") for name in names(tmp_path / "c.tar")
    }


def test_mount_points_of_a_snapshot_do_not_show_in_what_starts_from_it(cli, app, sh):
    """DF-32: a container that mounts nothing there has them as little."""
    sh("true", "--name", "c", "-v", "vol:/vol")
    assert cli("snapshot", "create", "c", "s").code == 0
    ran = cli("run", "--from", "c@s", "--network=none", "--name", "d", "touch", "/mine")
    assert ran.code == 0

    assert cli("diff", "d").out == "A /mine\n"


def test_a_mount_point_that_was_made_a_link_is_left_to_the_user(cli, app, sh, tmp_path):
    """SE-49: no mount point is removed after a run, so nothing outside can be."""
    (tmp_path / "empty").mkdir()
    sh("true", "--name", "c", "-v", "vol:/stub")
    place = Path(cli("mount", "c").out.strip())
    (place / "stub").rmdir()
    (place / "stub").symlink_to(tmp_path / "empty")
    assert cli("umount", "c").code == 0

    assert cli("diff", "c").out == "A /stub\n"
    assert cli("rm", "-v", "c").code == 0
    assert (tmp_path / "empty").is_dir()


def test_removing_a_volume_follows_no_link(cli, app, sh, tmp_path):
    """SE-49: what its links lead to stays."""
    (tmp_path / "kept/in").mkdir(parents=True)
    sh(f"ln -s {tmp_path}/kept /v/kept", "-v", "vol:/v", "--rm")

    assert cli("volume", "rm", "vol").code == 0
    assert (tmp_path / "kept/in").is_dir()


# -- the commands ---------------------------------------------------------------------------------


def test_a_volume_in_use_stays(cli, app, sh):
    """It goes when no container has it any more, running or not."""
    sh("true", "--name", "c", "-v", "vol:/v")
    outcome = cli("volume", "rm", "vol")

    assert outcome.code != 0
    assert "cannot remove volume vol: it is in use by c" in outcome.err
    assert cli("volume", "prune", "-af").out == "Total reclaimed space: 0B\n"
    assert cli("rm", "c").code == 0
    assert cli("volume", "rm", "vol") == (0, "vol\n", "")
    assert volumes(cli) == []


def test_volumes_are_counted(cli, app, sh):
    """df has a row for them, ps names them."""
    sh("true", "--name", "c", "-v", "used:/data")
    assert cli("volume", "create", "unused").code == 0
    rows = {line[:20].strip(): line[20:].split() for line in cli("df").out.splitlines()}
    listed = json.loads(cli("df", "-v", "--format", "json").out)["Volumes"]

    assert rows["Local Volumes"][:2] == ["2", "1"]
    assert [(each["Name"], each["Links"]) for each in listed] == [("unused", 0), ("used", 1)]
    assert cli("ps", "-a", "--format", "{{.Mounts}}").out == "used\n"
    assert cli("ps", "-aq", "-f", "volume=used").out
    assert volumes(cli, "-f", "dangling=true") == ["unused"]
    assert volumes(cli, "-f", "dangling=false") == ["used"]


def test_what_is_no_volume_is_left_alone(cli, app, state_root):
    """A folder of somebody else's among the volumes is named, and never used."""
    (state_root / "volumes").mkdir(exist_ok=True)
    (state_root / "volumes/foreign").mkdir()
    (state_root / "volumes/foreign/x").touch()

    outcome = cli("create", "-v", "foreign:/v", app)

    assert outcome.code == 125
    assert "foreign is something else" in outcome.err
    with Home(state_root) as home:
        assert (home.volumes / "foreign/x").exists()
    assert volumes(cli) == []
