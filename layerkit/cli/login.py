"""`layerkit login`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from layerkit.cli import authfile, environment, output
from layerkit.errors import AuthError, UsageError

if TYPE_CHECKING:
    from layerkit.cli.app import Settings
    from layerkit.ops.login import Credentials

_LONGEST_PASSWORD = 64 << 10  # bytes; tokens of clouds have a few thousand


@click.command("login")
@click.argument("server", default="")
@click.option("-u", "--username", metavar="NAME", help="User name.")
@click.option("-p", "--password", metavar="PASSWORD", help="Password or token; better on stdin.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@authfile.option
@click.pass_obj
def command(
    settings: Settings,
    *,
    server: str,
    username: str | None,
    password: str | None,
    password_stdin: bool,
) -> None:
    """Log in to a registry.

    Without SERVER it is Docker Hub. The registry is asked before anything is stored: in docker's
    config.json, or in the credential helper that it names.
    """
    from layerkit.ops import login  # noqa: PLC0415  loads what speaks HTTP

    _check(username, password, password_stdin=password_stdin)
    registry = login.registry_of(server)
    if password_stdin:
        password = _from_stdin()
    if username is None and password is None and _takes_known(settings, registry):
        return
    user = _complete(username, password)
    path = environment.login_file(settings.authfile)
    with environment.client(user=user) as client:
        done = login.login(client, registry, user, path)
    if not done.helper:
        output.notice(
            "warning",
            f"your credentials are stored unencrypted in {path}; a credential helper (credsStore) "
            "keeps them elsewhere",
        )
    output.line("Login Succeeded")


def _check(username: str | None, password: str | None, *, password_stdin: bool) -> None:
    if password_stdin and password is not None:
        raise UsageError("conflicting options: cannot specify both --password and --password-stdin")
    if password_stdin and username is None:
        raise UsageError("the --password-stdin option requires --username to be set")
    if password is not None:
        text = "using --password via the CLI is insecure. Use --password-stdin."
        output.notice("warning", text)


def _from_stdin() -> str:
    """The password without the end of its line."""
    data = sys.stdin.buffer.read(_LONGEST_PASSWORD + 1)
    if len(data) > _LONGEST_PASSWORD:
        raise UsageError(f"a password of more than {_LONGEST_PASSWORD} bytes")
    try:
        return data.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise UsageError("the password is not UTF-8") from None


def _takes_known(settings: Settings, registry: str) -> bool:
    """Whether the registry takes the credentials that are stored already."""
    from layerkit.ops import login  # noqa: PLC0415  loads what speaks HTTP

    user = login.known(environment.credential_files(settings.authfile), registry)
    if user is None:
        return False
    name = f" [Username: {output.printable(user.username)}]" if user.username else ""
    output.line(f"Authenticating with existing credentials...{name}")
    try:
        with environment.client(user=user) as client:
            client.check_login(registry)
    except AuthError as error:
        output.notice("warning", f"login did not succeed: {error}")
        return False
    output.line("Login Succeeded")
    return True


def _complete(username: str | None, password: str | None) -> Credentials:
    """The credentials, what is missing asked for at the terminal."""
    from layerkit.ops import login  # noqa: PLC0415  loads what speaks HTTP

    if (username is None or password is None) and not sys.stdin.isatty():
        raise UsageError(
            "Cannot perform an interactive login from a non TTY device",
            hint="use --username and --password-stdin",
        )
    if username is None:
        username = click.prompt("Username", err=True)
    if password is None:
        password = click.prompt("Password", err=True, hide_input=True)
    return login.credentials(username, password)
