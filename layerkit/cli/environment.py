"""The only reader of the environment: configuration, credentials, proxies, terminal, time, machine."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING

from layerkit.cli import output
from layerkit.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from layerkit.cli.configuration import Configuration
    from layerkit.oci import Platform
    from layerkit.ops.connect import Client, Files, Places
    from layerkit.ops.login import Credentials

SYSTEM_ROOT = Path("/var/lib/layerkit")
SYSTEM_CONFIGURATION = Path("/etc/layerkit/config.toml")
COMPLETION_VARIABLE = "_LAYERKIT_COMPLETE"

_CREDENTIALS_VARIABLE = "DOCKER_AUTH_CONFIG"
_FILE_LIMIT = 1 << 20  # bytes; files of settings or credentials have a few hundred


def state_root(option: Path | None, configured: Path | None = None) -> Path:
    """The state directory: the option, LAYERKIT_ROOT, what is configured, the user's usual place."""
    if option is not None:
        return option.absolute()
    if named := os.environ.get("LAYERKIT_ROOT"):
        return Path(named).absolute()
    if configured is not None:
        return configured
    if os.geteuid() == 0:
        return SYSTEM_ROOT
    import platformdirs  # noqa: PLC0415  only here

    return platformdirs.user_data_path("layerkit")


def configuration() -> Configuration:
    """What the configuration files say: LAYERKIT_CONFIG alone, or the system's, then the user's.

    Raises `UsageError` for one that cannot be read or understood; a missing one says nothing,
    unless it was named.
    """
    from layerkit.cli.configuration import parse  # noqa: PLC0415  not for --help

    named = os.environ.get("LAYERKIT_CONFIG")
    user = _folder("XDG_CONFIG_HOME", "~/.config") / "layerkit/config.toml"
    paths = [Path(named)] if named else [SYSTEM_CONFIGURATION, user]
    files = []
    for path in paths:
        try:
            files.append((str(path), _read(path, "configuration")))
        except OSError as error:
            if not named and isinstance(error, FileNotFoundError | NotADirectoryError):
                continue
            reason = os.strerror(error.errno or 0).lower()
            raise UsageError(f"cannot read configuration {path}: {reason}") from None
    return parse(files)


def host_platform() -> Platform:
    """What this machine runs."""
    from layerkit.ops import host  # noqa: PLC0415  not for --help

    return host.host_platform()


def client(
    authfile: Path | None = None,
    user: Credentials | None = None,
    authorities: Iterable[Path] = (),
    jobs: int | None = None,
) -> Client:
    """A client for registries, with the user's credentials and proxies; to be closed by `with`.

    The credentials are those of `user`, else in `authfile`, else in the usual files; `authorities`
    are trusted beside what is configured; `jobs` is how many connections there may be. Raises `UsageError` for a file of credentials that is
    none.
    """
    from layerkit.ops.connect import connect  # noqa: PLC0415  loads what speaks HTTP

    if authfile is not None and not authfile.is_file():
        raise UsageError(f"no file of credentials at {authfile}")
    files = credential_files(authfile) if user is None else []
    places = registry_places(authorities)
    warn = partial(output.notice, "warning")
    return connect(files, proxies(), places, warn=warn, user=user, jobs=jobs)


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
            files.append((str(path), _read(path, "credentials")))
        except OSError:
            continue
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


def registry_places(authorities: Iterable[Path] = ()) -> Places:
    """Where mirrors, certificates and the like are configured, the user's before the machine's.

    `authorities` are trusted in addition to what is found there.
    """
    from layerkit.ops.connect import Places  # noqa: PLC0415  as for client()

    folders = _configuration_folders()
    return Places(
        certs=tuple(
            folder / tool / "certs.d"
            for folder in folders
            for tool in ("containerd", "docker", "containers")
        ),
        registries=_registries_files(folders),
        daemons=tuple(folder / "docker/daemon.json" for folder in folders),
        authorities=tuple(authorities),
    )


def full_name(name: str) -> str:
    """The image name that `name` is the user's alias of, else `name` itself.

    Aliases of the machine are not asked: they are a distribution's list, where a word that docker
    users know, such as `centos`, means the image of another registry.
    """
    from layerkit.ops.connect import full_name  # noqa: PLC0415  as for client()

    return full_name(_registries_files(_configuration_folders()[:1]), name)


def _configuration_folders() -> list[Path]:
    return [_folder("XDG_CONFIG_HOME", "~/.config"), Path("/etc")]


def _registries_files(folders: list[Path]) -> Files:
    """Of the main files the user's counts alone, of the drop-ins it has the last word."""
    from layerkit.ops.connect import Files  # noqa: PLC0415  as for client()

    mains = [folder / "containers/registries.conf" for folder in folders]
    if named := os.environ.get("CONTAINERS_REGISTRIES_CONF"):
        mains = [Path(named)]
        if not mains[0].is_file():
            raise UsageError(f"CONTAINERS_REGISTRIES_CONF names {named!r}, which is no file")
    drop_ins = [folder / "containers/registries.conf.d" for folder in reversed(folders)]
    return Files(tuple(mains), tuple(drop_ins))


def _folder(variable: str, usual: str) -> Path:
    return Path(os.environ.get(variable) or os.path.expanduser(usual))


def _read(path: Path, what: str) -> str:
    """The text of a small file; raises `OSError`, `UsageError` where it is none."""
    with path.open("rb") as file:
        data = file.read(_FILE_LIMIT + 1)
    if len(data) > _FILE_LIMIT:
        raise UsageError(f"cannot read {what} in {path}: more than {_FILE_LIMIT} bytes")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise UsageError(f"cannot read {what} in {path}: not UTF-8") from None


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
    return source_date() or datetime.now(UTC)


def source_date() -> datetime | None:
    """SOURCE_DATE_EPOCH, the time that what is made now must not be newer than."""
    text = os.environ.get("SOURCE_DATE_EPOCH")
    try:
        return datetime.fromtimestamp(int(text), UTC) if text else None
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
