"""The options that `run` and `create` share, and the `Wishes` they make."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Any, TypeVar

import click

from layerkit.cli.completion import complete_snapshots
from layerkit.cli.wishes import sizes
from layerkit.cli.wishes.isolation import device, isolation, sysctls
from layerkit.cli.wishes.limits import limits, ulimits
from layerkit.cli.wishes.mounts import mounts
from layerkit.cli.wishes.network import hostname, networking
from layerkit.cli.wishes.signals import signal_number
from layerkit.cli.wishes.spelling import as_click
from layerkit.cli.wishes.variables import labels, variables
from layerkit.errors import UsageError
from layerkit.ops.wishes import Wishes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    _Function = TypeVar("_Function", bound=Callable[..., Any])
    _Decorator = Callable[[_Function], _Function]

_GENERAL = "Options"
_PROCESS = "Process"
_FILES = "Files"
_NETWORK = "Network"
_LIMITS = "Limits"
_RIGHTS = "Rights"


class _Option(click.Option):
    """An option that the help shows with those of its group."""

    def __init__(self, *arguments: Any, group: str, **attributes: Any) -> None:
        super().__init__(*arguments, **attributes)
        self.group = group


class ContainerCommand(click.Command):
    """A command with these options: written in docker's ways, and in groups in the help."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the arguments; see `as_click`."""
        options = [each for each in self.get_params(ctx) if isinstance(each, click.Option)]
        valued = {name for each in options if not each.is_flag for name in each.opts}
        flags = {
            name: next(iter(each.secondary_opts), "")
            for each in options
            if each.is_flag
            for name in each.opts
        }
        return super().parse_args(ctx, as_click(args, valued, flags))

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options group by group."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for each in self.get_params(ctx):
            record = each.get_help_record(ctx) if isinstance(each, click.Option) else None
            if record is not None:
                groups.setdefault(getattr(each, "group", _GENERAL), []).append(record)
        for title, records in groups.items():
            with formatter.section(title):
                formatter.write_dl(records)


def _flag(group: str, *names: str, text: str) -> _Decorator[Any]:
    return click.option(*names, cls=_Option, group=group, is_flag=True, help=text)


def _value(group: str, *names: str, metavar: str, text: str, **attributes: Any) -> _Decorator[Any]:
    attributes = {"metavar": metavar, "help": text, **attributes}
    return click.option(*names, cls=_Option, group=group, **attributes)


def _many(group: str, *names: str, metavar: str, text: str) -> _Decorator[Any]:
    return _value(group, *names, metavar=metavar, text=text, multiple=True)


_LIMITING = (
    _value(_LIMITS, "-m", "--memory", metavar="SIZE", text="Most memory, such as 512m."),
    _value(
        _LIMITS, "--memory-swap", metavar="SIZE", text="Most memory and swap, -1 for any amount."
    ),
    _value(_LIMITS, "--memory-reservation", metavar="SIZE", text="Memory to keep free for it."),
    _value(_LIMITS, "--cpus", metavar="NUMBER", text="Most processors, such as 1.5."),
    _value(_LIMITS, "-c", "--cpu-shares", metavar="NUMBER", text="Weight beside other containers."),
    _value(_LIMITS, "--cpu-period", metavar="MICROSECONDS", text="Period that --cpu-quota is of."),
    _value(_LIMITS, "--cpu-quota", metavar="MICROSECONDS", text="Most time in each --cpu-period."),
    _value(_LIMITS, "--cpuset-cpus", metavar="LIST", text="Processors to run on, such as 0-2,7."),
    _value(_LIMITS, "--cpuset-mems", metavar="LIST", text="Memory nodes to use, such as 0,1."),
    _value(_LIMITS, "--pids-limit", metavar="NUMBER", text="Most processes, -1 for any number."),
)
_SHARED = (
    _flag(_GENERAL, "-i", "--interactive", text="Give the container our standard input."),
    _flag(_GENERAL, "-t", "--tty", text="Give the container a terminal."),
    _flag(_GENERAL, "--rm", "remove", text="Remove the container when it ends."),
    _value(
        _GENERAL, "--name", metavar="NAME", text="Name of the container (default: a random one)."
    ),
    _many(_GENERAL, "-l", "--label", metavar="KEY[=VALUE]", text="Set a label."),
    _many(_GENERAL, "--label-file", metavar="FILE", text="Set the labels of a file."),
    _value(_GENERAL, "--cidfile", metavar="FILE", text="Write the container's id to a new file."),
    _value(
        _GENERAL,
        "--pull",
        metavar="WHEN",
        type=click.Choice(["always", "missing", "never"]),
        default="missing",
        text="When to pull the image: always, missing (the default) or never.",
    ),
    _value(_GENERAL, "--platform", metavar="OS/ARCH", text="Take the image for this platform."),
    _value(
        _GENERAL,
        "--from",
        "snapshot",
        metavar="CONTAINER@SNAPSHOT",
        shell_complete=complete_snapshots,
        text="Start from this, not from an image.",
    ),
    _many(_PROCESS, "-e", "--env", metavar="KEY[=VALUE]", text="Set a variable, or pass ours on."),
    _many(_PROCESS, "--env-file", metavar="FILE", text="Set the variables of a file."),
    _value(_PROCESS, "-w", "--workdir", metavar="DIR", text="Working directory of the command."),
    _value(_PROCESS, "-u", "--user", metavar="USER[:GROUP]", text="Name or number to run as."),
    _many(_PROCESS, "--group-add", metavar="GROUP", text="Be in this group, too."),
    _value(
        _PROCESS,
        "--entrypoint",
        metavar="PROGRAM",
        text="Run this instead of the image's entrypoint.",
    ),
    _flag(_PROCESS, "--init", text="Run an init as first process, which reaps and forwards."),
    _value(
        _PROCESS, "--stop-signal", metavar="SIGNAL", text="Signal that stops it (default: TERM)."
    ),
    _value(_PROCESS, "--stop-timeout", metavar="SECONDS", text="How long it may take to stop."),
    _many(
        _FILES,
        "-v",
        "--volume",
        metavar="[SOURCE:]TARGET[:OPTIONS]",
        text="Mount a folder of the host or a volume; options are ro, rw, nocopy.",
    ),
    _many(
        _FILES,
        "--mount",
        metavar="KEY=VALUE,...",
        text="Mount with type=bind, volume or tmpfs, source=, target=, readonly, ...",
    ),
    _many(
        _FILES,
        "--tmpfs",
        metavar="TARGET[:OPTIONS]",
        text="Mount a file system in memory; options such as size=64m, mode=1777, exec.",
    ),
    _flag(_FILES, "--read-only", text="Mount the root file system read-only."),
    _value(_FILES, "--shm-size", metavar="SIZE", text="Size of /dev/shm (default: 64m)."),
    _many(
        _NETWORK,
        "-p",
        "--publish",
        metavar="[[IP:]HOST:]PORT",
        text="Publish a port, or a range, with /udp behind it for UDP.",
    ),
    _flag(_NETWORK, "-P", "--publish-all", text="Publish all ports that the image exposes."),
    _value(
        _NETWORK,
        "--network",
        metavar="NETWORK",
        default="bridge",
        text="bridge (the default), none, host, or container:NAME.",
    ),
    _value(_NETWORK, "-h", "--hostname", metavar="NAME", text="Host name of the container."),
    _many(_NETWORK, "--add-host", metavar="NAME:IP", text="Add a line to /etc/hosts."),
    _many(_NETWORK, "--dns", metavar="IP", text="Ask this name server."),
    _many(_NETWORK, "--dns-search", metavar="DOMAIN", text="Search names in this domain."),
    _many(_NETWORK, "--dns-option", metavar="OPTION", text="Add an option to resolv.conf."),
    *_LIMITING,
    _many(_LIMITS, "--ulimit", metavar="NAME=SOFT[:HARD]", text="Set a limit, as ulimit does."),
    _many(_RIGHTS, "--cap-add", metavar="NAME", text="Add a capability, or ALL."),
    _many(_RIGHTS, "--cap-drop", metavar="NAME", text="Take a capability away, or ALL."),
    _flag(_RIGHTS, "--privileged", text="Give all capabilities and devices, and mask nothing."),
    _many(
        _RIGHTS,
        "--security-opt",
        metavar="OPTION",
        text="seccomp=FILE, seccomp=unconfined, or no-new-privileges.",
    ),
    _many(
        _RIGHTS,
        "--device",
        metavar="SOURCE[:TARGET][:rwm]",
        text="Give the container a device of the host.",
    ),
    _many(_RIGHTS, "--sysctl", metavar="NAME=VALUE", text="Set a parameter of the kernel."),
)
_RUN = (
    _flag(_GENERAL, "-d", "--detach", text="Print the id and leave the container running."),
    _value(
        _GENERAL,
        "--detach-keys",
        metavar="KEYS",
        text="Keys that leave the container running (default: ctrl-p,ctrl-q; empty: none).",
    ),
    click.option(
        "--sig-proxy/--no-sig-proxy",
        cls=_Option,
        group=_GENERAL,
        default=True,
        help="Pass signals on to the command (the default without -t).",
    ),
)


def container_options(function: _Function) -> _Function:
    """Decorate a `ContainerCommand` with the options that `run` and `create` share.

    All but `pull`, `platform` and `cidfile` are for `wishes`.
    """
    return reduce(lambda decorated, option: option(decorated), reversed(_SHARED), function)


def limit_options(function: _Function) -> _Function:
    """Decorate a `ContainerCommand` with the options of `layerkit.resources.Limits`."""
    return reduce(lambda decorated, option: option(decorated), reversed(_LIMITING), function)


def run_options(function: _Function) -> _Function:
    """Decorate a `ContainerCommand` with `detach`, `detach_keys` and `sig_proxy`."""
    return reduce(lambda decorated, option: option(decorated), reversed(_RUN), function)


def wishes(image: str, command_line: tuple[str, ...], values: Mapping[str, Any]) -> Wishes:
    """What the values of `container_options`, by their names, ask for; raises `UsageError`."""
    own_hostname = values["hostname"]
    network = networking(values)
    return Wishes(
        image=image,
        snapshot=values["snapshot"],
        command=command_line,
        name=values["name"],
        entrypoint=values["entrypoint"],
        env=variables(values["env"], values["env_file"]),
        labels=labels(values["label"], values["label_file"]),
        workdir=values["workdir"],
        user=values["user"],
        groups=tuple(map(_group, values["group_add"])),
        hostname=hostname(own_hostname) if own_hostname else None,
        interactive=values["interactive"],
        tty=values["tty"],
        remove=values["remove"],
        init=values["init"],
        stop_signal=_stop_signal(values["stop_signal"]),
        stop_timeout=_stop_timeout(values["stop_timeout"]),
        shm_size=_shm_size(values["shm_size"]),
        mounts=mounts(values["volume"], values["mount"], values["tmpfs"]),
        devices=tuple(map(device, values["device"])),
        sysctls=sysctls(values["sysctl"], network.mode),
        limits=limits(values),
        ulimits=ulimits(values["ulimit"]),
        networking=network,
        isolation=isolation(values),
    )


def _group(text: str) -> str:
    if not text:
        raise UsageError("invalid --group-add '': wanted a group's name or number")
    return text


def _stop_signal(text: str | None) -> str | None:
    if text is not None:
        signal_number(text, "--stop-signal")
    return text


def _stop_timeout(text: str | None) -> int | None:
    return None if text is None else sizes.integer(text, "--stop-timeout", -1, 1 << 31)


def _shm_size(text: str | None) -> int | None:
    return None if text is None else sizes.size(text, "--shm-size") or None
