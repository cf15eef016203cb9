"""Names, images and containers are changed whole or not at all, and found again."""

from __future__ import annotations

import contextlib
import sqlite3

import pytest
from msgspec.structs import replace
from support import disks, records
from support.processes import child, kill_myself, outcome, until

from layerkit.errors import ConflictError, StoreError, StoreFullError
from layerkit.store.database import Database
from layerkit.store.schema import STEPS, VERSION

APP = records.image("app", "a", "b")
OTHER = records.image("other", "a")


@pytest.fixture
def path(tmp_path):
    """The database's file."""
    return tmp_path / "store.db"


@pytest.fixture
def database(path):
    """An empty database."""
    database = Database(path)
    yield database
    database.close()


def test_an_image_comes_back_as_it_was(database):
    """Every field and the order of layers are kept; another time changes nothing."""
    layers = records.image("many", *"zyxw", "z")
    database.put_image(layers)
    database.put_image(layers)

    assert database.image(layers.manifest) == layers
    assert database.images() == [layers]
    assert database.image(APP.manifest) is None


def test_the_image_that_came_last_is_first(database):
    """Images are listed in the order they came, newest first."""
    for name in "abc":
        database.put_image(records.image(name))
        with sqlite3.connect(":memory:") as clock:  # a later moment for the next one
            now = clock.execute("SELECT julianday('now')").fetchone()
            until(lambda now=now: clock.execute("SELECT julianday('now')").fetchone() != now)

    assert database.images() == [records.image(name) for name in "cba"]


def test_a_name_stands_for_one_image(database):
    """Given again it moves; the image it leaves stays."""
    database.put_image(APP)
    database.put_image(OTHER)
    database.put_name(records.name("x:1", APP))
    database.put_name(records.name("x:1", OTHER))
    database.put_name(records.name("a:1", OTHER))

    assert database.name("x:1") == records.name("x:1", OTHER)
    assert [each.name for each in database.names()] == ["a:1", "x:1"]
    assert [each.name for each in database.names_of(OTHER.manifest)] == ["a:1", "x:1"]
    assert database.names_of(APP.manifest) == []
    database.delete_name("x:1")
    assert database.name("x:1") is None


def test_a_name_needs_its_image(database):
    """A name for an image that is not there is refused."""
    with pytest.raises(ConflictError):
        database.put_name(records.name("x:1", APP))


def test_an_image_in_use_is_not_forgotten(database):
    """What a name or a container points to cannot go."""
    database.put_image(APP)
    database.put_name(records.name("x:1", APP))
    with pytest.raises(ConflictError):
        database.delete_image(APP.manifest)
    database.delete_name("x:1")
    database.put_container(records.container(1, APP))
    with pytest.raises(ConflictError):
        database.delete_image(APP.manifest)
    database.delete_container(records.container(1, APP).id)
    database.delete_image(APP.manifest)

    assert database.images() == []
    database.put_image(APP)  # with its layers, so nothing of them had stayed
    assert database.image(APP.manifest) == APP


def test_images_are_found_by_the_beginning_of_their_id(database):
    """The id is the digest of the config; any number of its digits finds all images with it."""
    twin = records.image("twin", config="config app")
    for each in (APP, OTHER, twin):
        database.put_image(each)

    assert database.images_by_id(OTHER.config.hex) == [OTHER]
    assert set(database.images_by_id(APP.config.hex[:12])) == {APP, twin}
    assert len(database.images_by_id("")) == 3
    assert database.images_by_id("%") == []
    assert database.images_by_id("sha256") == []


def test_a_container_comes_back_as_it_was(database):
    """Every field is kept, the newest container is first."""
    database.put_image(APP)
    boxes = [records.container(number, APP) for number in (1, 2)]
    for each in boxes:
        database.put_container(each)

    assert database.containers() == boxes[::-1]
    assert database.containers_of(APP.manifest) == boxes
    assert database.containers_of(OTHER.manifest) == []


def test_a_container_name_is_taken_once(database):
    """The second one is a conflict that names the first; nothing of it stays."""
    database.put_image(APP)
    database.put_container(records.container(0xABC, APP, called="web"))

    with pytest.raises(ConflictError, match="'web' is in use by container abc000000000") as raised:
        database.put_container(records.container(0xDEF, APP, called="web"))

    assert "--name" in raised.value.hint
    assert len(database.containers()) == 1


def test_a_container_gets_another_name(database):
    """It is found by the new one only; a name that is taken stays whose it is."""
    database.put_image(APP)
    for number, name in ((0xABC, "web"), (0xDEF, "db")):
        database.put_container(records.container(number, APP, called=name))
    box = records.container(0xABC, APP, called="new")

    database.rename_container(box.id, "new")

    assert database.containers_named("new") == [box]
    assert database.containers_named("web") == []
    with pytest.raises(ConflictError, match="'db' is in use by container def000000000"):
        database.rename_container(box.id, "db")
    assert database.containers_named("new") == [box]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("web", [0xAB1]),
        (f"{0xAB1:x}".ljust(64, "0"), [0xAB1]),
        ("ab1", [0xAB1]),
        ("ab", [0xAB1, 0xAB2]),
        ("ab2", [0xC]),
        ("%", []),
        ("a_1", []),
        ("AB1", []),
    ],
    ids=[
        "name",
        "id",
        "prefix",
        "ambiguous",
        "name-before-prefix",
        "no-pattern",
        "no-joker",
        "case",
    ],
)
def test_containers_are_found_by_name_id_or_prefix(database, text, found):
    """A whole name or id goes before the beginning of an id, which may be that of several."""
    database.put_image(APP)
    for number, name in [(0xAB1, "web"), (0xAB2, "db"), (0xC, "ab2")]:
        database.put_container(records.container(number, APP, called=name))

    wanted = {f"{number:x}".ljust(64, "0") for number in found}
    assert {each.id for each in database.containers_named(text)} == wanted


def test_a_failed_transaction_changes_nothing(database):
    """An exception undoes all that was done inside, and the next transaction works."""

    def change():
        with database.transaction():
            database.put_image(APP)
            database.put_name(records.name("x:1", APP))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        change()

    assert (database.images(), database.names()) == ([], [])
    with database.transaction():
        database.put_image(APP)
    assert database.images() == [APP]


@pytest.mark.parametrize("inside", [False, True], ids=["alone", "in-a-transaction"])
def test_an_image_is_known_with_all_its_layers_or_not(path, inside):
    """A kill between image and layers leaves nothing of both."""

    def work():
        database = Database(path)
        real = database._execute

        def execute(statement, *values):
            if "image_layer" in statement:
                kill_myself()
            real(statement, *values)

        database._execute = execute
        with database.transaction() if inside else contextlib.nullcontext():
            database.put_image(APP)

    assert outcome(work) < 0

    database = Database(path)
    assert database.images() == []
    database.close()


def test_an_error_in_a_transaction_is_the_one_that_is_told(database):
    """Undoing hides nothing, and leaves the database usable."""
    with pytest.raises(ConflictError), database.transaction():
        database.put_name(records.name("x:1", APP))

    with database.transaction():
        database.put_image(APP)


def test_a_transaction_that_sqlite_ended_itself_is_over(database):
    """SQLite rolls back alone when the disk is full: then there is nothing more to undo."""

    def change():
        with database.transaction():
            database.put_image(APP)
            database._execute("ROLLBACK")
            raise StoreFullError("no room")

    with pytest.raises(StoreFullError, match="no room"):
        change()

    with database.transaction():
        database.put_image(APP)


def test_two_writers_take_turns(path):
    """A change waits for another one's end, and sees what it did."""
    Database(path).close()

    def work():
        database = Database(path)
        for number in range(30):
            with database.transaction():
                if database.image(APP.manifest) is None:
                    database.put_image(APP)
                taken = {each.id for each in database.containers()}
                box = records.container(0x100 + len(taken), APP)
                assert box.id not in taken, number
                database.put_container(box)

    with child(work) as one, child(work) as two:
        assert (one.wait(), two.wait()) == (0, 0)

    database = Database(path)
    assert len(database.containers()) == 60
    database.close()


def test_many_open_a_new_database_at_once(path):
    """The schema is made once, whoever comes first."""

    def work():
        until(path.with_name("go").exists)
        database = Database(path)
        database.put_image(APP)

    with child(work) as one, child(work) as two, child(work) as three:
        path.with_name("go").touch()
        assert [one.wait(), two.wait(), three.wait()] == [0, 0, 0]


def test_what_is_committed_outlives_a_kill(path):
    """A killed process loses its open transaction, and nothing else."""

    def work():
        database = Database(path)
        database.put_image(APP)
        with database.transaction():
            database.put_image(OTHER)
            kill_myself()

    assert outcome(work) < 0

    database = Database(path)
    assert database.images() == [APP]
    database.close()


def test_a_snapshot_comes_back_as_it_was(database):
    """Every field is kept, the oldest is first, and each container has its own names."""
    database.put_image(APP)
    boxes = [records.container(number, APP) for number in (1, 2)]
    for box in boxes:
        database.put_container(box)
    made = [
        records.snapshot(3, boxes[0]),
        records.snapshot(4, boxes[0]),
        records.snapshot(5, boxes[1], called="state-3"),
    ]
    for each in reversed(made):
        database.put_snapshot(each)

    assert database.snapshots() == made
    assert database.snapshots_of(boxes[0].id) == made[:2]
    with pytest.raises(ConflictError, match="'state-3' of this container exists already"):
        database.put_snapshot(records.snapshot(6, boxes[1], called="state-3"))
    database.delete_snapshot(made[0].id)
    assert database.snapshots() == made[1:]


def test_a_snapshot_needs_its_container(database):
    """Neither can there be one without it, nor can it go before."""
    database.put_image(APP)
    box = records.container(1, APP)
    with pytest.raises(ConflictError):
        database.put_snapshot(records.snapshot(2, box))
    database.put_container(box)
    database.put_snapshot(records.snapshot(2, box))

    with pytest.raises(ConflictError):
        database.delete_container(box.id)


def test_a_chain_is_kept_with_its_container(database):
    """It comes with the record, in order, and can be changed."""
    database.put_image(APP)
    box = replace(records.container(1, APP), chain=("b", "a"))
    database.put_container(box)
    assert database.containers() == [box]

    database.set_chain(box.id, ("c",))

    assert database.containers_of(APP.manifest) == [replace(box, chain=("c",))]


@pytest.mark.parametrize("version", range(1, VERSION))
def test_an_older_database_gets_what_is_new(path, version):
    """What is in it stays; a container from before has an empty chain."""
    connection = sqlite3.connect(path)
    for step in STEPS[:version]:
        connection.executescript(step)
    connection.execute(f"PRAGMA user_version = {version}")
    values = (str(APP.manifest), APP.media_type, 1, str(APP.config), "p", "c", 1)
    connection.execute(
        "INSERT INTO image (manifest, media_type, manifest_size, config, platform, created, size)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        values,
    )
    connection.execute(
        "INSERT INTO container (id, name, image_name, manifest, created)"
        " VALUES ('1', 'box', 'app', ?, 2.0)",
        (str(APP.manifest),),
    )
    connection.commit()
    connection.close()

    for _ in range(2):
        database = Database(path)
        assert [(each.name, each.chain) for each in database.containers()] == [("box", ())]
        assert database.snapshots() == []
        database.close()


@pytest.mark.parametrize("version", [VERSION + 1, 99, -1])
def test_a_newer_schema_is_refused(path, version):
    """The error names both versions and what to do, and the file stays as it is."""
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {version}")
    connection.execute("CREATE TABLE other (x)")
    connection.close()

    with pytest.raises(StoreError, match=f"schema version is {version}, .* knows") as raised:
        Database(path)

    assert "newer layerkit" in raised.value.hint
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT name FROM sqlite_schema").fetchall() == [("other",)]
    connection.close()


@pytest.mark.parametrize("content", [b"no database" * 200, None], ids=["garbage", "directory"])
def test_what_is_no_database_is_an_error(path, content):
    """The error names the file."""
    path.mkdir() if content is None else path.write_bytes(content)

    with pytest.raises(StoreError, match=f"cannot open {path}"):
        Database(path)


@pytest.mark.root
def test_a_full_disk_is_told_as_such(tmp_path):
    """No room left is an error of its own; what was there before is there after it."""
    with disks.small_ext4(tmp_path, 8 << 20) as place:
        database = Database(place / "store.db")
        database.put_image(APP)
        disks.fill(place, 4096)

        def change():
            with database.transaction():
                for number in range(2000):
                    database.put_image(records.image(f"{number}", *map(str, range(10))))

        with pytest.raises(StoreFullError):
            change()

        assert database.images() == [APP]
        (place / "filler").unlink()
        database.put_image(OTHER)
        assert database.image(OTHER.manifest) == OTHER
        database.close()


def test_a_closed_database_opens_again(path):
    """Who uses it after it was closed finds what is there, what others wrote meanwhile included."""
    database = Database(path)
    database.put_image(APP)
    database.close()
    with contextlib.closing(Database(path)) as other:
        other.put_image(OTHER)

    database.close()

    assert {image.manifest for image in database.images()} == {APP.manifest, OTHER.manifest}
    with database.transaction():
        database.put_name(records.name("app", APP))
    database.close()
    assert [each.name for each in database.names()] == [records.name("app", APP).name]
    database.close()


def test_a_closed_database_is_used_on_both_sides_of_a_fork(path):
    """What was closed before a fork opens in the child and in the parent, each with locks of its own."""
    database = Database(path)
    database.put_image(APP)
    database.close()

    def work():
        assert database.images() == [APP]
        database.put_image(OTHER)
        database.close()

    with child(work) as process:
        assert process.wait() == 0
        assert {image.manifest for image in database.images()} == {APP.manifest, OTHER.manifest}
        database.delete_image(OTHER.manifest)
    assert database.images() == [APP]
    database.close()
