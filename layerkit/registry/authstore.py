"""Changes a file of credentials: whole or not at all, for its owner's eyes only."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
from typing import TYPE_CHECKING

from layerkit.errors import LayerkitError, UsageError
from layerkit.registry import authfile, helpers
from layerkit.registry.credentials import key_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from layerkit.registry.credentials import Credentials

_FOLDER_MODE = 0o700
_FILE_MODE = 0o600
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_LIMIT = 1 << 20  # bytes; such files have a few hundred


class AuthStore:
    """The file at `path` and the helpers it names, for changes; the file need not exist yet.

    All that is not about the registry stays in the file, and a symbolic link stays one. Every
    method raises `UsageError` for a file that is none of credentials, `AuthError` for a helper
    that fails, `LayerkitError` when the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._name = str(path)

    def put(self, registry: str, credentials: Credentials) -> str:
        """Keep credentials; the suffix of the helper that has them now, "" if the file has."""
        with self._changing() as real:
            text = _read(real, self._name)
            helper = authfile.parse(self._name, text).helper(registry)
            if helper:
                helpers.store(helper, key_of(registry), credentials)
            in_file = None if helper else credentials
            _replace(real, authfile.with_entry(self._name, text, registry, in_file))
        return helper

    def remove(self, registry: str) -> bool:
        """Forget the credentials for a registry; whether there were any."""
        if not os.path.exists(self._path):
            return False
        with self._changing() as real:
            text = _read(real, self._name)
            rest = authfile.without_entry(self._name, text, registry)
            if rest is not None:
                _replace(real, rest)
            helper = authfile.parse(self._name, text).helper(registry)
            was_kept = bool(helper) and helpers.get(helper, key_of(registry)) is not None
            if was_kept:
                helpers.erase(helper, key_of(registry))
        return rest is not None or was_kept

    @contextlib.contextmanager
    def _changing(self) -> Iterator[str]:
        """The file's real path, with its folder locked: who else comes to change it waits."""
        try:
            real = os.path.realpath(self._path)
            folder = os.path.dirname(real)
            os.makedirs(folder, _FOLDER_MODE, exist_ok=True)
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                yield real
            finally:
                os.close(descriptor)
        except OSError as error:
            reason = (error.strerror or "unknown reason").lower()
            raise LayerkitError(
                f"cannot change the credentials in {self._path}: {reason}"
            ) from None


def _read(real: str, name: str) -> str:
    try:
        with open(real, "rb") as file:
            return _decode(name, file.read(_LIMIT + 1))
    except FileNotFoundError:
        return ""


def _decode(name: str, data: bytes) -> str:
    if len(data) > _LIMIT:
        raise UsageError(f"cannot read credentials in {name}: more than {_LIMIT} bytes")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise UsageError(f"cannot read credentials in {name}: not UTF-8") from None


def _replace(real: str, text: str) -> None:
    """Put a new file in the place of the one at `real`, with the same owner."""
    beside = f"{real}.{secrets.token_hex(8)}"
    descriptor = os.open(beside, _NEW, _FILE_MODE)
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            with contextlib.suppress(FileNotFoundError, PermissionError):
                before = os.stat(real)
                os.fchown(descriptor, before.st_uid, before.st_gid)
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        os.rename(beside, real)
    except BaseException:
        os.unlink(beside)
        raise
