"""Control groups of this machine's kernel, with processes and containers in them."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

import pytest
from support import boxes, cgroups

from layerkit.errors import SandboxError
from layerkit.resources import UNLIMITED, DeviceRule, Limits
from layerkit.sandbox.capabilities import DOCKER_CAPABILITIES
from layerkit.sandbox.cgroups import group, making
from layerkit.sandbox.cgroups.devices import DEFAULT_RULES, EVERYTHING
from layerkit.sandbox.cgroups.group import Cgroup
from layerkit.sandbox.cgroups.hierarchies import Hierarchy, discover, folder, home_of
from layerkit.sandbox.cgroups.settings import Lack
from layerkit.sandbox.process import ExitStatus

OBSTACLE = cgroups.obstacle()

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(OBSTACLE is not None, reason=str(OBSTACLE)),
    pytest.mark.skipif(boxes.obstacle() is not None, reason=str(boxes.obstacle())),
]

MIB = 1 << 20
NO_LIMITS = Limits()


@pytest.fixture(params=["used", "unified"])
def trees(request):
    """The trees that containers use here, and version 2 alone: it can freeze without controllers."""
    found = getattr(cgroups, request.param)()
    if not found:
        pytest.skip("no tree of version 2")
    return found


@pytest.fixture
def parent():
    """A parent for the groups of one test."""
    with cgroups.new_parent() as name:
        yield name


@pytest.fixture
def create(parent):
    """Makes groups below the test's own parent."""
    return lambda limits=NO_LIMITS, rules=DEFAULT_RULES, name="one", **options: making.create(
        name, limits, rules, parent=parent, **options
    )


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    """The busybox root; not to be written to."""
    return boxes.make_image(tmp_path_factory.mktemp("busybox") / "root")


@pytest.fixture
def box(tmp_path, image):
    """A container on that image."""
    return boxes.Box(tmp_path, boxes.init_layer(tmp_path / "init"), image)


@contextlib.contextmanager
def running(found, *command):
    """A process of the host in the group, and its end."""
    process = cgroups.start(found, *command)
    try:
        cgroups.wait_until(found.pids, "the process joins")
        yield process
    finally:
        process.kill()
        found.kill()  # a frozen one dies with this, and so do its children
        process.wait()


def setting(found, controller, first, second=""):
    """The content of the file that version 1 or 2 has for a setting."""
    home = home_of(controller, found.hierarchies)
    file = (second or first) if home.is_unified else first
    return Path(folder(home, found.name), file).read_text().strip()


class TestLimits:
    """What limits do to containers."""

    def test_memory(self, box, create):
        """RT-R01: a container that takes more memory than it may is killed, and that is counted."""
        found = create(Limits(memory=32 * MIB, memory_swap=32 * MIB))

        result = box.run("tail", "/dev/zero", cgroup=found.plan())

        assert setting(found, "memory", "memory.limit_in_bytes", "memory.max") == "33554432"
        assert (result.status, result.status.shell_code) == (ExitStatus(signal=9), 137)
        assert found.oom_kills() >= 1

    def test_processes(self, box, create):
        """RT-R02: a container with as many processes as it may have gets no more."""
        found = create(Limits(pids=20))

        result = box.run(
            "sh", "-c", "for i in $(seq 50); do sleep 1000 & done", cgroup=found.plan()
        )

        assert b"can't fork" in result.err
        assert result.status != ExitStatus(0)

    def test_processors(self, box, create):
        """RT-R04: a container sees, and uses, only the processors of its set."""
        found = create(Limits(cpuset_cpus="0"))

        result = box.run(
            "sh", "-c", "nproc; grep ^Cpus_allowed_list /proc/self/status", cgroup=found.plan()
        )

        assert result.text == "1\nCpus_allowed_list:\t0\n"

    def test_all_that_is_asked_for_is_set(self, create):
        """Every limit stands in the kernel's file for it."""
        found = create(
            Limits(64 * MIB, None, 32 * MIB, 1.5, 512, None, None, "0", "0", 40),
        )

        assert [lack for lack in found.lacks if lack.limit != "memory_swap"] == []
        stats = found.stats()
        assert (stats.memory_limit, stats.pids_limit, stats.pids) == (64 * MIB, 40, 0)
        assert setting(found, "cpu", "cpu.shares", "cpu.weight") in {"512", "59"}
        assert setting(found, "cpu", "cpu.cfs_quota_us", "cpu.max") in {"150000", "150000 100000"}
        assert setting(found, "cpuset", "cpuset.cpus") == "0"

    def test_update(self, create):
        """Limits go up and down while others stay, memory with and without room for swap."""
        found = create(Limits(memory=64 * MIB, pids=40))

        for memory in (256, 16, 128):
            lacks = found.update(Limits(memory=memory * MIB, memory_swap=memory * 2 * MIB))
            assert [lack for lack in lacks if lack.limit != "memory_swap"] == []
            assert (found.stats().memory_limit, found.stats().pids_limit) == (memory * MIB, 40)
        found.update(Limits(memory=UNLIMITED, pids=UNLIMITED))

        assert (found.stats().memory_limit, found.stats().pids_limit) == (None, None)

    @pytest.mark.parametrize(
        ("limits", "message"),
        [
            (Limits(cpuset_cpus="99999"), r"cannot set cpuset\.cpus of .* to '99999'"),
            (Limits(cpuset_cpus="x"), r"cannot set cpuset\.cpus of .* to 'x': Invalid argument"),
            (Limits(cpu_quota=1), r"cannot set cpu\.(cfs_quota_us|max) of .*: Invalid argument"),
        ],
    )
    def test_a_value_that_the_kernel_refuses_leaves_nothing(self, create, parent, limits, message):
        """A refused value is an error that names file and value, and no group stays."""
        with pytest.raises(SandboxError, match=message):
            create(limits)

        assert group.find("one", parent=parent) is None
        assert cgroups.folders_named(parent) == [folder(tree, parent) for tree in cgroups.used()]

    def test_an_update_of_a_removed_group_is_an_error(self, create):
        """A group that is gone limits nothing, so that is told."""
        found = create()
        found.remove()

        with pytest.raises(SandboxError, match=r"cannot set pids\.max of .*: No such file"):
            found.update(Limits(pids=5))


class TestLife:
    """Groups from their making to their end."""

    def test_nothing_stays(self, create, parent, trees):
        """RT-R06: after the removal no folder of that name is in any tree; a second removal is none."""
        name = f"{parent}-group"
        found = create(name=name, hierarchies=trees)
        assert cgroups.folders_named(name) == list(found.folders)

        found.remove()
        found.remove()

        assert cgroups.folders_named(name) == []

    def test_a_group_is_found_by_its_name(self, create, parent, trees):
        """Somebody who did not make a group finds all of it, or hears that there is none."""
        made = create(hierarchies=trees)

        assert group.find("one", hierarchies=trees, parent=parent) == Cgroup(
            made.name, made.hierarchies
        )
        assert group.find("two", hierarchies=trees, parent=parent) is None

    def test_what_an_earlier_one_left_is_replaced(self, create):
        """A group that a crash left has no say in the limits of the next one of its name."""
        create(Limits(pids=7))

        assert create().stats().pids_limit is None

    def test_a_group_in_use_is_not_replaced(self, create, trees):
        """A name whose group has processes is an error, and its processes keep it."""
        found = create(hierarchies=trees)

        with running(found, "sleep", "1000"):
            with pytest.raises(SandboxError, match=r"cannot remove .*: Device or resource busy"):
                create(hierarchies=trees)
            assert len(found.pids()) == 1
            assert all(os.path.isdir(place) for place in found.folders)

    def test_kill_and_remove(self, create, trees):
        """All processes of a group die, its children's groups with it, and it can be removed."""
        found = create(hierarchies=trees)
        for place in found.folders:
            os.mkdir(f"{place}/below")

        with running(found, "sh", "-c", "sleep 1000 & sleep 1000 & wait") as process:
            cgroups.wait_until(lambda: len(found.pids()) == 3, "three processes")
            found.kill()
            assert process.wait(20) == -signal.SIGKILL
            cgroups.wait_until(lambda: found.pids() == [], "the others end")
        found.remove()

        assert [place for place in found.folders if os.path.exists(place)] == []
        found.kill()

    def test_freeze_and_thaw(self, create, trees):
        """Frozen processes do nothing, not even end, until they are thawed."""
        found = create(hierarchies=trees)

        # A signal that is fatal at once kills a process that version 2 has frozen.
        with running(found, "sh", "-c", "trap 'exit 3' TERM; sleep 1000 & wait") as process:
            cgroups.wait_until(lambda: len(found.pids()) == 2, "the trap is set")
            assert not found.is_frozen()
            found.freeze()
            found.freeze()
            assert found.is_frozen()
            process.terminate()
            assert process.poll() is None
            found.thaw()
            assert not found.is_frozen()
            assert process.wait(20) == 3

    def test_frozen_processes_can_be_killed(self, create, trees):
        """A kill does not wait for a thaw that nobody will do."""
        found = create(hierarchies=trees)

        with running(found, "sleep", "1000") as process:
            found.freeze()
            found.kill()
            assert process.wait(20) == -signal.SIGKILL

    def test_stats(self, create):
        """The figures are those of the processes in the group."""
        found = create()

        with running(
            found, "sh", "-c", "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; sleep 99"
        ):
            cgroups.wait_until(
                lambda: (found.stats().cpu or 0) > 1_000_000, "it uses the processor"
            )
            figures = found.stats()
            assert figures.memory > 0
            assert figures.pids >= 1


class TestDevices:
    """RT-R08: device nodes that a container makes itself work only if a rule allows them."""

    OPEN = ("sh", "-c", "mknod /dev/k c 1 11 && : < /dev/k && echo open")
    # Without this the kernel may keep the log from everybody in a container.
    CAPABILITIES = (*DOCKER_CAPABILITIES, "SYSLOG")

    def test_a_node_of_no_rule_cannot_be_opened(self, box, create, trees):
        """The kernel log is none of the default devices, /dev/null is one."""
        found = create(hierarchies=trees)
        options = {"cgroup": found.plan(), "capabilities": self.CAPABILITIES}

        result = box.run(*self.OPEN, **options)

        assert (result.out, result.status) == (b"", ExitStatus(1))
        assert b"/dev/k: Operation not permitted" in result.err
        assert box.run("sh", "-c", "echo x > /dev/null && echo open", **options).text == "open\n"

    @pytest.mark.parametrize(
        "rules", [(*DEFAULT_RULES, DeviceRule("c", 1, 11, "r")), EVERYTHING], ids=["rule", "all"]
    )
    def test_a_rule_allows_it(self, box, create, trees, rules):
        """With a rule for it, or for everything, the node is as good as the host's."""
        found = create(rules=rules, hierarchies=trees)
        options = {"cgroup": found.plan(), "capabilities": self.CAPABILITIES}

        assert box.run(*self.OPEN, **options).text == "open\n"

    def test_only_the_access_of_the_rule(self, box, create, trees):
        """Whoever may read a device may not write it."""
        rules = (*DEFAULT_RULES, DeviceRule("c", 1, 11, "r"))
        found = create(rules=rules, hierarchies=trees)

        result = box.run("sh", "-c", "mknod /dev/k c 1 11; : > /dev/k", cgroup=found.plan())

        assert b"/dev/k: Operation not permitted" in result.err


class TestInside:
    """RT-F05: what a container sees of its groups."""

    def test_version_1(self, box, create):
        """A read-only folder with the container's own group of each tree, and a link where shared."""
        found = create()
        if found.plan().private:
            pytest.skip("this machine has version 2 alone")

        mounts = self.mounts(box, found)

        assert mounts.pop("/sys/fs/cgroup") == ("/", "ro,nosuid,nodev,noexec", "tmpfs", "mode=755")
        for tree in found.hierarchies:
            if not tree.is_unified:
                name = ",".join(tree.controllers).replace("name=", "")
                root, flags, fstype, _options = mounts.pop(f"/sys/fs/cgroup/{name}")
                assert root.endswith(f"/{found.name}")
                assert (flags, fstype) == ("ro,nosuid,nodev,noexec", "cgroup")
        assert mounts == {}

    def test_version_2(self, box, create):
        """The container's own group is the root of all that it sees."""
        trees = cgroups.unified()
        if not trees:
            pytest.skip("no tree of version 2")
        found = create(hierarchies=trees)

        mounts = self.mounts(box, found)

        assert list(mounts) == ["/sys/fs/cgroup"]
        assert mounts["/sys/fs/cgroup"][:3] == ("/", "ro,nosuid,nodev,noexec", "cgroup2")
        own = box.run("grep", "^0:", "/proc/self/cgroup", cgroup=found.plan())
        assert own.text == "0::/\n"

    @pytest.mark.parametrize("wish", ["mkdir {0}/x", "touch {0}/x", "echo 1 > {0}/cgroup.procs"])
    def test_nothing_can_be_written(self, box, create, trees, wish):
        """No group can be made or changed from inside."""
        found = create(hierarchies=trees)
        name = found.plan().shown[0][0]

        result = box.run("sh", "-c", wish.format(f"/sys/fs/cgroup/{name}"), cgroup=found.plan())

        assert b"Read-only file system" in result.err
        assert result.status != ExitStatus(0)

    def test_the_group_is_the_containers_own(self, box, create):
        """The limit that it reads is its own, and it is in the group itself."""
        found = create(Limits(pids=77))
        place = "" if found.plan().private else "pids/"
        script = f"cat /sys/fs/cgroup/{place}pids.max; grep -w 1 /sys/fs/cgroup/{place}cgroup.procs"

        assert box.run("sh", "-c", script, cgroup=found.plan()).text == "77\n1\n"

    def test_shared_controllers_have_links(self, box, create, tmp_path):
        """A folder for several controllers is found by the name of each."""
        found = create()
        source = tmp_path / "source"
        source.mkdir()
        plan = found.plan()
        plan = type(plan)(plan.join, False, (("cpu,cpuacct", source), ("memory", source)))

        result = box.run("ls", "-l", "/sys/fs/cgroup", cgroup=plan)

        assert "cpu -> cpu,cpuacct" in result.text
        assert "cpuacct -> cpu,cpuacct" in result.text

    def test_without_groups_all_is_as_before(self, box):
        """A container without groups has an empty folder there."""
        assert box.run("ls", "/sys/fs/cgroup").text == ""

    def mounts(self, box, found):
        """Root, flags, type and options of what is mounted at and below /sys/fs/cgroup."""
        lines = box.run("cat", "/proc/self/mountinfo", cgroup=found.plan()).text.splitlines()
        parts = [line.split() for line in lines if " /sys/fs/cgroup" in line]
        return {
            part[4]: (
                part[3],
                part[5].removesuffix(",relatime"),
                part[-3],
                part[-1].removeprefix("rw,").removeprefix("ro,").partition(",inode")[0],
            )
            for part in parts
        }


class TestWithoutRights:
    """What cannot be limited is told, not hidden."""

    DENYING = "/sys/kernel"
    """A file system of the kernel's in which nobody makes folders."""

    def test_what_was_asked_for_is_named(self, create):
        """Each limit that was asked for, and the devices, with the kernel's reason."""
        trees = (Hierarchy(1, ("memory",), self.DENYING), Hierarchy(2, ("pids",), self.DENYING))

        found = create(Limits(memory=64 * MIB, pids=5, cpu_shares=5), hierarchies=trees)

        reason = "/sys/kernel: Operation not permitted"
        assert (found.hierarchies, found.plan().join) == ((), ())
        assert found.lacks == (
            Lack("memory", reason),
            Lack("memory_swap", reason),
            Lack("cpu_shares", "there is no cpu controller"),
            Lack("pids", reason),
            Lack("devices", reason),
        )
        assert making.explain(found.lacks) == (
            f"memory, memory swap, pids, devices ({reason}); "
            "cpu shares (there is no cpu controller)"
        )

    def test_nothing_asked_for_nothing_named(self, create):
        """Without any tree and with all devices allowed there is nothing to tell."""
        found = create(rules=EVERYTHING, hierarchies=())

        assert (found.lacks, making.explain(found.lacks)) == ((), "")

    def test_such_a_container_runs(self, box, create):
        """A container without any group starts as one that has no wish for one."""
        found = create(hierarchies=())

        assert box.run("ls", "/sys/fs/cgroup", cgroup=found.plan()).text == ""

    def test_processors_are_an_error(self, create):
        """As in docker, `cpus` is refused where nothing controls processors."""
        with pytest.raises(SandboxError, match=r"cannot limit the processors to 1\.5"):
            create(Limits(cpus=1.5), hierarchies=())

    def test_there_is_no_freezer(self, create):
        """Freezing what has no freezer is an error, killing it is not."""
        found = create(hierarchies=())

        for action in (found.freeze, found.thaw, found.is_frozen):
            with pytest.raises(SandboxError, match="there is no freezer controller"):
                action()
        found.kill()
        found.remove()

    def test_a_file_that_the_kernel_does_not_have(self, create):
        """A limit whose file is not in this kernel is a lack that names the file."""
        trees = tuple(tree for tree in discover() if "pids" in tree.controllers)
        wrong = tuple(Hierarchy(1, ("memory", *tree.controllers), tree.mount) for tree in trees)
        if any(tree.is_unified for tree in trees):
            pytest.skip("needs a tree of version 1")

        found = create(Limits(memory=64 * MIB, memory_swap=64 * MIB), EVERYTHING, hierarchies=wrong)

        assert found.lacks == (
            Lack("memory", "there is no memory.limit_in_bytes"),
            Lack("memory_swap", "there is no memory.memsw.limit_in_bytes"),
        )

    def test_a_controller_that_cannot_be_passed_down(self, create, parent, tmp_path):
        """Version 2 gives a group only what each level above it passes down."""
        for level in (tmp_path, tmp_path / parent):
            level.mkdir(exist_ok=True)
            (level / "cgroup.subtree_control").touch()
        (tmp_path / "cgroup.subtree_control").unlink()
        tree = Hierarchy(2, ("memory", "hugetlb"), str(tmp_path))

        found = create(Limits(memory=64 * MIB), EVERYTHING, hierarchies=[tree])

        missing = f"{tmp_path}/cgroup.subtree_control: No such file or directory"
        assert found.lacks == (Lack("memory", missing), Lack("memory_swap", missing))
        assert (tmp_path / parent / "cgroup.subtree_control").read_text() == "+memory"
        found.remove()
