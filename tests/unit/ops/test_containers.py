"""Containers are made whole or not at all, found as docker finds them, and removed."""

from __future__ import annotations

import os
import stat

import pytest
from msgspec.structs import replace
from support import disks, homes, tars
from support.processes import child, until

from layerkit.errors import ConflictError, NotFoundError, StoreError, StoreFullError, UsageError
from layerkit.ops import containers, states, surroundings
from layerkit.ops.home import Home
from layerkit.store.files import Lock

pytestmark = pytest.mark.root
ROOT = tars.archive(tars.directory("./", 0o750, uid=7, gid=8, mtime=5), tars.file("f"))


@pytest.fixture
def image(home, tmp_path):
    """The image `app:1`, whose root is not everybody's."""
    return homes.load_layers(home, tmp_path / "layout", [ROOT])


def folders(home):
    """What is in the folder of containers, and in the one for what has no name."""
    root = home.store.root
    return [path.name for name in ("containers", "ingest") for path in (root / name).iterdir()]


@pytest.mark.parametrize("umask", [0, 0o022, 0o077])
def test_a_container_has_its_files(home, image, umask):
    """Whatever the umask, users inside can read what is bound over their files."""
    old = os.umask(umask)
    try:
        container = homes.create(home, image, name="box")
    finally:
        os.umask(old)

    folder = containers.folder_of(home, container)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert {name: modes[name] for name in homes.TEXTS} == dict.fromkeys(homes.TEXTS, 0o644)
    assert (folder / "hostname").read_text() == "box\n"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    written = containers.read_config(home, container)
    assert replace(written, user_xattrs=None) == homes.CONFIG


def test_the_root_of_a_container_is_the_images(home, image):
    """SN-14: the upper gives the mounted root its mode, owner and time."""
    container = homes.create(home, image)

    status = containers.upper_of(home, container).stat()
    assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid) == (0o750, 7, 8)
    assert status.st_mtime == 5


def test_an_id_is_no_number():
    """Its beginning becomes a host name, which must not be all digits."""
    made = {containers.new_id() for _ in range(100)}

    assert len(made) == 100
    assert all(len(each) == 64 and not each[:12].isdigit() for each in made)


def test_a_container_without_a_name_gets_one(home, image):
    """Two words that nobody has."""
    names = {homes.create(home, image).name for _ in range(30)}

    assert len(names) == 30


@pytest.mark.parametrize("name", ["", "-a", ".a", "_a", "a b", "a/b", "../x", "ä1", "a\n"])
def test_a_bad_name_is_refused(home, image, name):
    """The rule is told, and nothing is made."""
    with pytest.raises(UsageError, match="invalid container name"):
        homes.create(home, image, name=name)

    assert folders(home) == []


def test_a_name_is_taken_once(home, image):
    """The second container is not made."""
    first = homes.create(home, image, name="box")

    with pytest.raises(ConflictError, match=f"in use by container {first.id[:12]}"):
        homes.create(home, image, name="box")

    assert folders(home) == [first.id]


def test_an_image_that_was_removed_meanwhile(home, image):
    """The container is not made."""
    home.store.remove_names(["docker.io/library/app:1"], [image])

    with pytest.raises((ConflictError, NotFoundError)):
        homes.create(home, image)

    assert home.store.database.containers() == []
    assert folders(home) == []


def test_a_full_disk_leaves_nothing(tmp_path):
    """No room left is an error of its own, and no half-made container stays."""
    with disks.small_ext4(tmp_path, 8 << 20) as place, Home(place / "state") as home:
        image = homes.load_layers(home, tmp_path / "layout", [ROOT])
        homes.create(home, image, name="first")
        before = folders(home)
        disks.fill(place, 8192)

        def make():
            for number in range(1000):
                homes.create(home, image, name=f"box-{number}")

        with pytest.raises(StoreFullError):
            make()

        kept = {container.id for container in home.store.database.containers()}
        assert set(folders(home)) == kept
        assert set(before) <= kept


def test_containers_are_found(home, image):
    """By name, id, and the beginning of an id."""
    container = homes.create(home, image, name="box")

    for text in ("box", container.id, container.id[:12], container.id[0]):
        assert containers.find_container(home, text) == container
    for text in ("", "nope", container.id + "0"):
        with pytest.raises(NotFoundError, match="no such container"):
            containers.find_container(home, text)


def test_an_ambiguous_id_is_refused(home, image):
    """The beginning of several ids says how many."""
    made = [homes.create(home, image) for _ in range(17)]
    firsts = [container.id[0] for container in made]
    digit = next(digit for digit in firsts if firsts.count(digit) > 1)

    with pytest.raises(UsageError, match=f"it begins {firsts.count(digit)} ids"):
        containers.find_container(home, digit)


def test_a_container_is_removed(home, image):
    """Record and files go; its name is free again."""
    container = homes.create(home, image, name="box")

    containers.remove_container(home, container)

    assert folders(home) == []
    homes.create(home, image, name="box")


def test_a_running_container_stays(home, image):
    """While another process runs it, it is in use."""
    container = homes.create(home, image, name="box")
    folder = containers.folder_of(home, container)

    def run():
        with Lock(folder / "lock"):
            states.write(home, container, states.Run(5.0, pid=os.getpid()))
            (folder / "runs").touch()
            until(lambda: False)

    with child(run):
        until((folder / "runs").exists)
        with pytest.raises(ConflictError, match="it is running"):
            containers.remove_container(home, container)

    containers.remove_container(home, container)


def test_a_deep_container_is_removed(home, image):
    """What a container nests deeper than Python recurses goes with it."""
    container = homes.create(home, image)
    below = os.open(containers.upper_of(home, container), os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("n", dir_fd=below)
        above, below = below, os.open("n", os.O_RDONLY, dir_fd=below)
        os.close(above)
    os.close(below)

    containers.remove_container(home, container)

    assert folders(home) == []


def test_the_files_of_a_container_are_bound_over_its_own(home, image):
    """hosts, hostname and resolv.conf come from its folder."""
    container = homes.create(home, image)

    binds = surroundings.binds(home, container)

    assert {bind.target for bind in binds} == {"/etc/hosts", "/etc/hostname", "/etc/resolv.conf"}
    assert all(bind.source.is_file() and not bind.readonly for bind in binds)


def test_a_container_whose_files_are_gone(home, image):
    """A folder that somebody took away is a store error, not a traceback."""
    container = homes.create(home, image)
    (containers.folder_of(home, container) / "config.json").unlink()

    with pytest.raises(StoreError, match="cannot read container"):
        containers.read_config(home, container)
