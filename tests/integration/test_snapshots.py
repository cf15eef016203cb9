"""Snapshots: kept, gone back to, started from, and gone when nothing stands on them."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess

import pytest
from support import boxes, homes, stores, tars
from support.processes import child, kill_myself, outcome
from support.trees import differences, scan

from layerkit.errors import ConflictError, NotFoundError, UsageError
from layerkit.ops import containers, snapshots, states
from layerkit.ops.home import Home
from layerkit.ops.inside import Finding
from layerkit.snapshot import layered
from layerkit.store import files
from layerkit.tree import Kind, walk

pytestmark = pytest.mark.root

BASE = tars.archive(
    tars.directory("./", 0o711, uid=7),
    tars.directory("etc/"),
    tars.file("etc/hosts", "10.0.0.1"),
    tars.file("etc/profile", "profile"),
    tars.directory("d/"),
    tars.file("d/a", "A"),
    tars.file("d/b", "B"),
    tars.hardlink("twin", "d/a"),
)


@pytest.fixture
def state_root(tmp_path):
    """A place whose name overlayfs would take apart if it stood in its options."""
    return tmp_path / "state a:b,c\\d"


@pytest.fixture
def home(state_root):
    """The state directory that the commands use, too."""
    with Home(state_root) as home:
        yield home


@pytest.fixture
def image(home, tmp_path):
    """An image of one layer."""
    return homes.load_layers(home, tmp_path / "layout", [BASE])


@pytest.fixture
def container(home, image):
    """A new container of the image, called box."""
    return homes.create(home, image, name="box")


@pytest.fixture
def work(home, image, tmp_path):
    """Does something in the root of the container with this name; gives a scan of what it shows."""

    def work(name, act=lambda _: None):
        box = containers.find_container(home, name)
        with homes.root_of(home, image, box, tmp_path / f"root-{name}") as root:
            act(root)
            return scan(root)

    return work


def shown(home, text):
    """The paths that a container or snapshot shows, each file with its content."""
    _, inside = snapshots.open_inside(home, text)
    try:
        found = {}
        for path, node in walk(inside.tree()):
            is_file = node.kind is Kind.FILE
            data = b"".join(inside.content(Finding(path, node))) if is_file else b""
            found[path.decode()] = data.decode()
        return found
    finally:
        inside.close()


def write(name, text):
    """Write a file."""
    return lambda root: (root / name).write_text(text)


# -- what a snapshot holds ----------------------------------------------------------------------------


def test_a_branch_sees_what_was_written_and_its_parent_does_not_see_the_branch(
    home, container, work
):
    """SN-01: what is written after the snapshot, in either one, is in that one alone."""
    work("box", write("one", "1"))
    snapshots.create(home, "box", "s")
    snapshots.branch(home, "box@s", "other")
    work("box", write("mine", "2"))
    work("other", write("its", "3"))

    assert shown(home, "box@s")["one"] == "1"
    assert shown(home, "box").keys() - shown(home, "box@s").keys() == {"mine"}
    assert shown(home, "other").keys() - shown(home, "box@s").keys() == {"its"}


def test_layers_on_layers_show_the_last_state(home, container, work, cli):
    """SN-06: changed, deleted and replaced again above a snapshot, each state is as it was."""

    def second(root):
        (root / "etc/hosts").write_text("10.0.0.2")
        (root / "etc/profile").chmod(0o666)
        (root / "root").mkdir()
        (root / "root/.bashrc").write_text("x")
        shutil.rmtree(root / "d")
        (root / "d").mkdir()
        (root / "d/new").write_text("new")
        root.chmod(0o700)

    def third(root):
        (root / "etc/hosts").write_text("10.0.0.3")
        shutil.rmtree(root / "root")
        (root / "d/a").write_text("again")
        (root / "etc/profile").unlink()
        (root / "etc/profile").mkdir()

    states = []
    for name, act in [("one", lambda _: None), ("two", second), ("three", third)]:
        states.append(work("box", act))
        snapshots.create(home, "box", name)
        assert differences(states[-1], work("box")) == []

    assert shown(home, "box@one")["d/a"] == "A"
    assert set(shown(home, "box@two")) >= {"root/.bashrc", "d/new"}
    assert "d/b" not in shown(home, "box@two")
    assert shown(home, "box@three")["d/a"] == "again"
    assert cli("diff", "box").out.splitlines() == [
        "C /d", "C /d/a", "D /d/b", "A /d/new", "C /etc", "C /etc/hosts", "C /etc/profile",
    ]  # fmt: skip
    for name, wanted in zip(
        ("three", "one", "two"), (states[2], states[0], states[1]), strict=True
    ):
        assert cli("snapshot", "rollback", f"box@{name}") == (0, f"box@{name}\n", "")
        assert differences(wanted, work("box")) == []


def test_a_link_over_a_snapshot_is_one_file(home, container, work, cli, tmp_path):
    """A name that is linked after the snapshot is the same file as before it in a commit."""
    work("box", write("one", "1"))
    snapshots.create(home, "box", "s")
    work("box", lambda root: os.link(root / "one", root / "two"))

    assert cli("commit", "box", "new:1").code == 0

    assert cli("unpack", "new:1", tmp_path / "unpacked").code == 0
    assert scan(tmp_path / "unpacked")[b"two"].links == {b"one", b"two"}


def test_a_snapshot_can_be_looked_into_and_committed(home, container, work, cli):
    """`ls`, `cat`, `export`, `commit` and `inspect` show the chain, a snapshot as it was."""
    work("box", write("d/one", "1"))
    snapshots.create(home, "box", "s")
    work("box", write("d/one", "later"))
    work("box", write("d/two", "2"))

    assert cli("ls", "box@s:/d").out.split() == ["a", "b", "one"]
    assert cli("ls", "box:/d").out.split() == ["a", "b", "one", "two"]
    assert cli("cat", "box@s:/d/one").out == "1"
    assert cli("commit", "box@s", "old:1").code == 0
    assert cli("cat", "old:1:/d/one").out == "1"
    assert cli("commit", "box", "new:1").code == 0
    assert cli("cat", "new:1:/d/one").out == "later"
    (about,) = json.loads(cli("inspect", "box@s").out)
    assert (about["Name"], about["Container"]) == ("box@s", container.id)
    assert about["Chain"] == [about["Id"]]
    assert cli("inspect", "--type", "snapshot", "box").code == 3


# -- what is refused ----------------------------------------------------------------------------------


def test_what_cannot_be_is_refused(home, container, cli):
    """SN-02: a name twice, a bad one, no such container or snapshot; nothing changes."""
    snapshots.create(home, "box", "s")

    with pytest.raises(ConflictError, match="exists already"):
        snapshots.create(home, "box", "s")
    with pytest.raises(UsageError, match="invalid snapshot name"):
        snapshots.create(home, "box", "a/b")
    with pytest.raises(NotFoundError, match="no such container: none"):
        snapshots.create(home, "none", "s")
    for text in ("box@none", "none@s", "box", "@s"):
        with pytest.raises(NotFoundError):
            snapshots.find(home, text)
    with pytest.raises(ConflictError, match="name 'box' is in use"):
        snapshots.branch(home, "box@s", "box")
    assert [each.name for each in snapshots.list_snapshots(home, "box")] == ["box@s"]
    assert len(os.listdir(home.snapshots)) == 1
    assert stores.faults(home.store.root) == []


def test_a_running_container_is_left_alone(home, container):
    """SN-02: its upper cannot be taken from under it, neither to freeze nor to roll back."""
    snapshots.create(home, "box", "s")
    states.write(home, container, states.Run(1.0, pid=os.getpid()))

    with files.Lock(containers.folder_of(home, container) / "lock"):
        with pytest.raises(ConflictError, match="cannot make a snapshot of box: it is running"):
            snapshots.create(home, "box", "t")
        with pytest.raises(ConflictError, match="cannot roll back box: it is running"):
            snapshots.rollback(home, "box@s")


def test_a_container_with_snapshots_stays(home, container):
    """What somebody kept does not go with something else."""
    snapshots.create(home, "box", "s")

    with pytest.raises(ConflictError, match="it has snapshots") as raised:
        containers.remove_container(home, container)

    assert raised.value.hint == "remove them first: layerkit snapshot rm box@s"
    snapshots.remove(home, "box@s")
    containers.remove_container(home, container)
    assert os.listdir(home.snapshots) == []


def test_a_chain_has_an_end(home, container, monkeypatch):
    """Before the kernel would refuse to mount it, the way out is told."""
    monkeypatch.setattr(snapshots, "CHAIN_LIMIT", 2)
    snapshots.create(home, "box", "a")
    snapshots.create(home, "box", "b")

    with pytest.raises(ConflictError, match="stands on 2 already") as raised:
        snapshots.create(home, "box", "c")

    assert "layerkit commit box NAME" in raised.value.hint


# -- what goes ----------------------------------------------------------------------------------------


def test_a_frozen_upper_stays_as_long_as_something_stands_on_it(home, container, work, cli):
    """A removed name is gone at once, what it froze with the last container above it."""
    work("box", write("one", "1"))
    snapshots.create(home, "box", "a")
    work("box", write("two", "2"))
    snapshots.create(home, "box", "b")
    branch = snapshots.branch(home, "box@a", "other")

    assert cli("snapshot", "rm", "box@a", "none@x", "box@b").code == 3
    assert cli("snapshot", "ls", "-q").out == ""
    assert len(os.listdir(home.snapshots)) == 2
    assert shown(home, "box")["two"] == "2"
    containers.remove_container(home, containers.find_container(home, "box"))
    assert len(os.listdir(home.snapshots)) == 1
    assert shown(home, "other")["one"] == "1"
    containers.remove_container(home, branch)
    assert os.listdir(home.snapshots) == []


def test_a_rollback_drops_what_nobody_else_has(home, container, work):
    """What came since is gone, later snapshots that have a name are not."""
    snapshots.create(home, "box", "a")
    work("box", write("two", "2"))
    snapshots.create(home, "box", "b")
    snapshots.create(home, "box", "c")
    snapshots.remove(home, "box@c")
    work("box", write("three", "3"))

    snapshots.rollback(home, "box@a")

    assert len(os.listdir(home.snapshots)) == 2
    assert "two" not in shown(home, "box")
    assert shown(home, "box@b")["two"] == "2"


# -- crashes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("last_call", range(8))
def test_a_killed_snapshot_is_whole_or_was_not_made(home, state_root, container, work, last_call):
    """Killed before any of its steps, the container shows the same, and can be used further."""
    work("box", write("one", "1"))
    before = shown(home, "box")

    def create():
        steps = 0

        def counted(call):
            def run(*arguments, **more):
                nonlocal steps
                if steps == last_call:
                    kill_myself()
                steps += 1
                return call(*arguments, **more)

            return run

        with Home(state_root) as mine:
            database = mine.store.database
            database.set_chain = counted(database.set_chain)
            os.rename = counted(os.rename)
            os.mkdir = counted(os.mkdir)
            layered.make_upper = counted(layered.make_upper)
            files.sync_directory = counted(files.sync_directory)
            snapshots.create(mine, "box", "s")

    assert outcome(create) in {0, -9}

    assert shown(home, "box") == before
    names = [each.name for each in snapshots.list_snapshots(home)]
    assert names in ([], ["box@s"])
    if names:
        assert shown(home, "box@s") == before
    snapshots.create(home, "box", "next")
    assert shown(home, "box@next") == before
    work("box", write("two", "2"))
    snapshots.rollback(home, "box@next")
    assert shown(home, "box") == before


def test_snapshots_by_two_processes_take_turns(home, state_root, container):
    """SN-13: of two at once both succeed or one is told that the container is busy; none is lost."""

    def make(name):
        def work():
            with Home(state_root) as mine:
                for number in range(10):
                    with contextlib.suppress(ConflictError):
                        snapshots.create(mine, "box", f"{name}{number}")

        return work

    with child(make("a")) as one, child(make("b")) as two:
        assert (one.wait(), two.wait()) == (0, 0)

    found = snapshots.list_snapshots(home, "box")
    assert containers.find_container(home, "box").chain == tuple(each.snapshot.id for each in found)
    assert sorted(os.listdir(home.snapshots)) == sorted(each.snapshot.id for each in found)


def test_closing_twice_is_no_error(state_root):
    """SN-11: the second time there is nothing to do."""
    home = Home(state_root)
    home.close()
    home.close()


def test_what_is_frozen_is_closed_to_others(home, container):
    """SN-14: setuid files of a container are behind folders that nobody else enters."""
    snapshots.create(home, "box", "s")

    assert os.stat(home.snapshots).st_mode & 0o077 == 0
    (folder,) = home.snapshots.iterdir()
    assert folder.stat().st_mode & 0o077 == 0


# -- whole commands -----------------------------------------------------------------------------------


@pytest.fixture
def busybox(cli, tmp_path):
    """The name of an image with a shell."""
    if obstacle := boxes.obstacle():
        pytest.skip(obstacle)
    root = boxes.make_image(tmp_path / "busybox")
    tar = ["tar", "-C", str(root), "-cf", str(tmp_path / "busybox.tar"), "."]
    subprocess.run(tar, check=True)
    assert cli("import", "-c", 'CMD ["sh"]', tmp_path / "busybox.tar", "busybox:1").code == 0
    return "busybox:1"


def test_a_real_container_goes_on_from_a_snapshot(busybox, cli):
    """SN-01, SN-19: `run --from` needs no image and shows the state; its changes are its own."""
    script = "echo one > /one; rm /etc/group; rm -r /tmp; mkdir /tmp; echo x > /tmp/x"
    assert cli("run", "--name", "c", busybox, "sh", "-c", script).code == 0
    assert cli("snapshot", "create", "c", "s") == (0, "c@s\n", "")

    ran = cli("run", "--from", "c@s", "--name", "d", "sh", "-c", "cat /one; ls /tmp; echo 2 > /two")

    assert (ran.code, ran.out) == (0, "one\nx\n")
    changes = ["C /etc", "D /etc/group", "A /one", "C /tmp", "A /tmp/x"]
    assert cli("diff", "c").out.splitlines() == changes
    assert cli("diff", "d").out.splitlines() == [*changes, "A /two"]
    assert cli("run", "--rm", "--from", "c@s", "ls", "/two").code == 1
    branched = cli("snapshot", "branch", "c@s", "e")
    assert branched.code == 0
    assert cli("inspect", "-f", "{{.Name}}", branched.out.strip()).out == "/e\n"
    listed = cli("snapshot", "ls", "c").out.splitlines()
    assert [line.split()[0] for line in listed] == ["SNAPSHOT", "c@s"]
    assert cli("snapshot", "rm", "c@s") == (0, "c@s\n", "")


def test_run_wants_an_image_or_a_snapshot(cli):
    """Without either, the missing one is named."""
    outcome = cli("run")

    assert outcome.code == 125
    assert "missing argument 'IMAGE'" in outcome.err
    assert cli("run", "--from", "no@s").code == 125
