"""A monitor, its process and its clients together."""

from __future__ import annotations

import os
import select
import signal
import socket
import time
from pathlib import Path

import pytest
from support.monitors import Monitors, ended, noted, pidfd_of
from support.processes import until

from layerkit.sandbox import frames, messages, process_steps
from layerkit.sandbox.attach import ExitStatus, Manners, Stdio, attach
from layerkit.sandbox.frames import Ended, Failed, Hello, Input, Resize, Signal, Started, Taken

pytestmark = pytest.mark.root

LISTENS = Hello(listens=True)
ECHO = 'while read word; do [ "$word" = quit ] && exit 4; echo "got $word"; done'
SLEEP = "echo ready; exec sleep 1000"
LARGE = 3_000_000


@pytest.fixture
def monitors(tmp_path):
    """Starts monitors, and ends those that still run."""
    monitors = Monitors(tmp_path)
    yield monitors
    monitors.close()


class TestClients:
    """Several at a time, one after the other, slow and strange ones."""

    def test_two_see_all_and_both_send(self, monitors):
        """RT-T09: both see the output, input comes from both; one leaves and the other one stays."""
        first = monitors.start(ECHO)
        first.started()
        second = monitors.attach()

        second.say(Input(b"two\n")).until(b"got two\n")
        first.until(b"got two\n")
        first.say(Input(b"one\n")).until(b"got one\n")
        second.until(b"got one\n")
        second.channel.close()
        first.say(Input(b"quit\n"))

        assert first.end() == Ended(4)

    def test_who_comes_again_goes_on(self, monitors):
        """The process lives while nobody is attached, and the next client finds it as it is."""
        monitors.start("n=5; " + ECHO.replace("got", "got $n"), LISTENS).channel.close()

        second = monitors.attach()
        second.say(Input(b"a\n")).until(b"got 5 a\n")
        second.channel.close()
        third = monitors.attach().say(Input(b"quit\n"))

        assert (third.end(), third.got[1]) == (Ended(4), b"")

    def test_the_first_may_leave_in_the_middle_of_the_output(self, monitors):
        """A container that waited for its foreground does not wait for one that is gone."""
        first = monitors.start(f"head -c {LARGE} /dev/zero; {ECHO}", LISTENS)
        first.hear()
        first.channel.close()

        assert monitors.attach(Hello(sends=True)).say(Input(b"quit\n")).end() == Ended(4)

    def test_a_slow_one_holds_up_nobody(self, monitors):
        """Who does not take what it is sent is let go; container and the others go on."""
        first = monitors.start(f"{ECHO.replace('echo', f'head -c {LARGE} /dev/zero; echo')}")
        slow, other = monitors.attach(), monitors.attach()
        other.say(Input(b"a\n"))

        peers = {peer.channel.fileno(): peer for peer in (first, other)}
        while not all(b"got a\n" in peer.got[1] for peer in peers.values()):
            readable, _, _ = select.select(list(peers), [], [], 30)
            assert readable, "nothing comes any more"
            for each in readable:
                assert peers[each].hear() is not None

        assert [len(peer.got[1]) for peer in peers.values()] == [LARGE + 6] * 2
        slow.end()
        assert len(slow.got[1]) < LARGE
        assert first.say(Input(b"quit\n")).end() == Ended(4)

    def test_the_first_one_sets_the_pace(self, monitors):
        """While the foreground takes nothing, the program's writes wait, as with a pipe."""
        first = monitors.start("head -c 3000000 /dev/zero; echo end >&2")
        while len(first.got[1]) < frames.WINDOW:
            first.hear(takes=())

        pidfd = pidfd_of(first)  # answered when all before it is sent
        os.close(pidfd)
        first.say(Taken(1, len(first.got[1])))
        assert len(first.got[1]) < frames.WINDOW + frames.PAYLOAD
        assert (first.end(), len(first.got[1]), first.got[2]) == (Ended(0), 3_000_000, b"end\n")

    @pytest.mark.parametrize(
        "packet",
        [b"?", b"\xff" * 100, b"t\1", b"s", b"i" + b"x" * 70_000],
        ids=["kind", "noise", "cut", "empty", "long"],
    )
    def test_nonsense_ends_only_its_connection(self, monitors, packet):
        """A packet that is no frame is the sender's own loss."""
        first = monitors.start(ECHO)
        other = monitors.attach()
        other.channel.send(packet)

        assert not isinstance(other.end(), Ended)
        assert first.say(Input(b"quit\n")).end() == Ended(4)

    @pytest.mark.parametrize(
        "frame",
        [
            Signal(0),
            Signal(255),
            Taken(9, 1 << 31),
            frames.Unread(9),
            frames.Unread(0),
            Resize(0, 65535),
            frames.Output(1, b"mine"),
            Started(1),
            Ended(1),
        ],
        ids=repr,
    )
    def test_frames_that_mean_nothing_do_nothing(self, monitors, frame):
        """Numbers that do not exist, and what only a monitor says, are passed over."""
        first = monitors.start(ECHO)
        monitors.attach().say(frame, Input(b"quit\n"))

        assert (first.end(), first.got[1]) == (Ended(4), b"")


class TestStreams:
    """Input and output."""

    def test_five_megabytes_pass_through(self, monitors, tmp_path):
        """RT-T11: any bytes go in and come out the same, both ways at once, and the end with them."""
        data = os.urandom(5 << 20)
        (tmp_path / "in").write_bytes(data)
        first = monitors.start("cat")
        with open(tmp_path / "in", "rb") as given, open(tmp_path / "out", "wb") as out:
            stdio = Stdio(given.fileno(), out.fileno(), out.fileno())
            assert attach(first.channel, stdio, Manners()) == ExitStatus(0)

        assert (tmp_path / "out").read_bytes() == data

    def test_streams_do_not_hold_up_each_other(self, monitors):
        """A standard error that nobody takes lets the output through."""
        flood = "yes >&2 & for n in 1 2 3 4 5; do echo tick; done; read word; echo tock; wait"
        first = monitors.start(flood)
        first.until(b"tick\n" * 5, takes=(1,))
        while len(first.got[2]) < frames.WINDOW:
            first.hear(takes=(1,))

        first.say(Input(b"\n")).until(b"tock\n", takes=(1,))

    def test_signals_pass_while_the_input_is_full(self, monitors):
        """Input that nobody reads holds up no signal."""
        first = monitors.start("trap 'echo caught; exit 7' TERM; echo ready; sleep 1000 & wait")
        first.until(b"ready\n")
        first.say(*[Input(bytes(frames.PAYLOAD))] * 4, Signal(signal.SIGTERM))

        assert (first.end(), first.got[1]) == (Ended(7), b"ready\ncaught\n")

    def test_the_end_is_told_after_all_output(self, monitors):
        """What was written right before the end arrives before it."""
        first = monitors.start("seq 200000; exit 3")

        assert first.end() == Ended(3)
        assert first.got[1].split() == [b"%d" % n for n in range(1, 200_001)]

    def test_a_signals_end_is_a_negative_code(self, monitors):
        """As Python has it."""
        first = monitors.start(SLEEP)
        first.until(b"ready\n")

        assert first.say(Signal(signal.SIGKILL)).end() == Ended(-9)

    def test_the_end_of_input_is_the_first_clients(self, monitors):
        """The container's own foreground ends its input, nobody else does."""
        first = monitors.start("cat; echo over")
        monitors.attach().say(Input(b""), Input(b"x")).until(b"x")
        first.say(Input(b""))

        assert (first.end(), first.got[1]) == (Ended(0), b"xover\n")

    def test_a_foreground_that_goes_ends_its_input(self, monitors, tmp_path):
        """Nobody waits for what a client that is gone would have sent."""
        first = monitors.start("cat; exit 5", watch={"ended": noted(tmp_path / "ended")})
        first.started()
        first.channel.close()

        until((tmp_path / "ended").exists)
        assert (tmp_path / "ended").read_text() == "(5, '')"

    def test_who_writes_learns_that_nobody_reads(self, monitors):
        """When the foreground's reader is gone and there is no log, writing fails as with a pipe."""
        first = monitors.start("yes; exit 9").say(frames.Unread(1))

        assert first.end() == Ended(9)

    def test_all_output_is_kept(self, monitors, tmp_path):
        """The log gets every byte with its stream, though nobody is attached."""

        class Log:
            def __init__(self):
                self.files = {name: (tmp_path / name).open("wb") for name in ("stdout", "stderr")}

            def write(self, stream, data):
                self.files[stream].write(data)

            def close(self):
                for each in self.files.values():
                    each.close()

        first = monitors.start(
            f"head -c {LARGE} /dev/zero; echo b >&2", Hello(), watch={"log": Log}
        )

        assert first.end() == Ended(0)
        assert (tmp_path / "stdout").stat().st_size == LARGE
        assert (tmp_path / "stderr").read_bytes() == b"b\n"


class TestTerminal:
    """A process with a terminal."""

    def test_it_has_the_size_that_is_told(self, monitors):
        """From the start, and after a change."""
        first = monitors.start(
            "stty size; read word; stty size; test -t 0 && exit 3", terminal=True, size=(30, 100)
        )
        first.until(b"30 100\r\n")
        first.say(Resize(40, 120), Input(b"\n"))

        assert first.end() == Ended(3)
        assert first.got[1].endswith(b"40 120\r\n")

    def test_its_keys_are_signals(self, monitors):
        """RT-T07: CTRL-C ends what runs in the shell."""
        first = monitors.start(
            "trap 'echo caught; exit 6' INT; echo ready; while :; do sleep 0.05; done",
            terminal=True,
        )
        first.until(b"ready\r\n")

        assert first.say(Input(b"\3")).end() == Ended(6)

    def test_a_client_that_goes_ends_nothing(self, monitors):
        """A terminal's input has no end: who comes again types on."""
        first = monitors.start("read a; read b; echo $a-$b", terminal=True)
        first.say(Input(b"one\n")).until(b"one\r\n")
        first.channel.close()
        second = monitors.attach().say(Input(b"two\n"))

        assert second.end() == Ended(0)
        assert second.got[1].endswith(b"one-two\r\n")


class TestLife:
    """Beginning, end, and what the monitor is as a process."""

    def test_beginning_and_end_are_told(self, monitors, tmp_path):
        """The watch knows both before any client does."""
        watch = {name: noted(tmp_path / name) for name in ("began", "ended")}
        first = monitors.start(ECHO, watch=watch)
        pid = first.started()
        assert (tmp_path / "began").read_text() == f"({pid},)"
        assert not (tmp_path / "ended").exists()

        first.say(Input(b"quit\n"), Signal(0))

        assert first.end() == Ended(4)
        assert (tmp_path / "ended").read_text() == "(4, '')"

    @pytest.mark.parametrize(
        ("plan", "code", "text"),
        [
            ((process_steps.EnterWorkdir("/nosuch"),), 125, "cannot enter /nosuch: "),
            ((process_steps.FindUser("x" * 40),), 125, "cannot find user "),
        ],
        ids=["folder", "user"],
    )
    def test_a_step_that_fails_is_told(self, monitors, tmp_path, plan, code, text):
        """The client gets the message, the watch its text, and nothing has begun."""
        watch = {name: noted(tmp_path / name) for name in ("began", "ended")}
        first = monitors.start("", plan=plan, watch=watch)

        end = first.end()

        assert isinstance(end, Failed)
        assert messages.error(messages.decode(end.packet), "sh").message.startswith(text)
        assert (tmp_path / "ended").read_text().startswith(f"({code}, {text!r}"[:-1])
        assert not (tmp_path / "began").exists()

    def test_a_monitor_that_fails_itself_tells_why(self, monitors, tmp_path):
        """Who waits is told, and the end is written: no container seems to run for ever."""
        with open("/dev/null", "rb") as null:
            first = monitors.start(
                SLEEP, join=null.fileno(), watch={"ended": noted(tmp_path / "ended")}
            )

        end = first.end()

        assert isinstance(end, Failed)
        error = messages.error(messages.decode(end.packet), "sh")
        assert error.message.startswith("cannot watch the container: ")
        assert (tmp_path / "ended").read_text() == repr((125, error.message))

    def test_a_killed_monitor_takes_the_process_along(self, monitors):
        """RT-L07: nothing of a container stays that nobody watches."""
        first = monitors.start("sleep 1000 & echo ready; wait")
        first.until(b"ready\n")
        pidfd = pidfd_of(first)

        os.kill(monitors.pids[-1], signal.SIGKILL)

        assert ended(pidfd)
        os.close(pidfd)
        assert first.end() is None

    def test_a_signal_to_the_monitor_is_one_to_the_process(self, monitors):
        """Who shuts the machine down asks containers, too."""
        first = monitors.start("trap 'exit 5' TERM; echo ready; sleep 1000 & wait")
        first.until(b"ready\n")
        os.kill(monitors.pids[-1], signal.SIGTERM)

        assert first.end() == Ended(5)

    def test_a_process_that_clings_ends_with_its_client(self, monitors):
        """Where nobody could ever attach again, nothing runs on."""
        first = monitors.start(SLEEP, clings=True)
        first.until(b"ready\n")
        pidfd = pidfd_of(first)
        first.channel.close()

        assert ended(pidfd)
        os.close(pidfd)

    def test_nothing_of_the_caller_stays_open(self, monitors, tmp_path):
        """A monitor has its own descriptors and those it is to keep, whatever its maker had."""
        extra = [(tmp_path / name).open("w") for name in ("lost", "kept")]
        pair = socket.socketpair()
        try:
            for each in (*extra, *pair):
                os.set_inheritable(each.fileno(), True)
            first = monitors.start(SLEEP, watch={"keep": (extra[1].fileno(),)})
            first.until(b"ready\n")
            place = Path(f"/proc/{monitors.pids[-1]}")
            found = {int(each.name): os.readlink(each) for each in (place / "fd").iterdir()}
            foreign = {os.readlink(f"/proc/self/fd/{each.fileno()}") for each in pair}
        finally:
            for each in (*extra, *pair):
                each.close()

        assert [found.pop(number) for number in range(3)] == ["/dev/null"] * 3
        files = [link for link in found.values() if link.startswith("/")]
        assert files == [str(tmp_path / "kept")]
        assert foreign.isdisjoint(found.values())
        kinds = {link.partition(":")[0] for link in found.values() if not link.startswith("/")}
        assert kinds <= {"pipe", "socket", "anon_inode", "mnt"}

    def test_it_is_nowhere_and_nobodys(self, monitors):
        """Its folder is /, so no file system is held; its session is its own."""
        monitors.start(SLEEP).until(b"ready\n")
        pid = monitors.pids[-1]

        assert os.readlink(f"/proc/{pid}/cwd") == "/"
        assert (os.getsid(pid), os.getpgid(pid)) == (pid, pid)

    def test_an_idle_monitor_sleeps(self, monitors):
        """RT-S03: while nothing happens it is not woken once."""
        first = monitors.start(SLEEP, LISTENS)
        first.until(b"ready\n")
        status = Path(f"/proc/{monitors.pids[-1]}/status")

        def switches():
            return [line for line in status.read_text().splitlines() if "ctxt_switches" in line]

        def is_still():
            before = switches()
            time.sleep(1)
            return switches() == before

        until(is_still)
