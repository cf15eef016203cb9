"""Terminals and pipes of containers, by whole commands as a user types them."""

from __future__ import annotations

import hashlib
import os
import shlex
import subprocess

import pexpect
import pytest
from support import boxes, program
from support.program import IMAGE, PATIENCE, PROMPT, wait_until

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(boxes.obstacle() is not None, reason=str(boxes.obstacle())),
]

HOST_PROMPT = "host$ "
MUCH = 5 << 20


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The program and its image."""
    return program.make(tmp_path_factory.mktemp("terminals"))


@pytest.fixture
def lk(installed):
    """The program, whose containers go after the test."""
    yield from program.cleaned(installed)


@pytest.fixture
def terminal(lk):
    """Starts commands on terminals of their own; all are gone after the test."""
    spawned = []

    def start(*arguments):
        spawned.append(lk.spawn(*arguments))
        return spawned[-1]

    yield start
    for each in spawned:
        each.close(force=True)


@pytest.fixture
def shell(lk, terminal):
    """A shell in the container c, at its prompt."""
    child = terminal("run", *lk.alone(["-it", "--name", "c", IMAGE, "sh"]))
    child.expect_exact(PROMPT)
    return child


def ask(shell, command):
    """What a command prints."""
    shell.sendline(command)
    shell.expect_exact(f"{command}\r\n")
    shell.expect_exact(PROMPT)
    return shell.before.replace("\r\n", "\n").strip()


def ended(child):
    """The exit code of a command whose output is not looked at any more."""
    child.expect(pexpect.EOF)
    child.close()
    return child.exitstatus


class TestTerminal:
    """`run -it`."""

    def test_it_is_the_containers(self, shell):
        """RT-T01: a terminal of the container's own with the user's size, and its console."""
        assert ask(shell, "tty") == "/dev/pts/0"
        assert ask(shell, "stty size") == "30 100"
        assert ask(shell, "echo $TERM") == "xterm"
        assert ask(shell, "test -t 0 && test -t 1 && test -t 2; echo $?") == "0"
        assert ask(shell, "echo hello > /dev/console") == "hello"

    def test_it_is_resized(self, shell):
        """RT-T02: the size follows that of the user's terminal."""
        shell.sendline("while sleep 0.05; do stty size; done")
        shell.expect_exact("30 100\r\n")

        shell.setwinsize(40, 120)

        shell.expect_exact("40 120\r\n")

    @pytest.mark.parametrize(
        ("leave", "code"),
        [
            pytest.param("exit 7\n", 7, id="RT-T03-exit"),
            pytest.param("\x04", 0, id="RT-T03-end-of-input"),
        ],
    )
    def test_leaving_ends_the_container(self, lk, terminal, leave, code):
        """`exit` and Ctrl+D end the container, and the user's terminal is as it was."""
        command = shlex.join([*lk.command, "run", *lk.alone(["-it", "--rm", IMAGE, "sh"])])
        host = terminal_of_the_host(lk)
        host.sendline("before=$(stty -g); echo mar''ked")
        host.expect_exact("marked")
        host.sendline(f"{command}; echo code=$?")
        host.expect_exact(PROMPT)
        host.send(leave)
        host.expect_exact(f"code={code}")
        host.sendline('test "$before" = "$(stty -g)" && echo sa""me || echo chan""ged')
        try:
            assert host.expect_exact(["same", "changed"]) == 0
        finally:
            host.close(force=True)
        assert lk("ps", "-aq").text == ""

    def test_leaving_it_running(self, lk, terminal, shell):
        """RT-T04: Ctrl+P Ctrl+Q, typed one by one, ends the command; attach finds the same shell."""
        ask(shell, "X=kept")
        shell.sendcontrol("p")
        shell.sendcontrol("q")

        assert ended(shell) == 0
        assert lk.status("c").startswith("Up ")
        again = terminal("attach", "c")
        again.sendline("echo is-$X")
        again.expect_exact("is-kept\r\n")
        again.sendline("exit 3")
        assert ended(again) == 3

    def test_control_c(self, shell):
        """RT-T07: Ctrl+C ends what runs in the shell, not the shell and not layerkit."""
        # Until it has begun, the key would be the shell's.
        shell.sendline("sh -c 'echo be\"\"gun; exec sleep 1000'")
        shell.expect_exact("begun\r\n")
        shell.sendcontrol("c")
        shell.expect_exact(PROMPT)

        assert ask(shell, "echo $?") == "130"

    def test_two_users(self, terminal, shell):
        """RT-T09: two clients see the same and both can type; one leaves, the other stays."""
        other = terminal("attach", "c")
        other.sendline("echo fr''om-other")
        for each in (other, shell):
            each.expect_exact("from-other\r\n")
        shell.sendline("echo fr''om-first")
        for each in (shell, other):
            each.expect_exact("from-first\r\n")

        other.send("\x10\x11")

        assert ended(other) == 0
        shell.sendline("echo st''ill")
        shell.expect_exact("still\r\n")


def terminal_of_the_host(lk):
    """A shell of the host on a terminal."""
    environment = {**lk.environment, "PS1": HOST_PROMPT}
    host = pexpect.spawn("sh", timeout=PATIENCE, encoding="utf-8", env=environment)
    host.expect_exact(HOST_PROMPT)
    host.sendline("stty -echo")
    host.expect_exact(HOST_PROMPT)
    return host


class TestPipes:
    """`run -i` without a terminal."""

    def test_input_has_an_end(self, lk):
        """RT-T11: what comes in goes out, and the end of the input ends the command."""
        assert lk.run("-i", "--rm", IMAGE, "cat", stdin=b"hi\n").text == "hi"

    def test_without_i_there_is_no_input(self, lk):
        """RT-T11: without -i the command reads nothing."""
        assert lk.run("--rm", IMAGE, "cat", stdin=b"hi\n").text == ""

    def test_much_of_everything(self, lk):
        """RT-T11: megabytes of any bytes pass unchanged, each stream by itself."""
        data = os.urandom(1 << 20) * (MUCH >> 20)

        done = lk.run("-i", "--rm", IMAGE, "tee", "/dev/stderr", stdin=data)

        assert done.code == 0
        assert [hashlib.sha256(each).hexdigest() for each in (done.out, done.err)] == [
            hashlib.sha256(data).hexdigest()
        ] * 2

    def test_the_streams_are_apart(self, lk):
        """RT-T11: stdout and stderr of the container are those of the command."""
        done = lk.run("--rm", IMAGE, "sh", "-c", "echo out; echo err >&2; exit 4")

        assert (done.code, done.out, done.err) == (4, b"out\n", b"err\n")


class TestExec:
    """`exec`."""

    @pytest.fixture(autouse=True)
    def _running(self, lk):
        """The container c, in which nothing happens."""
        lk.run("-d", "--name", "c", IMAGE, "sleep", "1000")

    def test_a_terminal_of_its_own(self, lk, terminal):
        """RT-T13: exec -it has its own terminal, also beside another one."""
        first, second = (terminal("exec", "-it", "c", "sh") for _ in range(2))
        for each in (first, second):
            each.expect_exact(PROMPT)
        names = {ask(each, "tty") for each in (first, second)}

        assert names == {"/dev/pts/0", "/dev/pts/1"}
        assert ask(second, "stty size") == "30 100"
        first.sendline("exit 9")
        assert ended(first) == 9
        assert lk.status("c").startswith("Up ")

    @pytest.mark.parametrize(
        ("command", "code", "message"),
        [
            pytest.param(["false"], 1, b"", id="RT-T13-code"),
            pytest.param(["nosuch"], 127, b"not found in $PATH", id="RT-T13-missing"),
            pytest.param(["/etc"], 126, b"Is a directory", id="RT-T13-folder"),
            pytest.param(["-w", "/no", "pwd"], 125, b"/no", id="RT-T13-workdir"),
        ],
    )
    def test_codes(self, lk, command, code, message):
        """The code is the command's, or says that it did not start."""
        options = command[:2] if command[0] == "-w" else []
        done = lk("exec", *options, "c", *command[len(options) :])

        assert (done.code, message in done.err) == (code, True), done

    def test_in_a_stopped_container(self, lk):
        """RT-T13: there is nothing to run it in."""
        lk("kill", "c")
        lk("wait", "c")

        done = lk("exec", "c", "true")

        assert (done.code, done.err) == (125, b"layerkit: container c is not running\n")

    def test_pipes(self, lk):
        """RT-T13: exec -i passes input on and ends with it."""
        assert lk("exec", "-i", "c", "cat", stdin=b"hi\n").text == "hi"

    def test_it_ends_with_the_container(self, lk):
        """RT-T13: a command that runs when the container is killed ends, too."""
        with lk.begin("exec", "c", "sh", "-c", "echo on; sleep 1000") as command:
            assert command.stdout.readline() == b"on\n"
            lk("kill", "c")

            assert command.wait(PATIENCE) == 137


class TestAttach:
    """`attach` to a container without a terminal."""

    def test_two_listeners(self, lk):
        """RT-T09: both get all output from when they came, and the container's code."""
        script = "while read line; do echo got $line; done; exit 6"
        first = lk.begin(
            "run",
            *lk.alone(["-i", "--name", "c", IMAGE, "sh", "-c", script]),
            stdin=subprocess.PIPE,
        )
        with first:
            first.stdin.write(b"one\n")
            first.stdin.flush()
            assert first.stdout.readline() == b"got one\n"
            with lk.begin("attach", "c", stdin=subprocess.PIPE) as second:
                second.stdin.write(b"two\n")
                second.stdin.flush()
                assert second.stdout.readline() == b"got two\n"
                assert first.stdout.readline() == b"got two\n"
                first.stdin.close()
                assert (first.wait(PATIENCE), second.wait(PATIENCE)) == (6, 6)

    def test_what_does_not_run(self, lk):
        """There is nothing to attach to."""
        lk("create", "--name", "c", IMAGE, "true")

        assert lk("attach", "c").code == 7

    def test_the_listener_ends_by_a_signal(self, lk):
        """RT-L04: with --sig-proxy=false a signal ends the command, and the container goes on."""
        arguments = ["--sig-proxy=false", "--name", "c", IMAGE, "sh", "-c", "echo on; sleep 1000"]
        with lk.begin("run", *lk.alone(arguments)) as command:
            assert command.stdout.readline() == b"on\n"
            command.terminate()

            assert command.wait(PATIENCE) != 0
        wait_until(lambda: lk.status("c").startswith("Up "), "it goes on")
