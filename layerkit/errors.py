"""Every error that layerkit raises on purpose, and the exit code each one ends with.

    LayerkitError ................... 1  anything without a class of its own
    ├── UsageError .................. 2  the request makes no sense: bad name, bad option value
    ├── NotFoundError ............... 3  no such image, container, platform, file
    ├── IntegrityError .............. 4  bytes are not what their size, digest or format promises
    │   ├── ArchiveError ............... a layer archive breaks the tar or compression format
    │   └── DocumentError .............. a manifest, index or config is not what the specification says
    ├── RegistryError ............... 5  a registry said no, or something nobody understands
    │   ├── AuthError .................. credentials missing, refused, or not enough
    │   └── UnavailableError ........... no answer, or an answer that may be better later
    ├── StoreError .................. 6  the state directory cannot be read or written
    │   └── StoreFullError ............. no room left on the device
    ├── ConflictError ............... 7  the name is taken, or the thing is in use
    └── SandboxError .............. 125  a container could not be started
        ├── NotExecutableError .... 126  its command is there but cannot be executed
        └── CommandNotFoundError .. 127  its command is not there

An error says operation, object, got and wanted in one line; `hint` says the next step where it is
known. Nothing in the library prints or exits: `layerkit.cli` is the one boundary.
"""

from __future__ import annotations

from typing import ClassVar


class LayerkitError(Exception):
    """The root of the tree above."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(LayerkitError):
    """The request makes no sense as it was written."""

    exit_code = 2


class NotFoundError(LayerkitError):
    """What was named does not exist where it was looked for."""

    exit_code = 3


class IntegrityError(LayerkitError):
    """Bytes are not what their size, digest or format promises."""

    exit_code = 4


class ArchiveError(IntegrityError):
    """A layer archive breaks the tar or compression format, or a rule of image-spec layer.md."""


class DocumentError(IntegrityError):
    """A manifest, index or config is not a document that the image specification allows."""


class RegistryError(LayerkitError):
    """A registry refused the request or answered with something unusable."""

    exit_code = 5


class AuthError(RegistryError):
    """Credentials are missing, were refused, or do not reach far enough."""


class UnavailableError(RegistryError):
    """The registry gave no answer, or one that may be better later (retryable).

    `retry_after` is how many seconds the registry asks to wait, None where it asks for nothing;
    `is_overload` says that it had too much to do.
    """

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        retry_after: float | None = None,
        is_overload: bool = False,
    ) -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after
        self.is_overload = is_overload


class StoreError(LayerkitError):
    """The state directory cannot be read or written."""

    exit_code = 6


class StoreFullError(StoreError):
    """There is no room left on the device that holds the state directory."""


class ConflictError(LayerkitError):
    """The name is taken, or the thing is in use."""

    exit_code = 7


class SandboxError(LayerkitError):
    """A container could not be started."""

    exit_code = 125


class NotExecutableError(SandboxError):
    """The container's command exists but cannot be executed."""

    exit_code = 126


class CommandNotFoundError(SandboxError):
    """The container's command does not exist in its root file system."""

    exit_code = 127
