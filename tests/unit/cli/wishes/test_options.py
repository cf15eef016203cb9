"""A whole command line of docker's becomes one value."""

import os
from pathlib import Path

import click
import pytest
from support.modules import loaded_by

from layerkit.cli.wishes import options
from layerkit.errors import UsageError
from layerkit.mount import BindMount, TmpfsMount, VolumeMount
from layerkit.ops.wishes import Isolation, Networking, Wishes
from layerkit.ports import Publication
from layerkit.resources import Device, Limits, Ulimit

RUN = {"detach": False, "detach_keys": None, "sig_proxy": True}
OTHER = {"pull": "missing", "platform": None, "cidfile": None}


@click.command(
    "run", cls=options.ContainerCommand, context_settings={"allow_interspersed_args": False}
)
@click.argument("image")
@click.argument("command_line", nargs=-1, type=click.UNPROCESSED)
@options.container_options
@options.run_options
def command(image, command_line, **values):
    """Run."""
    return options.wishes(image, command_line, values), values


def parsed(*arguments):
    """The wishes of a command line, and the values that are for others."""
    context = command.make_context("run", list(arguments))
    return command.invoke(context)


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("", Wishes()),
        ("-it", Wishes(interactive=True, tty=True)),
        ("-ti --rm --init", Wishes(interactive=True, tty=True, remove=True, init=True)),
        ("--rm=false -i=true", Wishes(interactive=True)),
        ("--name=x", Wishes(name="x")),
        ("--name x -wfolder -uuser:group", Wishes(name="x", workdir="folder", user="user:group")),
        ("-eA=1 -e B= --env=C=2", Wishes(env=("A=1", "B=", "C=2"))),
        ("-iteA=1", Wishes(interactive=True, tty=True, env=("A=1",))),
        ("-e OURS -e NOT_OURS", Wishes(env=("OURS=1", "NOT_OURS"))),
        ("-l a=1 --label b", Wishes(labels=(("a", "1"), ("b", "")))),
        ("--entrypoint=", Wishes(entrypoint="")),
        ("--entrypoint sh", Wishes(entrypoint="sh")),
        ("--group-add a --group-add 5", Wishes(groups=("a", "5"))),
        ("-h web --hostname=db", Wishes(hostname="db")),
        ("--from c@s", Wishes(snapshot="c@s")),
        ("--stop-signal SIGINT --stop-timeout=-1", Wishes(stop_signal="SIGINT", stop_timeout=-1)),
        ("--shm-size 1g", Wishes(shm_size=1 << 30)),
        ("--shm-size 0", Wishes()),
        ("-v=/host:/a:ro", Wishes(mounts=(BindMount(Path("/host"), "/a", True, create=True),))),
        (
            "--tmpfs /c -v/host:/a --mount src=name,dst=/b",
            Wishes(
                mounts=(
                    BindMount(Path("/host"), "/a", create=True),
                    VolumeMount("name", "/b"),
                    TmpfsMount("/c"),
                )
            ),
        ),
        (
            "--device /dev/fuse --sysctl net.a=1",
            Wishes(devices=(Device(Path("/dev/fuse"), "/dev/fuse"),), sysctls=(("net.a", "1"),)),
        ),
        (
            "-m=32m --memory-swap -1 --cpus=.5 -c 512 --cpuset-cpus 0 --pids-limit 20",
            Wishes(
                limits=Limits(
                    32 << 20, -1, None, 0.5, cpu_shares=512, cpuset_cpus="0", pids=20
                )
            ),
        ),
        ("--ulimit nofile=1 --ulimit=core=0",
         Wishes(ulimits=(Ulimit("core", 0, 0), Ulimit("nofile", 1, 1)))),
        ("-p8080:80 -p 53/udp -P",
         Wishes(networking=Networking(
             publications=(Publication(80, "tcp", 8080), Publication(53, "udp")),
             publish_all=True))),
        ("--net=host", Wishes(networking=Networking("host"))),
        ("--network none --dns 1.1.1.1 --dns-opt a --dns-search b --add-host c:::1",
         Wishes(networking=Networking("none", dns=("1.1.1.1",), dns_search=("b",),
                                      dns_options=("a",), hosts=(("c", "::1"),)))),
        ("--cap-add SYS_TIME --cap-drop=ALL --read-only --privileged",
         Wishes(isolation=Isolation(("SYS_TIME",), ("ALL",), True, readonly=True))),
        ("--security-opt=no-new-privileges --security-opt seccomp=unconfined",
         Wishes(isolation=Isolation(seccomp="unconfined", no_new_privileges=True))),
    ],
)  # fmt: skip
def test_a_command_line(monkeypatch, line, wanted):
    """The wishes are those of the options, in any of docker's ways to write them."""
    monkeypatch.setenv("OURS", "1")
    monkeypatch.delenv("NOT_OURS", raising=False)

    found, values = parsed(*line.split(), "image", "sh", "-c", "--rm=false")

    given = {"image": "image", "command": ("sh", "-c", "--rm=false")}
    assert found == Wishes(**({each: getattr(wanted, each) for each in Wishes.__slots__} | given))
    assert {name: values[name] for name in RUN | OTHER} == RUN | OTHER


@pytest.mark.parametrize(
    ("line", "changed"),
    [
        ("-itd", {"detach": True}),
        ("--detach=true --rm", {"detach": True}),
        ("--detach-keys ctrl-a", {"detach_keys": "ctrl-a"}),
        ("--detach-keys=", {"detach_keys": ""}),
        ("--sig-proxy=false", {"sig_proxy": False}),
        ("--sig-proxy", {}),
        ("--pull=always --platform linux/arm64", {"pull": "always", "platform": "linux/arm64"}),
        ("--cidfile x", {"cidfile": "x"}),
    ],
)
def test_what_is_for_the_command(line, changed):
    """How a container is started is not part of the wishes."""
    _, values = parsed(*line.split(), "image")

    assert {name: values[name] for name in RUN | OTHER} == RUN | OTHER | changed


def test_files_of_variables_and_labels(tmp_path):
    """Files are read, and options go before them."""
    path = tmp_path / "file"
    path.write_text("A=1\nB=2")

    found, _ = parsed("--env-file", str(path), "-eA=3", f"--label-file={path}", "-lB=4", "image")

    assert found.env == ("A=1", "B=2", "A=3")
    assert found.labels == (("A", "1"), ("B", "4"))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("-m 1x", "invalid --memory '1x'"),
        ("--shm-size -1", "invalid --shm-size '-1'"),
        ("--stop-signal FOO", "invalid --stop-signal 'FOO'"),
        ("--stop-timeout -2", "invalid --stop-timeout '-2'"),
        ("--stop-timeout 1s", "invalid --stop-timeout '1s'"),
        ("--group-add=", "invalid --group-add ''"),
        ("-h a/b", "invalid --hostname 'a/b'"),
        ("--network mine", "network mine not found"),
        ("--sysctl net.a=1 --network host", "sysctl 'net.a=1' is not allowed"),
        ("-v /a:/b --tmpfs /b", "duplicate mount point: /b"),
        ("--env-file /nonexistent/x", "cannot read --env-file /nonexistent/x"),
    ],
)
def test_a_bad_command_line(line, reason):
    """The first option that makes no sense is named."""
    with pytest.raises(UsageError) as caught:
        parsed(*line.split(), "image")

    assert caught.value.message.startswith(reason)


@pytest.mark.parametrize(
    "line", ["--rm=maybe", "--pull=sometimes", "-z", "--restart=always", "--init=", "--name"]
)
def test_what_click_refuses(line):
    """RT-P02: unknown options, values of flags and missing values are errors."""
    with pytest.raises(click.UsageError):
        parsed(*line.split())


def test_the_help_has_groups():
    """Each option stands in one section, the short ones of docker with their letters."""
    text = command.get_help(click.Context(command, max_content_width=100))
    sections = [line for line in text.splitlines() if line.endswith(":") and line[0] != " "]

    assert sections == ["Options:", "Process:", "Files:", "Network:", "Limits:", "Rights:"]
    for short in [
        "-i,",
        "-t,",
        "-d,",
        "-l,",
        "-e,",
        "-w,",
        "-u,",
        "-v,",
        "-p,",
        "-P,",
        "-h,",
        "-m,",
        "-c,",
    ]:
        assert text.count(f"  {short} --") == 1
    assert "IMAGE" not in text.partition("Options:")[2]
    assert "--network" in text.partition("Network:")[2].partition("Limits:")[0]


def test_every_option_has_help():
    """There is no option without a word about it."""
    missing = [
        each.name for each in command.params if isinstance(each, click.Option) and not each.help
    ]

    assert missing == []


def test_little_is_loaded():
    """`run` starts with this, so what only few options need is not loaded for all."""
    before = loaded_by("import click, pathlib, msgspec, layerkit.cli.app")
    after = set(loaded_by("import layerkit.cli.wishes.options")) - set(before)

    usual = ("layerkit.", "click.shell_completion")
    assert {name for name in after if not name.startswith(usual)} == set()
    parts = ("layerkit.sandbox", "layerkit.store", "layerkit.registry")
    assert {name for name in after if name.startswith(parts)} == set()


def test_relative_paths_are_from_here(monkeypatch, tmp_path):
    """What is kept for later does not depend on our working directory any more."""
    monkeypatch.chdir(tmp_path)

    found, _ = parsed("-v", ".:/a", "--security-opt=seccomp=p", "image")

    assert found.mounts[0].source == Path(os.path.realpath(tmp_path))
    assert found.isolation.seccomp == f"{tmp_path}/p"
