"""Real containers of a busybox root."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pexpect
import pytest
from support import boxes

from layerkit import linux
from layerkit import mounting as overlay
from layerkit.errors import (
    CommandNotFoundError,
    NotExecutableError,
    SandboxError,
    UsageError,
)
from layerkit.mount import BindMount, OverlayMount
from layerkit.oci import RuntimeConfig
from layerkit.sandbox.process import ExitStatus, Stdio, run

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(boxes.obstacle() is not None, reason=str(boxes.obstacle())),
]

PROMPT = "/ # "


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


def script(folder: Path, path: str, text: str, mode: int = 0o755) -> None:
    """Put a file into a layer."""
    place = folder / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)
    place.chmod(mode)


def gone(pid: int) -> bool:
    """Whether nothing runs under this pid any more; a corpse counts as gone."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    return True


def children() -> set[str]:
    """The pids of this process's children, corpses included."""
    return set(Path("/proc/thread-self/children").read_text().split())


def wait_until(condition, what: str) -> None:
    """Wait for something that happens in another process."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(0.01)


class TestExit:
    """How a container ends."""

    @pytest.mark.parametrize(
        ("command", "status"),
        [
            (("true",), ExitStatus(0)),
            (("sh", "-c", "exit 3"), ExitStatus(3)),
            (("sh", "-c", "exit 255"), ExitStatus(255)),
            (("sh", "-c", "sh -c 'kill -TERM $$'; exit $?"), ExitStatus(143)),
        ],
    )
    def test_the_code_is_the_programs(self, box, command, status):
        """The first process's code is the container's."""
        assert box.run(*command).status == status

    def test_a_signal_is_told_apart_from_a_code(self, box):
        """A first process that the host killed has 128+9 as its shell code."""
        with open(os.devnull, "wb") as null:
            status = run(
                box.spec("sleep", "1000"),
                Stdio(None, null.fileno(), null.fileno()),
                on_started=lambda pid: os.kill(pid, signal.SIGKILL),
            )

        assert (status, status.shell_code) == (ExitStatus(signal=9), 137)

    def test_a_first_process_ignores_what_it_does_not_handle(self, box):
        """As in docker, a signal without a handler does nothing to pid 1, not even its own KILL."""
        assert box.run("sh", "-c", "kill -TERM $$; kill -KILL $$; exit 4").status == ExitStatus(4)

    @pytest.mark.parametrize(
        ("command", "error", "message"),
        [
            ("nosuch", CommandNotFoundError, "'nosuch': executable file not found in $PATH"),
            ("/nosuch", CommandNotFoundError, "'/nosuch': No such file or directory"),
            ("/etc/passwd/x", CommandNotFoundError, "'/etc/passwd/x': Not a directory"),
            ("/orphan", CommandNotFoundError, "'/orphan': its interpreter or loader is not in"),
            ("/etc", NotExecutableError, "'/etc': Is a directory"),
            ("/etc/passwd", NotExecutableError, "'/etc/passwd': Permission denied"),
            ("/junk", NotExecutableError, "'/junk': Exec format error"),
            ("/loop", NotExecutableError, "'/loop': Too many levels of symbolic links"),
        ],
    )
    def test_a_program_that_cannot_run_says_why(self, box, layer, command, error, message):
        """126 for what is there and cannot be executed, 127 for what is not there."""
        script(layer, "orphan", "#!/no/such/interpreter\n")
        script(layer, "junk", "\0junk")
        (layer / "loop").symlink_to("loop")

        with pytest.raises(SandboxError) as caught:
            box.run(command)

        assert type(caught.value) is error
        assert caught.value.message.startswith(f"cannot execute {message}")

    def test_the_first_processs_end_is_everyones(self, box):
        """Processes that the first one leaves behind end with it, and hold up nothing."""
        result = box.run("sh", "-c", "sleep 1000 & echo on; exit 0")

        assert (result.status, result.out) == (ExitStatus(0), b"on\n")

    def test_nothing_remains_of_a_failed_start(self, box):
        """A start that fails in the middle leaves no process, and the box can be used again."""
        before = children()

        with pytest.raises(SandboxError, match="unable to find user nosuch"):
            box.run("true", user="nosuch")

        assert box.run("true").status == ExitStatus(0)
        assert children() == before

    def test_an_error_of_the_caller_ends_the_container(self, box):
        """When `on_started` raises, the container is gone before the error arrives."""
        seen = []

        def fail(pid):
            seen.append(pid)
            raise ZeroDivisionError

        with open(os.devnull, "wb") as null, pytest.raises(ZeroDivisionError):
            run(
                box.spec("sleep", "1000"),
                Stdio(None, null.fileno(), null.fileno()),
                on_started=fail,
            )
        assert gone(seen[0])


class TestNamespaces:
    """What a container has for itself."""

    def test_five_namespaces_are_its_own(self, box):
        """Mounts, processes, network, names and IPC differ from the host's and from another box's."""
        names = ("mnt", "pid", "net", "uts", "ipc")
        show = ("sh", "-c", f"for n in {' '.join(names)}; do readlink /proc/self/ns/$n; done")
        host = {os.readlink(f"/proc/self/ns/{name}") for name in names}

        inside = set(box.run(*show).text.split())

        assert len(inside) == 5
        assert inside.isdisjoint(host)

    def test_host_network_is_the_hosts(self, box):
        """With the host's network only that namespace is shared."""
        show = "readlink /proc/self/ns/net; readlink /proc/self/ns/uts"

        net, uts = box.run("sh", "-c", show, network="host").text.split()

        assert net == os.readlink("/proc/self/ns/net")
        assert uts != os.readlink("/proc/self/ns/uts")

    def test_hostname_is_its_own(self, box):
        """The container has its name, in HOSTNAME too, and the host keeps its own."""
        before = os.uname().nodename

        assert (
            box.run("sh", "-c", "hostname; echo $HOSTNAME", hostname="web1").text == "web1\nweb1\n"
        )
        assert os.uname().nodename == before
        denied = box.run("hostname", "other")
        assert denied.status != ExitStatus(0)
        assert b"not permitted" in denied.err

    def test_the_program_is_the_first_process(self, box):
        """Pid 1 is the program itself, and it sees no process but its own."""
        assert box.run("sh", "-c", "echo $$; cd /proc; echo [0-9]*").text == "1\n1\n"

    def test_loopback_works(self, box):
        """Without a network there is lo, up, where also a user without rights has all ports."""
        ip = box.run("ip", "addr").text
        assert ip.count("mtu") == 1
        assert "LOOPBACK,UP" in ip
        assert "127.0.0.1/8" in ip
        # Again and again, as either side may see the other one's end before it has sent anything.
        serve = "(while :; do echo pong | nc -l -p 80; done 2>/dev/null) &"
        ask = f"{serve} until nc 127.0.0.1 80 </dev/null 2>/dev/null | grep pong; do :; done"
        assert box.run("sh", "-c", ask, user="1000").text == "pong\n"


class TestProcess:
    """User, environment, working directory, capabilities."""

    def test_capabilities_are_dockers(self, box):
        """SE-45: permitted, effective and bounding are the fourteen; inheritable and ambient are empty."""
        lines = box.run("grep", "-E", "^(Cap|NoNewPrivs)", "/proc/self/status").text.split()

        full, none = "00000000a80425fb", "0" * 16
        assert dict(zip(lines[::2], lines[1::2], strict=True)) == {
            "CapInh:": none, "CapPrm:": full, "CapEff:": full, "CapBnd:": full, "CapAmb:": none,
            "NoNewPrivs:": "0",
        }  # fmt: skip

    def test_a_users_capabilities_are_only_a_bound(self, box):
        """SE-45: who is not root has none, and can get no more than the fourteen."""
        lines = box.run("grep", "^Cap", "/proc/self/status", user="app").text.split()

        full, none = "00000000a80425fb", "0" * 16
        assert lines[1::2] == [none, none, none, full, none]

    def test_fewer_capabilities_can_be_asked_for(self, box):
        """The spec's list decides, down to none."""
        lines = box.run("grep", "^Cap", "/proc/self/status", capabilities=()).text.split()

        assert set(lines[1::2]) == {"0" * 16}

    @pytest.mark.parametrize(
        ("user", "uid", "gid", "groups", "home"),
        [
            ("", "0", "0", "0 10", "/root"),
            ("1000", "1000", "1000", "10 29 1000", "/home/app"),
            ("1000:50", "1000", "50", "50", "/home/app"),
            ("app", "1000", "1000", "10 29 1000", "/home/app"),
            ("app:wheel", "1000", "10", "10", "/home/app"),
            ("4242", "4242", "0", "0", "/"),
        ],
    )
    def test_user_has_ids_groups_and_home(self, box, user, uid, gid, groups, home):
        """SE-46: all four ids of both kinds, the groups and HOME are those of the user."""
        show = "grep -E '^(Uid|Gid|Groups)' /proc/self/status; echo $HOME"

        lines = box.run("sh", "-c", show, user=user).text.split("\n")

        assert lines[0].split()[1:] == [uid] * 4
        assert lines[1].split()[1:] == [gid] * 4
        assert sorted(map(int, lines[2].split()[1:])) == sorted(map(int, groups.split()))
        assert lines[3] == home

    def test_the_images_user_is_used(self, box):
        """Without a wish the process has the image's user; HOME of the image stays."""
        image = RuntimeConfig(user="app", env=("HOME=/h",))

        assert box.run("sh", "-c", "id -u; echo $HOME", image=image).text == "1000\n/h\n"

    def test_unknown_user_is_an_error(self, box):
        """A name without an entry stops the start with docker's words."""
        with pytest.raises(SandboxError) as caught:
            box.run("true", user="nosuch")
        wanted = "unable to find user nosuch: no matching entries in passwd file"
        assert caught.value.message == wanted

    def test_a_group_member_can_be_denied(self, box, layer):
        """SE-46: the supplementary groups count for access: a file 0604 of a group is closed to members."""
        script(layer, "secret", "x", 0o604)
        os.chown(layer / "secret", 0, 29)

        assert box.run("cat", "/secret", user="4242").text == "x"
        assert box.run("cat", "/secret", user="app").status == ExitStatus(1)

    def test_environment_is_exactly_the_specified(self, box):
        """SE-57: nothing of layerkit's own environment gets in."""
        lines = box.run("env", env=("A=1 2", "B=")).text.splitlines()

        assert sorted(lines) == [
            "A=1 2",
            "B=",
            "HOME=/root",
            "HOSTNAME=box",
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        ]

    def test_workdir_is_made(self, box):
        """A missing working directory is made for root, 0755, with its parents."""
        show = "pwd; stat -c '%a %u' /a /a/b /a/b/c"

        out = box.run("sh", "-c", show, workdir="/a/b/c", user="app").text

        assert out == "/a/b/c\n" + "755 0\n" * 3

    def test_workdir_through_a_link_stays_inside(self, box, layer, tmp_path):
        """SE-16: a link in the working directory's path means the container's file of that name."""
        outside = tmp_path / "outside"
        outside.mkdir()
        (layer / "link").symlink_to(outside)
        (layer / outside.relative_to("/")).mkdir(parents=True)

        assert box.run("pwd", workdir="/link/new").text == f"{outside}/new\n"
        assert list(outside.iterdir()) == []

    @pytest.mark.parametrize("target", ["/proc/self/fd/3", "/proc/self/cwd", "/proc/1/root"])
    def test_workdir_never_follows_a_descriptor(self, box, layer, target):
        """A link to one of layerkit's descriptors or folders is refused (CVE-2024-21626)."""
        (layer / "link").symlink_to(target)

        with pytest.raises(SandboxError, match="cannot make working directory /link"):
            box.run("pwd", workdir="/link")

    def test_umask_and_signals_are_those_of_a_fresh_process(self, box):
        """The umask is 022; no signal is ignored or blocked, SIGPIPE least of all."""
        text = box.run("grep", "-E", "^(Umask|Sig(Blk|Ign))", "/proc/self/status").text
        values = [int(line.split()[1], 16) for line in text.splitlines()]
        # glibc keeps 32 and 33 for itself; a parent that used posix_spawn leaves them ignored,
        # and no program can tell, since nothing else may touch them.
        values[2] &= ~(0b11 << 31)

        assert values == [0x22, 0, 0]

    def test_no_descriptor_leaks(self, box):
        """The program has its three streams and nothing else, whatever layerkit has open."""
        extra = [os.open("/", os.O_PATH) for _ in range(30)]
        for descriptor in extra:
            os.set_inheritable(descriptor, True)
        try:
            names = box.run("ls", "/proc/self/fd").text.split()
        finally:
            for descriptor in extra:
                os.close(descriptor)

        assert names == ["0", "1", "2", "3"]  # 3 is the folder that ls reads

    def test_the_image_cannot_execute_python(self, box, layer):
        """SE-14, SE-36: a script run by /proc/self/exe does not run the host's interpreter (CVE-2019-5736)."""
        script(layer, "evil", "#!/proc/self/exe\nimport os\n")

        assert box.run("/evil").status == ExitStatus(126)

    def test_arguments_and_environment_can_be_large(self, box):
        """SE-48: seventy thousand bytes in one argument and one variable arrive whole."""
        big = "x" * 70_000

        out = box.run("sh", "-c", "echo ${#1} ${#A}", "sh", big, env=(f"A={big}",)).text

        assert out == "70000 70000\n"

    def test_too_many_arguments_are_an_error(self, box):
        """SE-48: what the kernel cannot take is reported as such."""
        with pytest.raises(NotExecutableError, match="Argument list too long"):
            box.run("echo", "x" * 200_000)


class TestFiles:
    """Mounts, devices, masks."""

    def test_mounts_are_dockers(self, box):
        """Types and flags of the kernel file systems, and nothing else mounted over the root."""
        mounts = {}
        for line in box.run("cat", "/proc/mounts").text.splitlines():
            _, target, fstype, options, *_ = line.split()
            mounts[target] = (fstype, set(options.split(",")))

        safe = {"nosuid", "nodev", "noexec"}
        wanted = {
            "/proc": ("proc", {"rw", "relatime", *safe}),
            "/dev": ("tmpfs", {"rw", "nosuid", "size=65536k", "mode=755"}),
            "/dev/pts": ("devpts", {"rw", "nosuid", "noexec", "relatime", "gid=5", "mode=620", "ptmxmode=666"}),
            "/dev/shm": ("tmpfs", {"rw", "relatime", "size=65536k", *safe}),
            "/dev/mqueue": ("mqueue", {"rw", "relatime", *safe}),
            "/sys": ("sysfs", {"ro", "relatime", *safe}),
        }  # fmt: skip
        root_type, root_options = mounts["/"]
        assert {target: mounts[target] for target in wanted} == wanted
        assert (root_type, "rw" in root_options) == ("overlay", True)
        assert "redirect_dir=nofollow" in root_options
        others = mounts.keys() - wanted.keys() - {"/"}
        assert all(path.startswith(("/proc/", "/sys/")) for path in others)

    def test_devices_are_dockers(self, box):
        """Exactly docker's nodes and links are in /dev."""
        links = {
            "fd": "/proc/self/fd",
            "stdin": "/proc/self/fd/0",
            "stdout": "/proc/self/fd/1",
            "stderr": "/proc/self/fd/2",
            "ptmx": "pts/ptmx",
        }
        if Path("/proc/kcore").exists():
            links["core"] = "/proc/kcore"
        nodes = {"null": "1:3", "zero": "1:5", "full": "1:7", "random": "1:8", "urandom": "1:9", "tty": "5:0"}  # fmt: skip
        show = "cd /dev; for n in *; do echo $n $(stat -c '%a:%u:%g %t:%T' $n) $(readlink $n); done"

        lines = [line.split() for line in box.run("sh", "-c", show).text.splitlines()]

        assert {line[0]: line[3] for line in lines if len(line) == 4} == links
        plain = {line[0]: line[1:] for line in lines if len(line) == 3}
        assert plain.keys() == nodes.keys() | {"pts", "shm", "mqueue"}
        assert {name: plain[name] for name in nodes} == {
            name: ["666:0:0", numbers] for name, numbers in nodes.items()
        }

    @pytest.mark.parametrize(
        "path", ["/proc/sys/kernel/panic", "/proc/irq/default_smp_affinity", "/proc/sysrq-trigger"]
    )
    def test_kernel_settings_are_read_only(self, box, path):
        """The parts of /proc that change the host cannot be written."""
        if not Path(path).exists():
            pytest.skip(f"no {path} on this machine")

        result = box.run("sh", "-c", f"echo 1 > {path}")

        assert result.status != ExitStatus(0)
        assert b"Read-only file system" in result.err

    def test_what_tells_about_the_host_is_masked(self, box):
        """Files of the list are empty devices, folders of the list are empty and read-only."""
        files = "acpi asound interrupts kcore keys latency_stats sched_debug scsi timer_list"
        show = f"cd /proc; for n in {files} timer_stats; do [ -e $n ] && cat -- $n/* $n 2>/dev/null; done"

        assert box.run("sh", "-c", f"{show}; ls /sys/firmware; true").text == ""
        refused = box.run("sh", "-c", "echo x > /sys/firmware/x")
        assert b"Read-only file system" in refused.err

    def test_changes_go_to_the_upper(self, box, image):
        """What the container writes is in its upper folder; the image stays as it was."""
        before = sorted(path.name for path in image.rglob("*"))

        box.run("sh", "-c", "echo new > /x; rm /etc/group; mkdir /dev/d /tmp/d")

        assert (box.upper / "x").read_text() == "new\n"
        assert stat.S_ISCHR((box.upper / "etc/group").lstat().st_mode)
        assert sorted(path.name for path in box.upper.iterdir()) == ["etc", "tmp", "x"]
        assert sorted(path.name for path in image.rglob("*")) == before

    def test_binds_are_files_of_the_host(self, box, tmp_path):
        """A bound file shows the host's content; written through, or not if read-only."""
        hosts = boxes.bind(tmp_path / "my hosts", "/etc/hosts", "1.2.3.4 a\n")
        name = BindMount(
            boxes.bind(tmp_path / "name", "/", "web\n").source,
            "/etc/hostname",
            readonly=True,
            is_file=True,
        )

        show = "cat /etc/hosts /etc/hostname; echo x >> /etc/hosts; echo y > /etc/hostname"
        result = box.run("sh", "-c", show, binds=(hosts, name))

        assert result.out == b"1.2.3.4 a\nweb\n"
        assert b"/etc/hostname: Read-only file system" in result.err
        assert hosts.source.read_text() == "1.2.3.4 a\nx\n"
        assert not (box.upper / "etc").exists()

    def test_a_missing_bind_source_is_named(self, box, tmp_path):
        """An error of a step names the step and the path."""
        binds = (BindMount(tmp_path / "nosuch", "/etc/hosts"),)

        with pytest.raises(
            SandboxError, match=r"cannot hold .*/nosuch for /etc/hosts: No such file"
        ):
            box.run("true", binds=binds)

    def test_read_only_root(self, box):
        """A read-only root refuses writes; what is mounted in it takes them."""
        show = "touch /x; touch /dev/shm/y && echo shm; touch /tmp/z"

        result = box.run("sh", "-c", show, readonly_root=True, workdir="/made")

        assert result.out == b"shm\n"
        assert result.err.count(b"Read-only file system") == 2
        assert (box.upper / "made").is_dir()

    def test_two_hundred_lowers(self, tmp_path, image):
        """OV-28: paths of any length and with any character, in any number, make a root."""
        lowers = [image]
        for number in range(200):
            lower = tmp_path / ("x" * 200) / f"a,b:c\\d e{number}"
            lower.mkdir(parents=True)
            (lower / f"file{number}").touch()
            lowers.append(lower)
        init = boxes.init_layer(tmp_path / "init")

        names = boxes.Box(tmp_path, init, *lowers).run("ls", "/").text.split()

        assert {f"file{number}" for number in range(200)} < set(names)

    def test_lowers_by_one_string(self, tmp_path, monkeypatch):
        """OV-32: a kernel that does not know lowers one by one gets the same stack in one string."""
        lowers = []
        for number in range(200):
            lower = tmp_path / ("x" * 100) / f"a,b:c\\d{number}"
            lower.mkdir(parents=True)
            (lower / f"file{number}").touch()
            lowers.append(lower)
        folders = [tmp_path / name for name in ("upper", "work", "target")]
        for folder in folders:
            folder.mkdir()
        known = linux.fsconfig

        def older(context, key, value=None):
            known(context, "lowerdir_" if key == "lowerdir+" else key, value)

        def as_before(context, key, value=None):
            try:
                older(context, key, value)
            except OSError as error:
                error.filename = key
                raise

        monkeypatch.setattr(linux, "fsconfig", as_before)
        pid = os.fork()
        if pid == 0:
            code = 1
            with contextlib.suppress(BaseException):
                linux.unshare(linux.CLONE_NEWNS)
                linux.mount(None, "/", None, linux.MS_REC | linux.MS_SLAVE)
                stack = OverlayMount(tuple(lowers), folders[0], folders[1], volatile=True)
                overlay.mount_overlay(stack, folders[2])
                (folders[2] / "new").touch()
                assert (folders[1] / "work/incompat/volatile").exists()
                code = len(list(folders[2].iterdir())) != 201
            os._exit(code)

        assert os.waitpid(pid, 0)[1] == 0
        assert [path.name for path in folders[0].iterdir()] == ["new"]

    def test_the_host_is_untouched(self, box, tmp_path):
        """Even where mounts are shared, none of a container's shows up on the host."""
        code = (
            "import sys; from pathlib import Path; from layerkit import linux; "
            "from support import boxes; linux.unshare(linux.CLONE_NEWNS); "
            f"linux.mount(None, '/', None, linux.MS_REC | {1 << 20}); "
            "table = Path('/proc/self/mountinfo'); before = table.read_text(); "
            "assert boxes.main(sys.argv[1]) == 0; assert table.read_text() == before"
        )
        document = box.program("mount")[2]
        environment = {**os.environ, "PYTHONPATH": str(Path(boxes.__file__).parent.parent)}

        done = subprocess.run(
            [sys.executable, "-c", code, document],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

        assert (done.returncode, done.stderr) == (0, "")
        assert "overlay on / " in done.stdout


class TestHostileImages:
    """Roots that want to lead the start elsewhere."""

    @pytest.fixture
    def victim(self, tmp_path):
        """A folder of the host that the image knows by name."""
        folder = tmp_path / "victim"
        folder.mkdir()
        (folder / "ptmx").write_text("precious")
        return folder

    @pytest.mark.parametrize("name", ["proc", "sys", "dev"])
    @pytest.mark.parametrize("where", ["outside", "inside", "nowhere"])
    def test_a_mount_point_that_is_a_link_is_refused(
        self, tmp_path, image, layer, victim, name, where
    ):
        """SE-43, SE-59: a link in the place of /proc, /sys or /dev stops the start and changes nothing."""
        init = boxes.init_layer(tmp_path / "init")
        (init / name).rmdir()
        (layer / name).symlink_to({"outside": victim, "inside": "/tmp", "nowhere": "/no"}[where])
        box = boxes.Box(tmp_path, init, layer, image)

        with pytest.raises(SandboxError, match=f"cannot mount on /{name}: .* not a folder"):
            box.run("true")

        assert [(path.name, path.read_text()) for path in victim.iterdir()] == [
            ("ptmx", "precious")
        ]

    @pytest.mark.parametrize("name", ["proc", "sys", "dev"])
    def test_a_mount_point_that_is_a_file_is_refused(self, tmp_path, image, layer, name):
        """SE-37: a file in the place of a mount point stops the start."""
        init = boxes.init_layer(tmp_path / "init")
        (init / name).rmdir()
        (layer / name).touch()

        with pytest.raises(SandboxError, match=f"cannot mount on /{name}: .* not a folder"):
            boxes.Box(tmp_path, init, layer, image).run("true")

    def test_a_filled_mount_point_is_covered(self, box, layer):
        """SE-37, SE-40: what an image has in /proc and /dev is not used for anything."""
        script(layer, "proc/self/attr/exec", "fake")
        script(layer, "proc/sys/kernel/panic", "fake")
        script(layer, "dev/null", "fake null")
        script(layer, "dev/console", "fake console")

        out = box.run("sh", "-c", "cat /dev/null /proc/sys/kernel/panic; ls /proc/self/attr").text

        assert "fake" not in out
        assert not (box.upper / "dev").exists()

    def test_etc_that_leads_out_stays_inside(self, tmp_path, image, layer, victim):
        """SE-12, SE-16: bind targets and user files are looked up in the root, through whatever link."""
        (victim / "passwd").write_text("app:x:1:1::/:\n")
        (victim / "hosts").write_text("of the host")
        evil = tmp_path / "evil"
        evil.mkdir()
        (evil / "etc").symlink_to(victim)
        (evil / "bin").symlink_to("/real/bin")
        for name in ("dev", "proc", "sys"):
            (evil / name).mkdir()
        (evil / "real").mkdir()
        (evil / "real/bin").symlink_to("../busybox")
        box = boxes.Box(tmp_path, evil, layer, image)
        hosts = boxes.bind(tmp_path / "hosts", "/etc/hosts", "new")

        with pytest.raises(CommandNotFoundError):
            box.run("true", binds=(hosts,))
        with pytest.raises(SandboxError, match="unable to find user app"):
            box.run("/bin/true", user="app")

        assert (victim / "hosts").read_text() == "of the host"
        assert (box.upper / victim.relative_to("/") / "hosts").is_file()

    def test_a_fifo_for_users_does_not_hang(self, tmp_path, image, layer):
        """SE-12: a passwd that never ends its opening is refused."""
        init = boxes.init_layer(tmp_path / "init")
        (layer / "etc").mkdir()
        os.mkfifo(layer / "etc/passwd")

        with pytest.raises(SandboxError, match="/etc/passwd of the container: it is not a regular"):
            boxes.Box(tmp_path, init, layer, image).run("true", user="app")

    def test_device_files_of_an_image_are_only_names(self, box, layer):
        """DV-11: what an image has as a device, be it a disk of the host, cannot be opened."""
        os.mknod(layer / "null", 0o20666, os.makedev(1, 3))

        done = box.run("sh", "-c", "ls /null && cat /null")

        assert (done.status, done.out) == (ExitStatus(1), b"/null\n")
        assert b"Permission denied" in done.err

    def test_helpers_of_an_image_are_not_used(self, box, layer):
        """SE-14: its libraries, modules and programs run for nobody but the user's command."""
        for name in ("unpigz", "xz", "gzip", "newuidmap", "python3", "mount"):
            script(layer, f"usr/bin/{name}", "#!/bin/sh\necho ran >/ran\n")
        for name in ("libnss_files.so.2", "libc.so.6"):
            script(layer, f"lib/x86_64-linux-gnu/{name}", "no library")
        for name in ("encodings/__init__.py", "pwd.py", "os.py"):
            script(layer, name, "raise SystemExit('imported')\n")

        assert box.run("id", "-un", user="app", workdir="/").text == "app\n"
        assert not (box.upper / "ran").exists()

    def test_a_redirect_in_a_layer_is_not_followed(self, box, layer):
        """OV-15: overlay attributes that a layer brings along do not show other files."""
        script(layer, "secret/key", "secret")
        (layer / "open").mkdir()
        os.setxattr(layer / "open", "trusted.overlay.redirect", b"/secret")

        assert b"key" not in box.run("ls", "/open").out


class TestStreams:
    """Standard input, output and error without a terminal."""

    def test_input_arrives_byte_by_byte(self, box):
        """Five megabytes of any bytes go in and come out the same; the end of input arrives too."""
        data = os.urandom(5 << 20)

        assert box.run("cat", stdin=data).out == data

    def test_pipes_carry_the_same_bytes(self, box):
        """Through pipes of the user, input and output at once, nothing is lost or stuck."""
        data = os.urandom(5 << 20)

        done = subprocess.run(box.program("cat"), input=data, capture_output=True, check=True)

        assert done.stdout == data

    def test_output_and_errors_are_apart(self, box):
        """Each stream goes to its own descriptor."""
        result = box.run("sh", "-c", "echo out; echo err >&2")

        assert (result.out, result.err) == (b"out\n", b"err\n")

    def test_without_input_it_is_empty(self, box):
        """Without -i, stdin is the null device."""
        assert box.run("sh", "-c", "cat; readlink /proc/self/fd/0").text == "/dev/null\n"

    def test_no_stream_is_a_terminal(self, box):
        """The user's terminal is not handed in: without -t a program sees pipes."""
        test = "for n in 0 1 2; do test -t $n && echo $n; done; exit 6"
        child = pexpect.spawn(*_split(box.program("sh", "-c", test)), encoding="utf-8")

        assert child.read() == ""
        child.close()
        assert child.exitstatus == 6

    def test_a_user_can_open_the_streams_again(self, box):
        """/dev/stdout and /dev/stderr can be written by the process's own user."""
        result = box.run("sh", "-c", "echo a > /dev/stdout; echo b > /dev/stderr", user="app")

        assert (result.out, result.err) == (b"a\n", b"b\n")

    def test_a_closed_output_reaches_the_program(self, box):
        """When nobody reads the output any more, the program's writes fail and it ends."""
        with subprocess.Popen(box.program("sh", "-c", "yes"), stdout=subprocess.PIPE) as process:
            assert process.stdout.read(2) == b"y\n"
            process.stdout.close()
            assert process.wait(20) != 0

    def test_input_that_nobody_reads_is_no_obstacle(self, box):
        """A program that ends without reading its endless input ends the run."""
        with open("/dev/zero", "rb") as zero:
            done = subprocess.run(
                box.program("sh", "-c", "exec <&-; echo done; sleep 0.2"),
                stdin=zero,
                capture_output=True,
                timeout=30,
                check=True,
            )
        assert done.stdout == b"done\n"

    def test_streams_do_not_wait_for_each_other(self, box):
        """A full standard error does not hold up the output."""
        flood = "yes >&2 & while :; do echo tick; sleep 0.05; done"
        with subprocess.Popen(
            box.program("sh", "-c", flood), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            for _ in range(5):
                assert process.stdout.readline() == b"tick\n"
            process.kill()


class TestSignals:
    """Signals to layerkit's own process."""

    def start(self, box, *command, **options):
        """A process with its first line read."""
        process = subprocess.Popen(box.program(*command, **options), stdout=subprocess.PIPE)
        assert process.stdout.readline() == b"ready\n"
        return process

    @pytest.mark.parametrize("name", ["TERM", "INT", "HUP", "QUIT", "USR1", "USR2"])
    def test_a_signal_is_passed_on(self, box, name):
        """The container gets the signal; layerkit ends with the container's code."""
        handler = f"trap 'exit 42' {name}; echo ready; while :; do sleep 0.01; done"
        with self.start(box, "sh", "-c", handler) as process:
            process.send_signal(getattr(signal, f"SIG{name}"))
            assert process.wait(20) == 42

    def test_a_killed_layerkit_takes_the_container_along(self, box):
        """When layerkit dies without a chance to clean up, the container dies."""
        with self.start(box, "sh", "-c", "echo ready; sleep 1000") as process:
            pid = int((box.folder / "pid").read_text())
            assert not gone(pid)
            process.kill()
            process.wait(20)
        wait_until(lambda: gone(pid), "the end of the container")

    def test_a_users_container_dies_along_too(self, box):
        """Also after the change of user, which forgets the death signal."""
        command = ("sh", "-c", "echo ready; exec sleep 1000")
        with self.start(box, *command, user="app") as process:
            pid = int((box.folder / "pid").read_text())
            process.kill()
            process.wait(20)
        wait_until(lambda: gone(pid), "the end of the container")


class TestTerminal:
    """`-t`, driven as a person would."""

    @pytest.fixture
    def shell(self, box):
        """An interactive shell in a container on a terminal of 30 rows and 100 columns."""
        program, arguments = _split(box.program("sh", terminal=True))
        child = pexpect.spawn(
            program, arguments, encoding="utf-8", dimensions=(30, 100), timeout=20
        )
        child.expect_exact(PROMPT)
        yield child
        child.close(force=True)

    def ask(self, shell, command):
        """What a command prints."""
        shell.sendline(command)
        shell.expect_exact(f"{command}\r\n")
        shell.expect_exact(PROMPT)
        return shell.before.replace("\r\n", "\n").strip()

    def test_the_terminal_is_the_containers(self, shell):
        """tty has a name in the container's own devpts, TERM and the user's size."""
        assert self.ask(shell, "tty") == "/dev/pts/0"
        assert self.ask(shell, "stty size") == "30 100"
        assert self.ask(shell, "echo $TERM") == "xterm"
        assert self.ask(shell, "test -t 0 && test -t 1 && test -t 2; echo $?") == "0"
        assert self.ask(shell, "echo hello > /dev/console") == "hello"
        assert self.ask(shell, "echo there > /dev/tty") == "there"
        assert "console" in self.ask(shell, "ls /dev").split()
        assert self.ask(shell, "stat -c %a:%t:%T /dev/pts/0") == "620:88:0"

    def test_no_descriptor_leaks_into_the_terminal(self, shell):
        """All that is open is the terminal."""
        show = "for n in /proc/$$/fd/*; do readlink $n; done"

        # /dev/tty is the shell's own, for its job control.
        assert set(self.ask(shell, show).split()) == {"/dev/pts/0", "/dev/tty"}

    def test_a_new_size_arrives(self, box):
        """When the user's window changes, the container's terminal changes and its shell is told."""
        tell = "trap 'stty size' WINCH; echo waiting; while :; do sleep 0.01; done"
        program, arguments = _split(box.program("sh", "-c", tell, terminal=True))
        child = pexpect.spawn(
            program, arguments, encoding="utf-8", dimensions=(30, 100), timeout=20
        )
        child.expect_exact("waiting")
        child.setwinsize(40, 120)
        child.expect_exact("40 120")
        child.close(force=True)

    def test_control_c_is_a_key(self, shell):
        """Ctrl+C ends what runs in the shell, not the shell and not layerkit."""
        shell.sendline("sleep 100")
        shell.expect_exact("sleep 100\r\n")
        time.sleep(0.1)
        shell.sendcontrol("c")
        shell.expect_exact(PROMPT)
        assert self.ask(shell, "echo $?") == "130"

    @pytest.mark.parametrize(("leave", "code"), [("exit 7\n", 7), ("\x04", 0)], ids=["exit", "^D"])
    def test_leaving_the_shell_ends_the_container(self, shell, leave, code):
        """`exit` and Ctrl+D end layerkit with the shell's code."""
        shell.send(leave)
        shell.expect(pexpect.EOF)
        shell.close()
        assert shell.exitstatus == code

    @pytest.mark.parametrize("how", ["exit", "TERM", "HUP", "unknown user"])
    def test_the_users_terminal_is_as_before(self, box, how):
        """However the container ends, the modes of the user's terminal come back."""
        user = {"user": "nosuch"} if how == "unknown user" else {}
        program = shlex.join(box.program("sh", terminal=True, **user))
        child = pexpect.spawn(
            "sh", timeout=20, encoding="utf-8", env={**os.environ, "PS1": "host$ "}
        )
        child.expect_exact("host$ ")
        child.sendline("stty -echo; before=$(stty -g); echo mar''ked")
        child.expect_exact("marked")
        child.sendline(f"{program}; echo code=$?")
        if how != "unknown user":
            child.expect_exact(PROMPT)
        if how == "exit":
            child.send("exit 0\n")
        elif how != "unknown user":
            pid = int((box.folder / "pid").read_text())
            os.kill(_layerkit_of(pid), getattr(signal, f"SIG{how}"))
        child.expect_exact({"exit": "code=0", "unknown user": "code=125"}.get(how, "code=137"))
        child.sendline('test "$before" = "$(stty -g)" && echo sa""me || echo chan""ged')
        assert child.expect_exact(["same", "changed"]) == 0
        child.close(force=True)

    def test_all_output_arrives_before_the_end(self, box):
        """What a program writes right before it ends is not lost."""
        for _ in range(5):
            program, arguments = _split(box.program("seq", "20000", terminal=True))
            child = pexpect.spawn(program, arguments, encoding="utf-8", timeout=20)
            lines = child.read().split()
            child.close()
            assert lines == [str(number) for number in range(1, 20001)]

    def test_a_terminal_may_be_closed_and_opened_again(self, box):
        """While nobody in the container has the terminal open, it waits; then it goes on."""
        close = "exec </dev/null >/dev/null 2>&1; sleep 0.5; echo back > /dev/console"
        program, arguments = _split(box.program("sh", "-c", close, terminal=True))
        child = pexpect.spawn(program, arguments, encoding="utf-8", timeout=20)
        child.expect_exact("back")
        child.expect(pexpect.EOF)
        child.close()
        assert child.exitstatus == 0

    def test_a_terminal_without_input(self, box):
        """-t without -i works on a pipe: output comes with the terminal's line ends."""
        program = box.program("sh", "-c", "tty; echo $TERM", terminal=True, interactive=False)

        done = subprocess.run(program, stdin=subprocess.DEVNULL, capture_output=True, check=True)

        assert done.stdout == b"/dev/pts/0\r\nxterm\r\n"

    def test_input_that_is_no_terminal_is_refused(self, box):
        """-i -t with a pipe as stdin is a usage error, before anything starts."""
        with pytest.raises(UsageError, match="the input device is not a TTY"):
            box.run("sh", terminal=True, stdin=b"")


def _split(program):
    return program[0], program[1:]


def _layerkit_of(pid: int) -> int:
    """The process that started the container whose first process is `pid`."""

    def parent(child: int) -> int:
        return int(Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[1])

    return parent(parent(pid))
