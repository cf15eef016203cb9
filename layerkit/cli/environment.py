"""The only reader of the environment: state directory, credentials, proxies, terminal, time, machine."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING

from layerkit.cli import output
from layerkit.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layerkit.oci import Platform
    from layerkit.ops.connect import Client
    from layerkit.ops.login import Credentials

SYSTEM_ROOT = Path("/var/lib/layerkit")
COMPLETION_VARIABLE = "_LAYERKIT_COMPLETE"

_CREDENTIALS_VARIABLE = "DOCKER_AUTH_CONFIG"
_CREDENTIALS_LIMIT = 1 << 20  # bytes; such files have a few hundred


def state_root(option: Path | None) -> Path:
    """The state directory: as the option says, else LAYERKIT_ROOT, else the user's usual place."""
    if option is not None:
        return option.absolute()
    if named := os.environ.get("LAYERKIT_ROOT"):
        return Path(named).absolute()
    if os.geteuid() == 0:
        return SYSTEM_ROOT
    import platformdirs  # noqa: PLC0415  only here

    return platformdirs.user_data_path("layerkit")


def host_platform() -> Platform:
    """What this machine runs."""
    from layerkit import oci, platforms  # noqa: PLC0415  not for --help

    uname = os.uname()
    return platforms.normalize(oci.Platform(uname.sysname, uname.machine))


def client(authfile: Path | None = None, user: Credentials | None = None) -> Client:
    """A client for registries, with the user's credentials and proxies; to be closed by `with`.

    The credentials are those of `user`, else in `authfile`, else in the usual files. Raises
    `UsageError` for a file of credentials that is none.
    """
    from layerkit.ops.connect import connect  # noqa: PLC0415  loads what speaks HTTP

    if authfile is not None and not authfile.is_file():
        raise UsageError(f"no file of credentials at {authfile}")
    files = credential_files(authfile) if user is None else []
    return connect(files, proxies(), warn=partial(output.notice, "warning"), user=user)


def credential_files(authfile: Path | None = None) -> list[tuple[str, str]]:
    """Path and text of each file of credentials that can be read; the first has the last word.

    A file that is named stands alone, as an option or in REGISTRY_AUTH_FILE. Else there are
    docker's `config.json` and podman's `auth.json`, first the one that ends with the session. The
    text in DOCKER_AUTH_CONFIG goes before any file but that of the option. Raises `UsageError` for
    a file that is too large or no text.
    """
    files = []
    if authfile is None and (text := os.environ.get(_CREDENTIALS_VARIABLE)):
        files.append((_CREDENTIALS_VARIABLE, text))
    for path in _credential_paths(authfile):
        try:
            with path.open("rb") as file:
                data = file.read(_CREDENTIALS_LIMIT + 1)
        except OSError:
            continue
        files.append((str(path), _text(path, data)))
    return files


def login_file(authfile: Path | None = None) -> Path:
    """The file that `login` writes to: the first of those that `credential_files` reads."""
    return next(_credential_paths(authfile))


def _credential_paths(authfile: Path | None) -> Iterator[Path]:
    if authfile is not None:
        yield authfile
    elif named := os.environ.get("REGISTRY_AUTH_FILE"):
        yield Path(named)
    else:
        yield _folder("DOCKER_CONFIG", "~/.docker") / "config.json"
        runtime = os.environ.get("XDG_RUNTIME_DIR")
        session = f"{runtime}/containers" if runtime else f"/run/containers/{os.geteuid()}"
        yield Path(session, "auth.json")
        yield _folder("XDG_CONFIG_HOME", "~/.config") / "containers/auth.json"


def _folder(variable: str, usual: str) -> Path:
    return Path(os.environ.get(variable) or os.path.expanduser(usual))


def _text(path: Path, data: bytes) -> str:
    what = f"cannot read credentials in {path}"
    if len(data) > _CREDENTIALS_LIMIT:
        raise UsageError(f"{what}: more than {_CREDENTIALS_LIMIT} bytes")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise UsageError(f"{what}: not UTF-8") from None


def proxies() -> dict[str, str]:
    """The proxy's URL for each of "http" and "https", and as "no_proxy" the hosts without one."""
    found = {}
    for key, variable in (
        ("http", "HTTP_PROXY"),
        ("https", "HTTPS_PROXY"),
        ("no_proxy", "NO_PROXY"),
    ):
        if value := os.environ.get(variable) or os.environ.get(variable.lower()):
            found[key] = value
    return found


def passed_on(variable: str) -> str:
    """`KEY=VALUE` as it is; a mere `KEY` with our value, and alone where we have none."""
    value = None if "=" in variable else os.environ.get(variable)
    return variable if value is None else f"{variable}={value}"


def creation_time() -> datetime:
    """When something that is made now was made: SOURCE_DATE_EPOCH, else now."""
    text = os.environ.get("SOURCE_DATE_EPOCH")
    try:
        return datetime.fromtimestamp(int(text), UTC) if text else datetime.now(UTC)
    except (ValueError, OverflowError, OSError):
        raise UsageError(f"invalid SOURCE_DATE_EPOCH {text!r}: wanted seconds since 1970") from None


def animates(stream: IO[str]) -> bool:
    """Whether something that moves may be drawn on `stream`."""
    wanted = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return wanted and stream.isatty()


def completion() -> str:
    """What the shell wants to know instead of running a command; "" if nothing."""
    return os.environ.get(COMPLETION_VARIABLE, "")


def completion_line() -> str:
    """The command line up to the cursor, as the script for bash hands it over."""
    return os.environ.get("COMP_LINE", "")
