"""What real containers may do: system calls, capabilities, limits, devices, kernel parameters."""

from __future__ import annotations

import os
import resource
import signal
import stat
from pathlib import Path

import pexpect
import pytest
from support import boxes

from layerkit.errors import CommandNotFoundError, NotExecutableError, SandboxError
from layerkit.mount import BindMount, TmpfsMount
from layerkit.resources import Device, Ulimit
from layerkit.sandbox import capabilities, devices, trampoline, ulimits
from layerkit.sandbox.capabilities import DOCKER_CAPABILITIES
from layerkit.sandbox.process import ExitStatus, Stdio, run
from layerkit.sandbox.seccomp import programs

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(boxes.obstacle() is not None, reason=str(boxes.obstacle())),
]


# Ends with the user that it runs as, for everything else is busybox, which gives up setuid.
GETEUID = """
    b86b000000      mov  eax, 107   geteuid
    0f05            syscall
    89c7            mov  edi, eax
    b83c000000      mov  eax, 60    exit
    0f05            syscall
"""


def geteuid() -> bytes:
    """The program of `GETEUID`."""
    code = "".join(line.split()[0] for line in GETEUID.split("\n") if line.strip())
    return trampoline.elf("x86_64", bytes.fromhex(code))


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    """The busybox root; not to be written to."""
    return boxes.make_image(tmp_path_factory.mktemp("busybox") / "root")


@pytest.fixture
def layer(tmp_path):
    """A layer over the image for what a test wants in its root."""
    (tmp_path / "layer").mkdir()
    return tmp_path / "layer"


@pytest.fixture
def box(tmp_path, image, layer):
    """A container on init layer, test's layer and image."""
    return boxes.Box(tmp_path, boxes.init_layer(tmp_path / "init"), layer, image)


@pytest.fixture(scope="module")
def default(tmp_path_factory):
    """The program of docker's default profile."""
    cache = tmp_path_factory.mktemp("cache")
    return programs.find_program(None, DOCKER_CAPABILITIES, cache)


def status(text: str) -> dict[str, str]:
    """The fields of a /proc/PID/status."""
    pairs = (line.partition(":") for line in text.splitlines())
    return {name: value.strip() for name, _, value in pairs}


class TestRights:
    """What the kernel lets a container do."""

    def test_the_default_container_is_dockers(self, box, default):
        """RT-P11, RT-P14: docker's capabilities in all sets but two, a filter, and new privileges."""
        found = status(box.run("cat", "/proc/self/status", seccomp=default).text)

        assert [found[f"Cap{each}"] for each in ("Prm", "Eff", "Bnd")] == ["00000000a80425fb"] * 3
        assert [found[f"Cap{each}"] for each in ("Inh", "Amb")] == ["0000000000000000"] * 2
        assert (found["Seccomp"], found["NoNewPrivs"]) == ("2", "0")

    def test_without_a_filter_there_is_none(self, box):
        """RT-P14: `seccomp=unconfined` is no filter at all."""
        assert status(box.run("cat", "/proc/self/status").text)["Seccomp"] == "0"

    @pytest.mark.parametrize(
        ("command", "words"),
        [
            (("unshare", "-U", "true"), b"Operation not permitted"),
            (("mount", "-t", "tmpfs", "x", "/tmp"), b"permission denied"),
            (("hostname", "x"), b"Operation not permitted"),
        ],
        ids=["RT-P14-unshare", "RT-P14-mount", "RT-N06-hostname"],
    )
    def test_what_the_host_keeps_to_itself_is_refused(self, box, default, command, words):
        """The default container cannot make namespaces, mount, or change the host name."""
        result = box.run(*command, seccomp=default)

        assert (result.status != ExitStatus(0), words in result.err) == (True, True)

    def test_the_filter_holds_whatever_the_capabilities(self, box, default):
        """RT-P14: a filter refuses by itself; the profile for SYS_ADMIN lets the same call through."""
        names = (*DOCKER_CAPABILITIES, "SYS_ADMIN")
        program = programs.find_program(None, names, box.folder / "cache")
        command = ("unshare", "-m", "true")

        assert box.run(*command, capabilities=names, seccomp=default).status == ExitStatus(1)
        assert box.run(*command, capabilities=names, seccomp=program).status == ExitStatus(0)

    @pytest.mark.parametrize("user", ["", "app"])
    @pytest.mark.parametrize("no_new_privileges", [False, True])
    def test_a_filter_is_loaded_for_every_user(self, box, default, user, no_new_privileges):
        """RT-P14: filter and no-new-privileges go together and apart, for root and others."""
        options = {"user": user, "no_new_privileges": no_new_privileges}
        found = status(box.run("cat", "/proc/self/status", seccomp=default, **options).text)

        assert found["Seccomp"] == "2"
        assert found["NoNewPrivs"] == str(int(no_new_privileges))

    @pytest.mark.skipif(os.uname().machine != "x86_64", reason="the helper is x86-64 code")
    @pytest.mark.parametrize(("no_new_privileges", "euid"), [(False, 0), (True, 1000)])
    def test_setuid_programs_give_nothing_new(self, box, layer, no_new_privileges, euid):
        """RT-P16: with no-new-privileges a setuid-root program runs as its caller."""
        helper = layer / "bin" / "helper"
        helper.parent.mkdir()
        helper.write_bytes(geteuid())
        helper.chmod(0o4755)

        result = box.run("helper", user="app", no_new_privileges=no_new_privileges)

        assert result.status == ExitStatus(euid & 0xFF)

    @pytest.mark.parametrize(
        ("add", "drop", "mask"),
        [
            (("NET_BIND_SERVICE",), ("ALL",), 0x400),
            (("SYS_TIME",), (), 0xA80425FB | 1 << 25),
            ((), ("ALL",), 0),
        ],
        ids=["RT-P12-one", "RT-P12-one-more", "RT-P12-none"],
    )
    def test_capabilities_are_exactly_those(self, box, add, drop, mask):
        """What the user adds and drops is what the process has and can ever have."""
        names = capabilities.granted(add, drop, capabilities.available())
        found = status(box.run("cat", "/proc/self/status", capabilities=names).text)

        assert [int(found[f"Cap{each}"], 16) for each in ("Prm", "Eff", "Bnd")] == [mask] * 3

    def test_a_privileged_container_has_it_all(self, box):
        """All capabilities that layerkit has, /sys writable, nothing masked, all devices."""
        have = capabilities.available()
        result = box.run(
            "sh",
            "-c",
            "cat /proc/self/status; grep -c ' /proc/sys ' /proc/self/mountinfo; "
            "grep ' /sys ' /proc/self/mountinfo | cut -d' ' -f6; ls /dev",
            capabilities=capabilities.granted((), (), have, privileged=True),
            privileged=True,
            devices=devices.find((), privileged=True),
        )
        words = result.out.decode().split()
        found = status(result.out.decode())

        assert int(found["CapEff"], 16) == capabilities.mask(have)
        assert "rw,nosuid,nodev,noexec,relatime" in words
        assert "\n0\nrw," in result.out.decode()
        assert {node.path.split("/")[2] for node in devices.of_host()} <= set(words)


class TestLimits:
    """What a process of a container may use."""

    def test_a_limit_is_set(self, box):
        """RT-P17: soft and hard limit are the user's; without one they are the host's."""
        wanted, notes = ulimits.fitting([Ulimit("nofile", 100, 200), Ulimit("core", 0, 0)])
        command = ("sh", "-c", "umask; ulimit -Sn; ulimit -Hn; ulimit -c")

        assert box.run(*command, ulimits=wanted).text.split() == ["0022", "100", "200", "0"]
        assert notes == ()

    def test_a_limit_above_the_hard_one_does_not_stop_the_start(self, box):
        """RT-P17: what cannot be had is lowered before the start."""
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        wanted, notes = ulimits.fitting([Ulimit("nofile", 50, hard + 1)])
        powerful = "SYS_RESOURCE" in capabilities.available()

        found = box.run("sh", "-c", "ulimit -Hn", ulimits=wanted).text.strip()

        assert (int(found), len(notes)) == ((hard + 1, 0) if powerful else (hard, 1))

    @pytest.mark.parametrize("user", ["", "app"])
    def test_few_files_are_enough_to_start(self, box, user):
        """A limit that leaves the program few descriptors does not get in the way of its start."""
        few = (Ulimit("nofile", 10, 10), Ulimit("nproc", 100, 100))

        assert box.run("sh", "-c", "ulimit -n", ulimits=few, user=user).text == "10\n"


class TestKernelParameters:
    """The parameters of the container's own namespaces."""

    def test_they_are_set_inside_only(self, box):
        """A parameter of the user's holds in the container and nowhere else."""
        before = Path("/proc/sys/kernel/msgmax").read_text()
        wanted = (("kernel.msgmax", "4321"), ("net.ipv4.ip_forward", "1"))
        found = box.run(
            "cat", "/proc/sys/kernel/msgmax", "/proc/sys/net/ipv4/ip_forward", sysctls=wanted
        )

        assert found.text == "4321\n1\n"
        assert Path("/proc/sys/kernel/msgmax").read_text() == before

    @pytest.mark.parametrize(
        ("sysctl", "reason"),
        [
            (("net.no.such", "1"), "No such file or directory"),
            (("net.ipv4.ip_forward", "many"), "Invalid argument"),
        ],
    )
    def test_one_that_cannot_be_set_is_an_error(self, box, sysctl, reason):
        """A parameter or value that the kernel does not know stops the start."""
        with pytest.raises(
            SandboxError, match=f"cannot sysctl {sysctl[0]} = {sysctl[1]}: {reason}"
        ):
            box.run("true", sysctls=(sysctl,))


class TestMemoryFileSystems:
    """File systems in memory."""

    def test_a_tmpfs_has_its_size_and_flags(self, box):
        """RT-F14: as much as it may hold and no byte more, without suid, devices and programs."""
        script = (
            "dd if=/dev/zero of=/t/x bs=1M count=2; grep ' /t ' /proc/self/mountinfo; "
            "stat -c %a /t; cp /bin/busybox /big/ls; /big/ls / >/dev/null && echo ran"
        )
        result = box.run(
            "sh",
            "-c",
            script,
            tmpfs=(TmpfsMount("/t", 1 << 20, 0o750), TmpfsMount("/big", flags=("exec",))),
        )

        assert b"No space left on device" in result.err
        assert b"rw,nosuid,nodev,noexec,relatime" in result.out
        assert result.out.splitlines()[-2:] == [b"750", b"ran"]

    def test_every_flag_is_one_of_the_kernels(self, box):
        """RT-F14: flags for and against what is usual all reach the mount."""
        mounts = (
            TmpfsMount("/a", flags=("suid", "dev", "exec", "sync", "noatime", "nodiratime")),
            TmpfsMount("/b", flags=("ro", "strictatime")),
            TmpfsMount("/c", flags=("relatime",)),
        )
        lines = box.run("cat", "/proc/self/mountinfo", tmpfs=mounts).text.splitlines()
        found = {line.split()[4]: (line.split()[5], line.split()[-1]) for line in lines}

        assert found["/a"][0] == "rw,noatime,nodiratime"
        assert "sync" in found["/a"][1]
        assert found["/b"][0] == "ro,nosuid,nodev,noexec"
        assert found["/c"][0] == "rw,nosuid,nodev,noexec,relatime"

    def test_a_tmpfs_stays_in_the_root(self, box, layer):
        """A target is made if it is missing, and links on its way mean files of the container."""
        (layer / "run").mkdir()
        (layer / "var").mkdir()
        (layer / "var" / "run").symlink_to("/run")
        (layer / "up").symlink_to("../../../../../run")
        mounts = tuple(map(TmpfsMount, ("/var/run/a", "/up/b/c", "/new/d")))

        found = box.run("cut", "-d ", "-f5", "/proc/self/mountinfo", tmpfs=mounts).text.split()

        assert {"/run/a", "/run/b/c", "/new/d"} <= set(found)

    def test_a_bind_is_not_hidden_by_a_tmpfs_around_it(self, box, tmp_path):
        """A tmpfs goes below what is bound further in, and on what is bound further out."""
        for name in ("outer", "outer/memory"):
            (tmp_path / name).mkdir()
        binds = (BindMount(tmp_path / "outer", "/tmp"),)
        options = {"tmpfs": (TmpfsMount("/tmp/memory"),), "binds": binds}

        assert box.run("sh", "-c", "touch /tmp/memory/x /tmp/y", **options).text == ""
        assert sorted(each.name for each in (tmp_path / "outer").rglob("*")) == ["memory", "y"]

    def test_shared_memory_has_its_size(self, box):
        """`--shm-size` is the size of /dev/shm."""
        found = box.run("sh", "-c", "df -k /dev/shm | tail -1", shm_size=3 << 20).text

        assert found.split()[1] == "3072"

    def test_a_readonly_container_writes_to_memory_only(self, box):
        """RT-F04: with a read-only root /dev/shm and a tmpfs can be written to, / and /tmp not."""
        script = "touch /x; touch /dev/shm/y && touch /t/y && echo ok; touch /tmp/z"
        options = {"readonly_root": True, "tmpfs": (TmpfsMount("/t"),)}
        result = box.run("sh", "-c", script, **options)

        assert (result.out, result.err.count(b"Read-only file system")) == (b"ok\n", 2)


class TestDevices:
    """Devices of the host."""

    def test_a_device_is_as_on_the_host(self, box, tmp_path):
        """RT-R08: the node has the host's numbers, mode and owner, and can be used."""
        host = tmp_path / "zero"
        os.mknod(host, stat.S_IFCHR, os.makedev(1, 5))
        host.chmod(0o640)
        os.chown(host, 7, 8)
        nodes = devices.find([Device(host, "/dev/my/zero"), Device(host, "/dev/full")])
        script = (
            "stat -c '%F %t:%T %a %u:%g' /dev/my/zero /dev/full; head -c 2 /dev/my/zero | wc -c"
        )

        found = box.run("sh", "-c", script, devices=nodes).text.splitlines()

        assert found == ["character special file 1:5 640 7:8"] * 2 + ["2"]

    def test_a_device_made_elsewhere_cannot_be_opened(self, box):
        """RT-R08: mknod works as in docker, but outside of /dev the node opens nothing."""
        result = box.run("sh", "-c", "mknod /n c 1 5 && echo made; head -c 1 /n")

        assert (result.out, b"Permission denied" in result.err) == (b"made\n", True)


@pytest.mark.skipif(trampoline.image(os.uname().machine) is None, reason="no init for this machine")
class TestInit:
    """A container whose first process is layerkit's init."""

    @pytest.mark.parametrize("user", ["", "app"])
    def test_it_is_the_first_process_and_nothing_else(self, box, default, user):
        """RT-P19: the program is a child with a group of its own; init keeps no file open."""
        script = (
            "cut -d' ' -f4,5 /proc/$$/stat; echo $$; ls /proc/1/fd | wc -l; "
            "ls -l /proc/1/exe; tr '\\0' ' ' </proc/1/cmdline"
        )
        options = {"user": user, "seccomp": default}
        first, pid, files, *rest = box.run(
            "sh", "-c", script, init=True, **options
        ).out.splitlines()

        assert first.split() == [b"1", pid]
        if not user:  # another user may not look at the first process
            assert files == b"0"
            assert b"memfd:init" in rest[0]
        assert rest[-1].startswith(b"/bin/sh sh -c")

    @pytest.mark.parametrize(
        ("script", "code"),
        [
            ("exit 0", 0),
            ("exit 3", 3),
            ("exit 255", 255),
            ("kill -TERM $$", 143),
            ("kill -KILL $$", 137),
        ],
    )
    def test_it_ends_as_the_program_ends(self, box, script, code):
        """RT-P19: the program's code, or 128+n for signal n."""
        assert box.run("sh", "-c", script, init=True).status.shell_code == code

    @pytest.mark.parametrize(
        ("command", "error"),
        [
            ("nosuch", CommandNotFoundError),
            ("/etc/passwd", NotExecutableError),
            ("/junk", NotExecutableError),
            ("/orphan", CommandNotFoundError),
        ],
    )
    def test_a_program_that_cannot_run_says_why(self, box, layer, command, error):
        """126 and 127 are told as without init."""
        (layer / "junk").write_text("\0junk")
        (layer / "orphan").write_text("#!/no/such/interpreter\n")
        for name in ("junk", "orphan"):
            (layer / name).chmod(0o755)

        with pytest.raises(error, match=f"cannot execute '{command}'"):
            box.run(command, init=True)

    @pytest.mark.parametrize(
        "number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGALRM]
    )
    def test_signals_are_the_programs(self, box, number):
        """RT-P19: a signal that the program does not handle ends it, though pid 1 would ignore it."""
        with open(os.devnull, "wb") as null:
            status = run(
                box.spec("sleep", "1000", init=True),
                Stdio(None, null.fileno(), null.fileno()),
                on_started=lambda pid: os.kill(pid, number),
            )

        assert status == ExitStatus(128 + number)

    def test_a_handler_gets_the_signal(self, box):
        """RT-P19: a program with a handler decides itself how to end."""
        out = box.folder / "out"
        script = "trap 'exit 5' TERM; kill -TERM 1; while :; do sleep 0.01; done"
        with out.open("wb") as file:
            stdio = Stdio(None, file.fileno(), file.fileno())
            status = run(box.spec("sh", "-c", script, init=True), stdio)

        assert (status, out.read_bytes()) == (ExitStatus(5), b"")

    def test_orphans_are_reaped(self, box):
        """RT-N08: processes that lost their parent leave no zombies."""
        orphan = "until [ $(cut -d' ' -f4 /proc/$$/stat) = 1 ]; do sleep 0.01; done; echo >>/told"
        script = (
            'for n in 1 2 3 4 5; do (sh -c "$0" &); done; '
            "until [ $(cat /told | wc -l) = 5 ]; do sleep 0.01; done; "
            "while grep -q '^State:.Z' /proc/[0-9]*/status; do sleep 0.01; done; echo clean"
        )

        result = box.run("sh", "-c", f"touch /told; {script}", orphan, init=True)

        assert (result.status, result.out) == (ExitStatus(0), b"clean\n")

    def test_the_keys_of_a_terminal_reach_the_program(self, box):
        """RT-P19: the program is in the foreground of the terminal, and stops and ends by its keys."""
        script = "trap 'tty; exit 9' INT; echo up; while :; do sleep 0.01; done"
        program = box.program("sh", "-c", script, terminal=True, init=True)
        child = pexpect.spawn(program[0], program[1:], timeout=30, encoding="utf-8")
        try:
            child.expect_exact("up\r\n")
            child.send("\x03")
            child.expect_exact("/dev/pts/0")
            child.expect(pexpect.EOF)
        finally:
            child.close()
        assert child.exitstatus == 9
