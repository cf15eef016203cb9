"""All that is known of credentials: several files, and the helpers they name."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from layerkit.errors import AuthError
from layerkit.registry import authfile, helpers
from layerkit.registry.credentials import key_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from layerkit.registry.authfile import AuthFile
    from layerkit.registry.credentials import Credentials


def from_documents(documents: Iterable[tuple[str, str]]) -> Keyring:
    """The credentials in these files, given as path and text; what an earlier file has wins.

    Raises `UsageError` that names the file, never what is in it.
    """
    return Keyring([authfile.parse(path, text) for path, text in documents])


class Keyring:
    """A `Lookup` in files; in each one, what its helper has goes before what it has itself.

    A helper is asked once for each registry, whatever its answer; `ask` does it. Threads may share
    a keyring.
    """

    def __init__(
        self,
        files: Sequence[AuthFile],
        ask: Callable[[str, str], Credentials | None] = helpers.get,
    ) -> None:
        self._files = files
        self._ask = ask
        self._lock = threading.Lock()
        self._answers: dict[tuple[str, str], Credentials | AuthError | None] = {}

    def __call__(self, registry: str, repository: str = "") -> Credentials | None:
        """The credentials for a repository, or for the registry as such.

        Raises `AuthError` if a helper fails and no other place has any.
        """
        trouble = ""
        for file in self._files:
            found = self._of_helper(file, registry)
            if isinstance(found, AuthError):
                trouble = trouble or f"cannot get credentials as {file.path} says: {found}"
                found = None
            found = found or file.credentials(registry, repository)
            if found is not None:
                return found
        if trouble:
            raise AuthError(trouble)
        return None

    def _of_helper(self, file: AuthFile, registry: str) -> Credentials | AuthError | None:
        """What a file's helper answered, or why it did not."""
        suffix = file.helper(registry)
        if not suffix:
            return None
        key = suffix, key_of(registry)
        with self._lock:
            if key not in self._answers:
                try:
                    self._answers[key] = self._ask(*key)
                except AuthError as error:
                    self._answers[key] = error
            return self._answers[key]
