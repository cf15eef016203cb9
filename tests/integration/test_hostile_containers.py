"""Images and users that want out: attacks on runtimes, tried with whole commands."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import pexpect
import pytest
from support import boxes, machines, networks, tars
from support.machines import IMAGE, PROGRAM, Machine

pytestmark = [
    pytest.mark.root,
    pytest.mark.debian("ip"),
    pytest.mark.skipif(boxes.obstacle() is not None, reason=str(boxes.obstacle())),
]

SECRET = "not-for-containers"


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    """A host with layerkit and the image."""
    folder = tmp_path_factory.mktemp("hostile")
    layout = machines.web_image(folder)
    with networks.world() as world:
        machine = Machine(world, folder / "state")
        machine.run("load", "-i", str(layout))
        yield machine
        machine.remove_all()


@pytest.fixture
def victim(tmp_path):
    """A folder of the host with something in it."""
    folder = tmp_path / "victim"
    folder.mkdir()
    (folder / "ptmx").write_text("precious")
    return folder


@pytest.fixture
def image(machine, tmp_path):
    """Makes an image with these entries above the usual ones."""

    def make(*entries: bytes) -> str:
        layer = machine.root.parent / "layer.tar"
        tars.oci_layout(tmp_path / "image", [layer, tars.archive(*entries)], name="evil:1")
        machine.run("load", "-i", str(tmp_path / "image"))
        return "evil:1"

    return make


def run(machine: Machine, *arguments: str) -> machines.Ran:
    """A container to its end, without a network."""
    return machine.run("run", "--rm", "--network", "none", *arguments)


def is_untouched(victim: Path) -> bool:
    """Whether it is as it was."""
    return {path.name: path.read_text() for path in victim.iterdir()} == {"ptmx": "precious"}


@pytest.mark.parametrize(
    "command",
    [("/proc/self/exe",), ("--entrypoint", "/proc/self/exe"), ("/evil",), ("/link",)],
    ids=["SE-36-command", "SE-36-entrypoint", "SE-36-script", "SE-36-link"],
)
def test_the_runner_cannot_be_executed(machine, image, command):
    """What layerkit itself is, while it starts the container, is nothing that the image can run."""
    name = image(
        tars.file("evil", "#!/proc/self/exe\n", mode=0o755), tars.symlink("link", "/proc/self/exe")
    )
    interpreter = Path(sys.executable).resolve()
    before = hashlib.sha256(interpreter.read_bytes()).digest()
    options, words = (command, ()) if command[0].startswith("--") else ((), command)

    ran = run(machine, *options, name, *words)

    assert (ran.code, ran.out) == (126, "")
    assert hashlib.sha256(interpreter.read_bytes()).digest() == before


def test_an_exec_cannot_be_looked_into(machine):
    """SE-36: no process of layerkit's in a container shows its program to the container's root."""
    look = (
        "for p in /proc/[0-9]*; do e=$(readlink $p/exe) && [ $e != /bin/busybox ] && echo $e; done"
    )
    watch = f"echo begun; while :; do {look}; done 2>/dev/null"
    machine("run", "-d", "--name", "watch", "--network", "none", IMAGE, "sh", "-c", watch)

    for _ in range(5):
        machine("exec", "watch", "true")

    machine("kill", "watch")
    machine("wait", "watch")
    assert machine("logs", "watch") == "begun"
    machine("rm", "watch")


@pytest.mark.parametrize(
    "target", ["/proc", "/proc/self/attr", "/proc/sys", "/proc/sys/net", "/way", "/way/self/attr"]
)
@pytest.mark.parametrize("option", ["-v", "--tmpfs"])
def test_nobody_fakes_the_kernels_files(machine, image, victim, option, target):
    """SE-37, SE-42, SE-59: a folder of /proc is no place for a mount, also by a link of the image."""
    name = image(tars.symlink("way", "proc"))
    wish = f"{victim}:{target}" if option == "-v" else target

    ran = run(machine, option, wish, name, "true")

    assert ran.code == 125
    assert f"cannot mount on {target}: it lies in /proc" in ran.err
    assert is_untouched(victim)


def test_a_kernel_parameter_is_set_in_the_kernel(machine, image):
    """SE-42: what an image has in /proc/sys does not get what is meant for the kernel."""
    name = image(
        tars.directory("proc"),
        tars.directory("proc/sys"),
        tars.symlink("proc/sys/net", "/proc/sysrq-trigger"),
    )

    ran = run(machine, "--sysctl", "net.ipv4.ip_forward=1", name, "cat", "/proc/sys/net/ipv4/ip_forward")  # fmt: skip

    assert ran == (0, "1\n", "")


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("folder", "No such file or directory"),
        ("file", "not the null device"),
        ("link", "Too many levels of symbolic links"),
    ],
)
def test_a_mask_is_the_null_device(machine, victim, kind, words):
    """SE-40: with a /dev of the user's, what is put over files of /proc is /dev/null or nothing is."""
    null = victim / "null"
    if kind == "file":
        null.write_text("fake")
    elif kind == "link":
        null.symlink_to("/etc/passwd")

    ran = run(machine, "-v", f"{victim}:/dev", IMAGE, "cat", "/proc/interrupts")

    assert (ran.code, ran.out) == (125, "")
    assert words in ran.err


def test_a_terminal_is_the_containers(machine, image, victim):
    """SE-41: what an image has at /dev/console, /dev/ptmx and /dev/pts is not written to."""
    links = (tars.symlink(f"dev/{name}", str(victim / "ptmx")) for name in ("console", "ptmx"))
    name = image(tars.directory("dev"), *links, tars.symlink("dev/pts", str(victim)))
    show = "tty; stat -c %F /dev/console; echo x > /dev/console"
    arguments = ["run", "--rm", "-it", "--network", "none", name, "sh", "-c", show]

    with machine.world.host.entered():
        terminal = pexpect.spawn(str(PROGRAM), arguments, env=machine.environment, encoding="utf-8")
    shown = terminal.read().split("\r\n")
    terminal.close()

    assert shown == ["/dev/pts/0", "character special file", "x", ""]
    assert is_untouched(victim)


@pytest.mark.parametrize("name", ["dev", "proc", "sys", "etc", "run", "tmp"])
def test_folders_that_lead_out_are_the_containers_own(machine, image, victim, name):
    """SE-43: what layerkit puts into a folder that the image makes a link never lands on the host."""
    ran = run(machine, image(tars.symlink(name, str(victim))), "/bin/sh", "-c", "ls /dev; id -u")

    assert (ran.code, ran.out.split()[-1]) == (0, "0")
    assert "ptmx" in ran.out.split()
    assert is_untouched(victim)


@pytest.mark.parametrize("first", ["run", "exec"])
@pytest.mark.parametrize(("user", "held"), [("0", "00000000a80425fb"), ("1000", "0" * 16)])
def test_no_capability_is_inherited(machine, first, user, held):
    """SE-45: the inheritable and ambient sets are empty, for root and others, for run and exec."""
    show = ("grep", "^Cap", "/proc/self/status")
    if first == "run":
        text = run(machine, "-u", user, IMAGE, *show).out
    else:
        machine("run", "-d", "--rm", "--name", "c", "--network", "none", IMAGE, "sleep", "1000")
        text = machine("exec", "-u", user, "c", *show)
        machine("rm", "-f", "c")

    found = dict(line.split(":\t") for line in text.splitlines())
    assert found == {
        "CapInh": "0" * 16,
        "CapPrm": held,
        "CapEff": held,
        "CapBnd": "00000000a80425fb",
        "CapAmb": "0" * 16,
    }


@pytest.mark.parametrize(
    ("user", "groups"),
    [("1000:1000", "1000"), ("1000", "1000 10 29"), ("app", "1000 10 29"), ("4242", "0")],
    ids=["SE-46-with-group", "SE-46-number", "SE-46-name", "SE-46-unknown"],
)
def test_groups_are_those_of_the_image(machine, user, groups):
    """A user has the groups that the image's files say, and none of the caller's."""
    assert run(machine, "-u", user, IMAGE, "id", "-G").out.split() == groups.split()


def test_large_arguments_and_variables(machine):
    """SE-48: seventy thousand bytes in an argument and in a variable arrive."""
    big = "x" * 70_000

    ran = run(machine, "-e", f"A={big}", IMAGE, "sh", "-c", "echo ${#0} ${#A}", big)

    assert ran == (0, "70000 70000\n", "")


def test_a_keyring_of_its_own(machine):
    """SE-53: a container's processes have a session keyring that nobody else has, an empty one."""
    ran = run(machine, "--privileged", IMAGE, "cat", "/proc/keys")

    sessions = [line.split()[-2:] for line in ran.out.splitlines() if "_ses" in line]
    assert ["_ses:", "empty"] in sessions


@pytest.mark.parametrize(
    ("options", "value"), [((), "0"), (("--security-opt", "no-new-privileges"), "1")]
)
def test_a_filter_and_new_privileges(machine, options, value):
    """SE-53: the filter of system calls is always loaded; no-new-privileges is the user's to ask for."""
    found = run(machine, *options, IMAGE, "grep", "-E", "NoNewPrivs|Seccomp:", "/proc/1/status").out

    assert found.split() == ["NoNewPrivs:", value, "Seccomp:", "2"]


def test_credentials_stay_outside(machine, monkeypatch):
    """SE-57: what layerkit is told of registries is in no environment and no argument of a container."""
    variables = ("DOCKER_AUTH_CONFIG", "REGISTRY_AUTH_FILE", "LAYERKIT_LOG")
    for name in variables:
        monkeypatch.setitem(machine.environment, name, SECRET)

    ran = run(machine, IMAGE, "sh", "-c", "cat /proc/*/environ /proc/*/cmdline | tr '\\0' '\\n'")

    assert "HOSTNAME=" in ran.out
    assert SECRET not in ran.out
    assert not [name for name in variables if name in ran.out]


def test_sys_and_cgroups_are_read_only(machine):
    """SE-59: nothing below /sys can be written, control groups included."""
    write = "for f in $(find /sys/fs/cgroup /sys/kernel -maxdepth 2 -type f); do (echo 1 > $f) && echo $f; done"
    show = f"{write}; mkdir /sys/fs/cgroup/new; grep ' /sys' /proc/mounts"

    lines = run(machine, IMAGE, "sh", "-c", f"({show}) 2>/dev/null").out.splitlines()

    assert len(lines) >= 2
    assert {line.split()[3].split(",")[0] for line in lines} == {"ro"}
