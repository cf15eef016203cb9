"""The SQLite database: names, images, containers, snapshots. The only place with SQL."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from typing import TYPE_CHECKING, Any

from layerkit import digest as digests
from layerkit.digest import BlobDigest, DiffID
from layerkit.errors import ConflictError, StoreError, StoreFullError
from layerkit.store import schema
from layerkit.store.files import FULL_HINT
from layerkit.store.records import (
    ContainerRecord,
    ImageRecord,
    LayerRecord,
    NameRecord,
    SnapshotRecord,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

_BUSY_SECONDS = 60.0
_BUSY_PAUSE = 0.005


class Database:
    """Images, names and containers; each call is a transaction unless made inside `transaction`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._open: sqlite3.Connection | None = None
        try:
            self._connect()
            self._migrate(path)
        except BaseException:
            self.close()
            raise

    @property
    def _connection(self) -> sqlite3.Connection:
        return self._open or self._connect()

    def _connect(self) -> sqlite3.Connection:
        with _guarded(f"open {self._path}"):
            self._open = sqlite3.connect(self._path, timeout=_BUSY_SECONDS, isolation_level=None)
            self._write_ahead()
            self._open.execute("PRAGMA synchronous = FULL")
            self._open.execute("PRAGMA foreign_keys = ON")
        return self._open

    def _write_ahead(self) -> None:
        """Turn to the write-ahead log; who does it first needs the file alone, and SQLite itself
        does not wait for that.
        """
        deadline = time.monotonic() + _BUSY_SECONDS
        while True:
            try:
                self._connection.execute("PRAGMA journal_mode = WAL")
            except sqlite3.OperationalError as error:
                if _kind(error) != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(_BUSY_PAUSE)
            else:
                return

    def _migrate(self, path: Path) -> None:
        if 0 <= self._version() < schema.VERSION:
            with self.transaction():
                for step in schema.STEPS[self._version() :]:  # none where somebody else was faster
                    for statement in step.split(";"):
                        self._execute(statement)
                self._execute(f"PRAGMA user_version = {schema.VERSION}")
        if self._version() != schema.VERSION:
            raise StoreError(
                f"cannot use {path}: its schema version is {self._version()}, "
                f"this layerkit knows {schema.VERSION}",
                hint="use a newer layerkit, or another directory with --root",
            )

    def _version(self) -> int:
        return int(self._rows("PRAGMA user_version")[0][0])

    def close(self) -> None:
        """Close the connection; another use opens a new one, also in a process forked since.

        What is open during a fork must be used by neither side: SQLite keeps locks per process.
        """
        if self._open is not None:
            self._open.close()
            self._open = None

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Make what happens inside one change, alone among writers; an exception undoes it."""
        self._execute("BEGIN IMMEDIATE")
        try:
            yield
            self._execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:  # SQLite itself rolls back when the disk is full
                self._execute("ROLLBACK")
            raise

    def _change(self) -> AbstractContextManager[None]:
        """A transaction of its own, unless there is one."""
        return contextlib.nullcontext() if self._connection.in_transaction else self.transaction()

    # -- images and names -----------------------------------------------------------------------

    def put_image(self, image: ImageRecord) -> None:
        """Remember an image; nothing changes when it is known."""
        with self._change():
            if self._rows("SELECT 1 FROM image WHERE manifest = ?", str(image.manifest)):
                return
            self._execute(
                "INSERT INTO image (manifest, media_type, manifest_size, config, platform, created,"
                " size) VALUES (?, ?, ?, ?, ?, ?, ?)",
                *(str(image.manifest), image.media_type, image.manifest_size, str(image.config)),
                *(image.platform, image.created, image.size),
            )
            for position, layer in enumerate(image.layers):
                self._execute(
                    "INSERT INTO image_layer VALUES (?, ?, ?, ?)",
                    *(str(image.manifest), position, str(layer.blob), str(layer.diff_id)),
                )

    def touch_image(self, manifest: BlobDigest) -> None:
        """Remember that the image is used now."""
        self._execute(
            "UPDATE image SET used = (julianday('now') - 2440587.5) * 86400.0 WHERE manifest = ?",
            str(manifest),
        )

    def images(self) -> list[ImageRecord]:
        """All images, the one that came last first."""
        return self._images("ORDER BY pulled DESC, manifest")

    def image(self, manifest: BlobDigest) -> ImageRecord | None:
        """The image with this manifest."""
        found = self._images("WHERE manifest = ?", str(manifest))
        return found[0] if found else None

    def images_by_id(self, prefix: str) -> list[ImageRecord]:
        """The images whose id (digest of the config) begins so, the one that came last first."""
        return self._images(
            "WHERE substr(config, instr(config, ':') + 1, ?) = ? ORDER BY pulled DESC, manifest",
            *(len(prefix), prefix),
        )

    def _images(self, where: str, *values: object) -> list[ImageRecord]:
        rows = self._rows(
            "SELECT manifest, media_type, manifest_size, config, platform, created, size"
            f" FROM image {where}",
            *values,
        )
        return [
            ImageRecord(
                manifest=_blob(row[0]),
                media_type=row[1],
                manifest_size=row[2],
                config=_blob(row[3]),
                platform=row[4],
                created=row[5],
                size=row[6],
                layers=self._layers(row[0]),
            )
            for row in rows
        ]

    def _layers(self, manifest: str) -> tuple[LayerRecord, ...]:
        rows = self._rows(
            "SELECT blob, diff_id FROM image_layer WHERE manifest = ? ORDER BY position", manifest
        )
        return tuple(
            LayerRecord(_blob(blob), DiffID(digests.parse(diff_id))) for blob, diff_id in rows
        )

    def delete_image(self, manifest: BlobDigest) -> None:
        """Forget an image that no name and no container needs any more."""
        self._execute("DELETE FROM image WHERE manifest = ?", str(manifest))

    def put_name(self, name: NameRecord) -> None:
        """Point a name to an image, away from what it pointed to."""
        self._execute(
            "INSERT INTO name VALUES (?, ?, ?) ON CONFLICT (name)"
            " DO UPDATE SET manifest = excluded.manifest, target = excluded.target",
            *(name.name, str(name.manifest), str(name.target)),
        )

    def delete_name(self, name: str) -> None:
        """Forget a name."""
        self._execute("DELETE FROM name WHERE name = ?", name)

    def name(self, name: str) -> NameRecord | None:
        """What a name stands for."""
        found = self._names("WHERE name = ?", name)
        return found[0] if found else None

    def names(self) -> list[NameRecord]:
        """All names, in order."""
        return self._names("ORDER BY name")

    def names_of(self, manifest: BlobDigest) -> list[NameRecord]:
        """The names of one image, in order."""
        return self._names("WHERE manifest = ? ORDER BY name", str(manifest))

    def _names(self, where: str, *values: object) -> list[NameRecord]:
        rows = self._rows(f"SELECT name, manifest, target FROM name {where}", *values)
        return [NameRecord(row[0], _blob(row[1]), _blob(row[2])) for row in rows]

    # -- containers -----------------------------------------------------------------------------

    def put_container(self, container: ContainerRecord) -> None:
        """Remember a container; raises `ConflictError` when its name is taken."""
        with self._change():
            self._refuse_taken(container.name, "choose another name with --name")
            self._execute(
                "INSERT INTO container VALUES (?, ?, ?, ?, ?, ?, ?)",
                *(container.id, container.name, container.image_name),
                *(str(container.manifest), container.created),
                *(container.driver, " ".join(container.chain)),
            )

    def rename_container(self, container_id: str, name: str) -> None:
        """Give a container another name; raises `ConflictError` when that is taken."""
        with self._change():
            self._refuse_taken(name, "choose another name")
            self._execute("UPDATE container SET name = ? WHERE id = ?", name, container_id)

    def _refuse_taken(self, name: str, hint: str) -> None:
        if taken := self._containers("WHERE name = ?", name):
            message = f"container name {name!r} is in use by container {taken[0].id[:12]}"
            raise ConflictError(message, hint=hint)

    def set_chain(self, container_id: str, chain: tuple[str, ...]) -> None:
        """Put a container on other frozen uppers."""
        self._execute("UPDATE container SET chain = ? WHERE id = ?", " ".join(chain), container_id)

    def delete_container(self, container_id: str) -> None:
        """Forget a container."""
        self._execute("DELETE FROM container WHERE id = ?", container_id)

    def containers(self) -> list[ContainerRecord]:
        """All containers, the newest first."""
        return self._containers("ORDER BY created DESC, id")

    def containers_named(self, name_or_id: str) -> list[ContainerRecord]:
        """The container with this name or id, else all whose id begins with it."""
        return self._containers("WHERE name = ? OR id = ?", name_or_id, name_or_id) or (
            self._containers("WHERE substr(id, 1, ?) = ?", len(name_or_id), name_or_id)
        )

    def containers_of(self, manifest: BlobDigest) -> list[ContainerRecord]:
        """The containers made from one image."""
        return self._containers("WHERE manifest = ?", str(manifest))

    def _containers(self, where: str, *values: object) -> list[ContainerRecord]:
        rows = self._rows(
            f"SELECT id, name, image_name, manifest, created, driver, chain FROM container {where}",
            *values,
        )
        return [
            ContainerRecord(
                row[0], row[1], row[2], _blob(row[3]), row[4], row[5], tuple(row[6].split())
            )
            for row in rows
        ]

    # -- snapshots ------------------------------------------------------------------------------

    def put_snapshot(self, snapshot: SnapshotRecord) -> None:
        """Remember a snapshot; raises `ConflictError` when the container has one of this name."""
        with self._change():
            if any(each.name == snapshot.name for each in self.snapshots_of(snapshot.container)):
                raise ConflictError(f"snapshot {snapshot.name!r} of this container exists already")
            self._execute(
                "INSERT INTO snapshot VALUES (?, ?, ?, ?, ?)",
                *(snapshot.id, snapshot.container, snapshot.name, snapshot.created),
                " ".join(snapshot.chain),
            )

    def delete_snapshot(self, snapshot_id: str) -> None:
        """Forget a snapshot."""
        self._execute("DELETE FROM snapshot WHERE id = ?", snapshot_id)

    def snapshots(self) -> list[SnapshotRecord]:
        """All snapshots, the oldest first."""
        return self._snapshots("ORDER BY created, id")

    def snapshots_of(self, container_id: str) -> list[SnapshotRecord]:
        """The snapshots of one container, the oldest first."""
        return self._snapshots("WHERE container = ? ORDER BY created, id", container_id)

    def _snapshots(self, where: str, *values: object) -> list[SnapshotRecord]:
        rows = self._rows(
            f"SELECT id, container, name, created, chain FROM snapshot {where}", *values
        )
        return [
            SnapshotRecord(row[0], row[1], row[2], row[3], tuple(row[4].split())) for row in rows
        ]

    # -- what all calls go through --------------------------------------------------------------

    def _execute(self, statement: str, *values: object) -> None:
        with _guarded("write the store's database"):
            self._connection.execute(statement, values)

    def _rows(self, query: str, *values: object) -> list[Any]:
        with _guarded("read the store's database"):
            return self._connection.execute(query, values).fetchall()


@contextlib.contextmanager
def _guarded(what: str) -> Iterator[None]:
    try:
        yield
    except sqlite3.IntegrityError as error:
        raise ConflictError(
            f"cannot {what}: somebody else changed it meanwhile ({error})", hint="try again"
        ) from error
    except sqlite3.Error as error:
        if _kind(error) == sqlite3.SQLITE_FULL:
            raise StoreFullError(f"cannot {what}: {error}", hint=FULL_HINT) from error
        raise StoreError(f"cannot {what}: {error}") from error


def _kind(error: sqlite3.Error) -> int:
    """SQLite's primary result code: the last eight bits of the extended one."""
    code: int = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF


def _blob(text: str) -> BlobDigest:
    return BlobDigest(digests.parse(text))
