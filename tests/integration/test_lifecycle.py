"""The life of containers, by whole commands as a user types them."""

from __future__ import annotations

import os
import re
import signal

import pytest
from support import boxes, cgroups, program
from support.program import IMAGE, PATIENCE, is_gone, parent_of, wait_until

from layerkit.sandbox.cgroups import group

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(boxes.obstacle() is not None, reason=str(boxes.obstacle())),
]

needs_groups = pytest.mark.skipif(
    cgroups.obstacle() is not None, reason="needs the right to control groups"
)

MIB = 1 << 20


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The program and its image."""
    return program.make(tmp_path_factory.mktemp("lifecycle"))


@pytest.fixture
def lk(installed):
    """The program, whose containers go after the test."""
    yield from program.cleaned(installed)


@pytest.fixture
def detached(lk, tmp_path):
    """Starts a script in the background, and waits until it touches /out/ready."""
    (tmp_path / "out").mkdir()

    def start(script, *options, name="c"):
        ready = tmp_path / "out" / "ready"
        ready.unlink(missing_ok=True)
        volume = f"{tmp_path / 'out'}:/out"
        found = lk.run("-d", "--name", name, "-v", volume, *options, IMAGE, "sh", "-c", script).text
        wait_until(ready.exists, "the script is ready")
        return found

    return start


ON_TERM = "trap 'exit 5' TERM; touch /out/ready; sleep 1000 & wait"
SLEEP = "touch /out/ready; exec sleep 1000"


class TestExitCodes:
    """What `run` ends with."""

    @pytest.mark.parametrize(
        ("script", "code"),
        [
            pytest.param("exit 3", 3, id="RT-P01-exit"),
            pytest.param("true", 0, id="RT-P01-true"),
            pytest.param("sh -c 'kill -9 $$'; exit $?", 137, id="RT-P03-kill"),
            pytest.param("sh -c 'kill -TERM $$'; exit $?", 143, id="RT-P03-term"),
        ],
    )
    def test_the_code_is_the_commands(self, lk, script, code):
        """The command's own code, which for a shell's child that a signal ended is 128 and more."""
        assert lk.run("--rm", IMAGE, "sh", "-c", script).code == code

    @pytest.mark.parametrize(
        ("arguments", "code", "message"),
        [
            pytest.param([IMAGE, "nosuchcmd"], 127, "not found in $PATH", id="RT-P02-missing"),
            pytest.param([IMAGE, "/etc"], 126, "Is a directory", id="RT-P02-folder"),
            pytest.param([IMAGE, "/etc/passwd"], 126, "Permission denied", id="RT-P02-mode"),
            pytest.param(["--nosuch", IMAGE, "true"], 125, "--nosuch", id="RT-P02-flag"),
            pytest.param(["--pull", "never", "no/such:1"], 125, "no such image", id="RT-P02-image"),
        ],
    )
    def test_what_does_not_start_says_why(self, lk, arguments, code, message):
        """The code tells layerkit's failure from the command's; stderr has one line, and a hint."""
        done = lk.run("--rm", *arguments)

        lines = [line for line in done.err.decode().splitlines() if not line.startswith("hint: ")]
        assert (done.code, done.out, len(lines)) == (code, b"", 1), done
        assert message in lines[0]

    def test_a_killed_container(self, lk, detached):
        """RT-P03: a container that somebody kills ended with 137."""
        detached(SLEEP)

        assert lk("kill", "c").text == "c"
        assert lk("wait", "c").text == "137"


class TestNames:
    """Host names and namespaces."""

    def test_the_host_name_is_the_id(self, lk, tmp_path):
        """RT-N01: the host name is the first twelve hex digits of the id, and not a number."""
        name = lk.run("--rm", "--cidfile", tmp_path / "cid", IMAGE, "hostname").text

        assert re.fullmatch("[0-9a-f]{12}", name)
        assert not name.isdigit()
        assert (tmp_path / "cid").read_text()[:12] == name

    def test_a_host_name_of_ones_own(self, lk):
        """RT-N02: --hostname is seen everywhere in the container, and nowhere else."""
        before = os.uname().nodename
        script = "hostname; cat /etc/hostname; echo $HOSTNAME"

        assert lk.run("--rm", "--hostname", "web1", IMAGE, "sh", "-c", script).text == (
            "web1\nweb1\nweb1"
        )
        assert os.uname().nodename == before

    def test_namespaces_are_its_own(self, lk):
        """RT-N04: five namespaces differ from the host's, and from those of another container."""
        kinds = ("mnt", "pid", "net", "uts", "ipc")
        script = "; ".join(f"readlink /proc/self/ns/{kind}" for kind in kinds)
        seen = {os.readlink(f"/proc/self/ns/{kind}") for kind in kinds}
        lk.run("-d", "--name", "other", IMAGE, "sleep", "1000")
        seen |= set(lk("exec", "other", "sh", "-c", script).text.split())
        seen |= set(lk.run("--rm", IMAGE, "sh", "-c", script).text.split())

        assert len(seen) == 3 * len(kinds)


class TestLife:
    """From `run` to `rm`."""

    def test_detached(self, lk):
        """RT-L01: run -d prints the id and ends; a monitor that is not its process stays."""
        with lk.begin("run", *lk.alone(["-d", "--name", "c", IMAGE, "sleep", "1000"])) as command:
            out, _ = command.communicate(timeout=PATIENCE)

        assert re.fullmatch(b"[0-9a-f]{64}\n", out)
        assert lk.status("c").startswith("Up ")
        assert parent_of(lk.pid("c")) not in {command.pid, os.getpid(), 1}

    @pytest.mark.parametrize(
        ("script", "patience", "code"),
        [
            pytest.param(SLEEP, "1", 137, id="RT-L02-killed"),
            pytest.param(ON_TERM, str(10 * PATIENCE), 5, id="RT-L02-handled"),
        ],
    )
    def test_stop(self, lk, detached, script, patience, code):
        """A container that does not end in time is killed, one with a handler ends by that."""
        detached(script)

        assert lk("stop", "-t", patience, "c").text == "c"
        assert lk.inspect("c")["State"]["ExitCode"] == code

    def test_signals_are_passed_on(self, lk, tmp_path):
        """RT-L04: a signal for the command in the foreground is the container's, and so is its code."""
        arguments = ["--name", "c", "-v", f"{tmp_path}:/out", IMAGE, "sh", "-c", ON_TERM]
        with lk.begin("run", *lk.alone(arguments)) as command:
            wait_until((tmp_path / "ready").exists, "the trap is set")
            command.send_signal(signal.SIGTERM)

            assert command.wait(PATIENCE) == 5
        assert lk.inspect("c")["State"]["ExitCode"] == 5

    def test_wait_and_inspect(self, lk):
        """RT-L09: code and times of an end are told alike, also by a program that did not see it."""
        lk.run("-d", "--name", "c", IMAGE, "sh", "-c", "exit 7")

        assert lk("wait", "c").text == "7"
        state = lk.inspect("c")["State"]
        assert (state["Status"], state["Running"], state["Pid"]) == ("exited", False, 0)
        assert (state["ExitCode"], state["OOMKilled"], state["Error"]) == (7, False, "")
        assert lk.inspect("c")["Created"] <= state["StartedAt"] <= state["FinishedAt"]
        assert (
            lk("inspect", "-f", "{{.State.OOMKilled}} {{.State.ExitCode}}", "c").text == "false 7"
        )

    def test_inspect_while_it_runs(self, lk, detached):
        """RT-L09: the pid is that of the first process on the host, and the end is not known."""
        identifier = detached(SLEEP)

        found = lk.inspect("c")
        pid = found["State"]["Pid"]
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            assert file.read() == b"sleep\x001000\0"
        assert (found["Id"], found["State"]["Status"]) == (identifier, "running")
        assert found["State"]["FinishedAt"].startswith("0001-")
        assert found["Mounts"][0]["Destination"] == "/out"

    @needs_groups
    def test_out_of_memory(self, lk):
        """RT-L09: a container that the kernel killed for want of memory says so."""
        limits = ("-m", "16m", "--memory-swap", "16m")

        assert lk.run("--name", "c", *limits, IMAGE, "tail", "/dev/zero").code == 137
        state = lk.inspect("c")["State"]
        assert (state["OOMKilled"], state["ExitCode"]) == (True, 137)

    def test_start_again(self, lk):
        """RT-L11: what a container wrote is there at its next start, which has a new first process."""
        script = "test -e /made && exec sleep 1000; touch /made"
        lk.run("--name", "c", IMAGE, "sh", "-c", script)

        assert lk("start", "c").text == "c"
        first = lk.pid("c")
        assert lk("restart", "-t", "0", "c").text == "c"
        assert lk.pid("c") != first
        assert is_gone(first)
        assert lk("exec", "c", "ls", "/made").text == "/made"

    @pytest.mark.parametrize("command", ["start", "restart"])
    def test_a_start_says_what_cannot_be_had(self, lk, command):
        """A limit that is lowered is told by whatever starts the container, as by `run`."""
        lk("create", "--name", "c", "--ulimit", f"nofile={1 << 40}", IMAGE, "true")

        done = lk(command, "c")

        assert done.text == "c"
        assert b"nofile" in done.err

    def test_limits_that_cannot_be(self, lk):
        """A container whose limits make no sense on this machine is not made."""
        done = lk("create", "--cpus", "1000", IMAGE, "true")

        assert (done.code, b"processors" in done.err) == (125, True)
        assert lk("ps", "-aq").text == ""

    @pytest.mark.parametrize(
        ("command", "code"),
        [
            pytest.param(["true"], 0, id="RT-L13-ended"),
            pytest.param(["nosuchcmd"], 127, id="RT-L13-not-found"),
        ],
    )
    @pytest.mark.parametrize("detach", [[], ["-d"]], ids=["foreground", "detached"])
    def test_rm_at_the_end(self, lk, tmp_path, command, code, detach):
        """With --rm nothing is left of a container that ended, or that could not start."""
        cidfile = tmp_path / "cid"

        assert lk.run(*detach, "--rm", "--cidfile", cidfile, IMAGE, *command).code == code
        identifier = cidfile.read_text().strip()
        folder = lk.root / "containers" / identifier
        wait_until(lambda: not folder.exists(), "the container is removed")
        assert lk("inspect", identifier).code == 3
        assert cgroups.folders_named(identifier) == []

    def test_ps_and_rm(self, lk, detached):
        """A container that runs is removed only by force, and its first process ends with it."""
        detached(SLEEP)
        pid = lk.pid("c")

        refused = lk("rm", "c")
        assert (refused.code, b"it is running" in refused.err) == (7, True)
        assert lk("rm", "-f", "c").text == "c"
        assert is_gone(pid)
        assert lk.status("c") == ""


class TestKilledMonitor:
    """A monitor that is killed, as when memory runs out."""

    def test_the_container_dies_with_it(self, lk, detached):
        """RT-L07: the container is gone, known as lost, and can be removed with all around it."""
        identifier = detached("touch /out/ready; sleep 1000 & sleep 1000")
        pid = lk.pid("c")

        os.kill(parent_of(pid), signal.SIGKILL)

        wait_until(lambda: is_gone(pid), "the first process is gone")
        assert lk.status("c").startswith("Exited (255)")
        assert lk("exec", "c", "true").code == 125
        assert lk("wait", "c").text == "255"
        assert lk("rm", "c").text == "c"
        assert cgroups.folders_named(identifier) == []
        assert not (lk.root / "containers" / identifier).exists()

    def test_whoever_was_attached_is_told(self, lk, tmp_path):
        """RT-L07: the command in the foreground ends with an error of layerkit's own."""
        arguments = ["--name", "c", "-v", f"{tmp_path}:/out", IMAGE, "sh", "-c", SLEEP]
        with lk.begin("run", *lk.alone(arguments)) as command:
            wait_until((tmp_path / "ready").exists, "the script is ready")
            os.kill(parent_of(lk.pid("c")), signal.SIGKILL)

            _, err = command.communicate(timeout=PATIENCE)
        assert (command.returncode, b"its monitor was killed" in err) == (125, True)

    def test_it_starts_again(self, lk, detached):
        """RT-L07: a container whose monitor was killed is started as if it had ended."""
        detached(SLEEP)
        os.kill(parent_of(lk.pid("c")), signal.SIGKILL)
        wait_until(lambda: lk.status("c").startswith("Exited"), "it is known as lost")

        assert lk("start", "c").text == "c"
        assert lk.status("c").startswith("Up ")


@needs_groups
class TestPause:
    """`pause` and `unpause`."""

    COUNT = "touch /out/ready; while :; do echo >> /out/count; sleep 0.01; done"

    def test_it_stands_still(self, lk, detached, tmp_path):
        """A paused container is shown as such, does nothing, and goes on where it was."""
        identifier = detached(self.COUNT)

        assert lk("pause", "c").text == "c"
        assert lk.status("c").endswith("(Paused)")
        assert lk.inspect("c")["State"]["Paused"] is True
        assert group.find(identifier).is_frozen()
        count = (tmp_path / "out/count").stat().st_size
        assert lk("top", "c").code == 0
        assert (tmp_path / "out/count").stat().st_size == count

        assert lk("unpause", "c").text == "c"
        wait_until(lambda: (tmp_path / "out/count").stat().st_size > count, "it goes on")
        assert "(Paused)" not in lk.status("c")

    @pytest.mark.parametrize(
        ("command", "code"),
        [(["exec", "c", "true"], 125), (["attach", "c"], 7), (["pause", "c"], 7)],
        ids=["exec", "attach", "pause"],
    )
    def test_what_a_paused_container_cannot_do(self, lk, detached, command, code):
        """Nothing new begins in it."""
        detached(SLEEP)
        lk("pause", "c")

        refused = lk(*command)

        assert (refused.code, b"paused" in refused.err) == (code, True)

    @pytest.mark.parametrize(
        ("command", "code"),
        [
            (["stop", "-t", str(10 * PATIENCE), "c"], 5),
            (["kill", "c"], 137),
            (["kill", "-s", "TERM", "c"], 5),
        ],
        ids=["stop", "kill", "kill TERM"],
    )
    def test_signals_reach_it(self, lk, detached, command, code):
        """A signal ends the pause, or it would not be seen."""
        detached(ON_TERM)
        lk("pause", "c")

        assert lk(*command).text == "c"
        assert lk("wait", "c").text == str(code)
        assert lk("start", "c").text == "c"
        assert "(Paused)" not in lk.status("c")

    def test_it_is_removed_by_force(self, lk, detached):
        """rm -f kills a paused container, too."""
        detached(SLEEP)
        lk("pause", "c")

        assert lk("rm", "-f", "c").text == "c"

    @pytest.mark.parametrize("command", ["start", "rm"])
    def test_its_monitor_is_killed(self, lk, detached, command):
        """RT-L07: what stays frozen, as it could not die with the monitor, goes with what comes next."""
        detached(SLEEP)
        pid = lk.pid("c")
        lk("pause", "c")
        os.kill(parent_of(pid), signal.SIGKILL)
        wait_until(lambda: lk.status("c").startswith("Exited (255)"), "it is known as lost")

        assert lk(command, "c").text == "c"
        wait_until(lambda: is_gone(pid), "the first process is gone")

    def test_what_is_not_paused(self, lk, detached):
        """What does not run cannot be paused, and what is not paused goes on already."""
        detached(SLEEP)
        lk("create", "--name", "idle", IMAGE, "true")

        for command in (["unpause", "c"], ["unpause", "idle"], ["pause", "idle"]):
            refused = lk(*command)
            assert (refused.code, b" is not " in refused.err) == (7, True)


@needs_groups
class TestUpdate:
    """`update`."""

    def test_limits_change_at_once_and_stay(self, lk, detached):
        """What is said holds for the container that runs and for its next start; the rest stays."""
        identifier = detached(SLEEP, "-m", "64m", "--pids-limit", "50")

        assert lk("update", "--pids-limit", "20", "-m", "32m", "c").text == "c"

        def limits():
            stats = group.find(identifier).stats()
            return stats.memory_limit, stats.pids_limit

        assert limits() == (32 * MIB, 20)
        lk("restart", "-t", "0", "c")
        assert limits() == (32 * MIB, 20)
        shown = lk.inspect("c")["HostConfig"]
        assert (shown["Memory"], shown["MemorySwap"], shown["PidsLimit"]) == (
            *(32 * MIB, 128 * MIB),
            20,
        )

    def test_memory_above_swap(self, lk, detached):
        """More memory than memory and swap together may have is refused, and both at once are not."""
        identifier = detached(SLEEP, "-m", "64m")

        refused = lk("update", "-m", "256m", "c")
        assert (refused.code, b"hint: update --memory-swap" in refused.err) == (7, True)
        assert lk("update", "-m", "256m", "--memory-swap", "-1", "c").text == "c"
        assert group.find(identifier).stats().memory_limit == 256 * MIB

    def test_a_container_that_does_not_run(self, lk):
        """The next start has the new limits."""
        name = lk("create", *lk.alone(["--name", "c", IMAGE, "sleep", "1000"])).text
        lk("update", "--pids-limit", "7", "c")
        lk("start", "c")

        assert group.find(name).stats().pids_limit == 7


class TestLooking:
    """`top`, `stats` and `rename`."""

    @needs_groups
    def test_top(self, lk, detached):
        """The processes of the container as the host numbers them, and no others."""
        detached("sleep 1001 & touch /out/ready; exec sleep 1000")
        pid = str(lk.pid("c"))

        titles, *rows = (line.split(maxsplit=7) for line in lk("top", "c").text.splitlines())

        assert titles == ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]
        assert sorted(row[7] for row in rows) == ["sleep 1000", "sleep 1001"]
        first, second = sorted(rows, key=lambda row: row[7])
        assert (first[0], first[1], second[2]) == ("root", pid, pid)

    @needs_groups
    @pytest.mark.debian("ps")
    def test_top_with_options_of_ps(self, lk, detached):
        """The host's ps decides about columns; only the lines of the container's processes show."""
        detached(SLEEP)

        lines = lk("top", "c", "-eo", "pid,args").text.splitlines()

        assert [line.split(maxsplit=1) for line in lines] == [
            ["PID", "COMMAND"],
            [str(lk.pid("c")), "sleep 1000"],
        ]
        assert lk("top", "c", "-eo", "args").code == 2
        assert lk("top", "c", "--nosuch").code == 2

    def test_top_of_what_does_not_run(self, lk):
        """There is nothing to list."""
        lk("create", "--name", "c", IMAGE, "true")

        assert lk("top", "c").code == 7

    @needs_groups
    def test_stats(self, lk, detached):
        """One row for each container that runs; with -a, also for others, which use nothing."""
        detached(SLEEP, "-m", "64m")
        lk("create", "--name", "idle", IMAGE, "true")
        shape = "{{.Name}} {{.MemUsage}} {{.PIDs}} {{.NetIO}}"

        running = lk("stats", "--no-stream", "--format", shape).text
        everything = lk("stats", "--no-stream", "-a", "--format", shape).text.splitlines()

        assert re.fullmatch(r"c [0-9.]+[KM]iB / 64MiB 1 0B / 0B", running)
        assert "idle 0B / 0B 0 0B / 0B" in everything
        assert len(everything) == 2

    def test_rename(self, lk, detached):
        """Another name for the list, the same one for the container itself."""
        identifier = detached(SLEEP, name="old")
        lk("create", "--name", "taken", IMAGE, "true")

        assert lk("rename", "old", "new").text == ""
        assert lk.status("new").startswith("Up ")
        assert lk("exec", "new", "hostname").text == identifier[:12]
        for wrong, code in (("taken", 7), ("new", 7), ("a/b", 2)):
            assert lk("rename", "new", wrong).code == code
        assert lk("rename", "old", "other").code == 3  # no id begins so
