"""Debian's docker-registry on a free loopback port, for tests against the real thing."""

from __future__ import annotations

import os
import re
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

PROGRAM = "docker-registry"
_LISTENING = re.compile(r"listening on (127\.0\.0\.1:[0-9]+)")
_START_LIMIT = 30
_SALT = "$2y$05$abcdefghijklmnopqrstuu"

_CONFIG = """\
version: 0.1
storage:
  filesystem:
    rootdirectory: {storage}
  delete:
    enabled: true
{more_storage}http:
  addr: 127.0.0.1:0
{more_http}"""
_READ_ONLY = """\
  maintenance:
    readonly:
      enabled: true
"""
_RELATIVE = "  relativeurls: true\n"
_TLS = """\
  tls:
    certificate: {0}
    key: {1}
"""
_CONFIG_USERS = """\
auth:
  htpasswd:
    realm: layerkit tests
    path: {users}
"""


@dataclass(frozen=True, slots=True)
class DebianRegistry:
    """A running registry: its `host:port`, where it keeps what it has, and what it says."""

    host: str
    storage: Path
    log: Path

    def push(self, layout: Path, name: str, *, credentials: str = "") -> str:
        """Put the image of an OCI layout there with skopeo; return the name to pull it by.

        `layout` may end in `:REFERENCE`; `credentials` are `user:password`.
        """
        command = ["skopeo", "--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false"]
        command += ["--preserve-digests"]
        if credentials:
            command += ["--dest-creds", credentials]
        target = f"{self.host}/{name}"
        command += [f"oci:{layout}", f"docker://{target}"]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
        return target


@contextmanager
def debian_registry(
    folder: Path,
    *,
    users: Mapping[str, str] | None = None,
    auth: str = "",
    read_only: bool = False,
    relative: bool = False,
    tls: tuple[Path, Path] | None = None,
) -> Iterator[DebianRegistry]:
    """A registry with its files in `folder`, ended on leaving; `users` are names and passwords.

    Without `users` everybody may pull and push, if `auth`, a part of its configuration, says
    nothing else; with `read_only` only pull. `relative` makes its Locations so. `tls` are the files
    of a certificate and its key. What is in `folder` from an earlier time is served again.
    """
    storage, config, log = folder / "storage", folder / "config.yml", folder / "log"
    folder.mkdir(parents=True, exist_ok=True)
    text = _CONFIG.format(
        storage=storage,
        more_storage=_READ_ONLY if read_only else "",
        more_http=(_RELATIVE if relative else "") + (_TLS.format(*tls) if tls else ""),
    )
    config.write_text(text + _configuration_of(users or {}, folder) + auth)
    with (
        log.open("wb") as output,
        subprocess.Popen(
            [PROGRAM, "serve", str(config)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=_environment(),
        ) as process,
    ):
        try:
            yield DebianRegistry(_wait_until_it_listens(process, log), storage, log)
        finally:
            process.terminate()


def _configuration_of(users: Mapping[str, str], folder: Path) -> str:
    if not users:
        return ""
    password_file = folder / "users"
    password_file.write_text(
        "".join(f"{name}:{_bcrypt(password)}\n" for name, password in users.items())
    )
    return _CONFIG_USERS.format(users=password_file)


def _bcrypt(password: str) -> str:
    # The registry knows no other hash; perl is on every Debian and calls the system's crypt.
    command = ["perl", "-e", "print crypt($ARGV[0], $ARGV[1])", password, _SALT]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _environment() -> dict[str, str]:
    """The environment without what the registry would take as its settings."""
    strange = ("AWS_", "REGISTRY_", "OTEL_", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
    return {key: value for key, value in os.environ.items() if not key.upper().startswith(strange)}


def _wait_until_it_listens(process: subprocess.Popen[bytes], log: Path) -> str:
    """The address that the registry chose, from its log."""
    deadline = time.monotonic() + _START_LIMIT
    while process.poll() is None and time.monotonic() < deadline:
        if match := _LISTENING.search(log.read_text()):
            return match[1]
        time.sleep(0.01)
    raise RuntimeError(f"{PROGRAM} did not start:\n{log.read_text()}")
