"""Containers that serve: whole commands on a host with a network card, and somebody outside."""

from __future__ import annotations

import contextlib
import os
import signal
import socket

import pytest
from support import boxes, engines, machines, networks
from support.machines import IMAGE, Machine, get
from support.networks import HOST, OUTSIDE, aim_at_localhost
from support.processes import outcome, until

pytestmark = [
    pytest.mark.root,
    pytest.mark.debian("ip"),
    pytest.mark.skipif(boxes.obstacle() is not None, reason=str(boxes.obstacle())),
]

PAGES = {8081: "one", 8082: "two", 8083: "three"}
ASK = "printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc {} | tail -n 1"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A state directory with the image of the web servers in it."""
    folder = tmp_path_factory.mktemp("web")
    layout = machines.web_image(folder)
    with networks.world() as world:
        Machine(world, folder / "state").run("load", "-i", str(layout))
    return folder / "state"


@pytest.fixture
def world():
    """A host and somebody outside."""
    with networks.world() as made:
        yield made


@pytest.fixture
def machine(world, root):
    """The host with layerkit, whose containers are all gone afterwards."""
    machine = Machine(world, root)
    yield machine
    machine.remove_all()


def ask(place: str) -> str:
    """A command that prints the page of a web server, `ADDRESS PORT`."""
    return ASK.format(place)


def shell(machine: Machine, script: str, *options: str) -> str:
    """What a shell prints in a new container."""
    return machine("run", "--rm", *options, IMAGE, "sh", "-c", script)


def is_refused(place: networks.Namespace, address: str, port: int) -> bool:
    """Whether nobody listens there."""
    with contextlib.closing(place.socket()) as client:
        try:
            client.connect((address, port))
        except ConnectionRefusedError:
            return True
    return False


def is_connected(client: socket.socket) -> bool:
    """Whether the other end has answered."""
    try:
        client.getpeername()
    except OSError:
        return False
    return True


def drop_by_default(world: networks.World, _stack: contextlib.ExitStack) -> None:
    """A firewall as ufw has it."""
    world.host.run("iptables-nft", "-P", "FORWARD", "DROP")


def start_dockerd(world: networks.World, stack: contextlib.ExitStack) -> None:
    """The firewall and the bridge of dockerd."""
    with world.host.entered():
        try:
            stack.enter_context(engines.docker(network=True))
        except engines.CannotStartError as error:
            pytest.skip(str(error))


class TestPublished:
    """Who gets the pages of web servers with published ports, and who does not."""

    @pytest.mark.parametrize(
        "firewall",
        [
            pytest.param(None, id="open"),
            pytest.param(drop_by_default, id="dropping", marks=pytest.mark.debian("iptables-nft")),
            pytest.param(
                start_dockerd,
                id="dockerd",
                marks=pytest.mark.debian(*engines.DOCKER_PROGRAMS, "iptables-nft"),
            ),
        ],
    )
    def test_three_servers_of_one_image(self, world, machine, firewall):
        """RT-W02: each answers its own page: outside, the host, and a container by address and name."""
        with contextlib.ExitStack() as stack:
            if firewall is not None:
                firewall(world, stack)
            for port, page in PAGES.items():
                machine.serve(page, page, "-p", f"{port}:80")

            for port, page in PAGES.items():
                assert get(world.outside, HOST, port) == page
                assert get(world.host, HOST, port) == page
            asked = [f"{machine.address(page)} 80" for page in PAGES.values()]
            asked += [f"{page} 80" for page in PAGES.values()]
            asked += [f"{HOST} {port}" for port in PAGES]
            answers = shell(machine, ";".join(map(ask, asked))).split()
            assert answers == [*PAGES.values()] * 3
            machine.remove_all()

    @pytest.mark.parametrize("address", ["127.0.0.1", HOST, "10.99.0.1"])
    def test_the_host_has_more_than_one_address(self, world, machine, address):
        """RT-W03: a published port answers at every address of the host."""
        machine.serve("one", "one", "-p", "8081:80")

        assert get(world.host, address, 8081) == "one"

    def test_what_is_not_published(self, world, machine):
        """RT-W01, RT-W05: by its own address the host and containers reach a container, others do not."""
        machine.serve("one", "one", "-p", "8081:80")
        machine.serve("hidden", "hidden")
        places = [(machine.address(name), 80) for name in ("one", "hidden")]
        assert [get(world.host, *place) for place in places] == ["one", "hidden"]

        knocking = [world.outside.knocks(*place) for place in places]

        assert get(world.outside, HOST, 8081) == "one"  # the others were before it
        assert [is_connected(each) for each in knocking] == [False, False]
        assert shell(machine, ask(f"{places[1][0]} 80")) == "hidden"

    def test_a_port_of_localhost(self, world, machine):
        """RT-W07: what is published to 127.0.0.1 answers the host, and nobody who forges a packet."""
        machine.serve("local", "local", "-p", "127.0.0.1:8085:80")
        machine.serve("open", "open", "-p", "8086:80")
        assert get(world.host, "127.0.0.1", 8085) == "local"
        assert get(world.outside, HOST, 8086) == "open"
        assert is_refused(world.outside, HOST, 8085)
        aim_at_localhost(world.outside, HOST)

        forged = world.outside.knocks("127.0.0.1", 8085)

        assert get(world.outside, HOST, 8086) == "open"
        assert not is_connected(forged)
        assert get(world.host, "127.0.0.1", 8085) == "local"

    def test_any_port(self, world, machine):
        """RT-W09: a port of the container alone gets a free one of the host, which is shown."""
        machine.serve("one", "one", "-p", "80")

        shown = machine("ps", "--format", "{{.Ports}}")

        address, arrow, target = shown.partition("->")
        assert (arrow, target) == ("->", "80/tcp")
        assert get(world.outside, HOST, int(address.rpartition(":")[2])) == "one"

    def test_a_range_of_ports(self, world, machine):
        """RT-W09: a range leads port by port to one as long."""
        script = "for i in 80 81 82; do mkdir /www/$i; echo $i > /www/$i/index.html; httpd -p $i -h /www/$i; done"
        range_ = ("-p", "8090-8092:80-82")
        machine("run", "-d", *range_, IMAGE, "sh", "-c", f"{script}; sleep 1000")

        assert [get(world.outside, HOST, port) for port in (8090, 8091, 8092)] == ["80", "81", "82"]

    def test_datagrams(self, world, machine):
        """RT-W09: a datagram to a port published for UDP arrives, and so does the answer."""
        machine("run", "-d", "--name", "dns", "-p", "5353:53/udp", IMAGE, "sleep", "1000")
        server = machine.inside("dns").receives(53)

        client = world.outside.sends(HOST, 5353, b"question")
        question, peer = server.recvfrom(100)
        server.sendto(b"answer", peer)

        assert (question, peer[0]) == (b"question", OUTSIDE)
        assert client.recvfrom(100) == (b"answer", (HOST, 5353))


def ping() -> None:
    """Ask the bridge for an echo, without privileges."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP) as client:
        client.settimeout(30)
        client.connect(("10.99.0.1", 0))
        client.send(bytes([8, 0, 0, 0, 0, 0, 0, 1]))  # RFC 792: an echo request
        assert client.recv(100)[0] == 0


class TestModes:
    """The networks that a container can be in."""

    def test_none(self, machine):
        """RT-W10: without a network there is a loopback, which is up, and nothing else."""
        (line,) = shell(machine, "ip -o link", "--network", "none").splitlines()

        assert line.startswith("1: lo: <LOOPBACK,UP")

    def test_host(self, world, machine):
        """RT-W10: in the host's network a port is the host's, and its interfaces are seen."""
        machine.serve("one", "one", "--network", "host")

        assert get(world.outside, HOST) == "one"
        assert "near0" in machine("exec", "one", "ip", "-o", "link")

    def test_that_of_another_container(self, world, machine):
        """With container:NAME two have one address, one localhost and one hosts file."""
        machine("run", "-d", "--name", "first", "-p", "8081:80", IMAGE, "sleep", "1000")
        machine.serve("second", "second", "--network", "container:first")

        assert get(world.outside, HOST, 8081) == "second"
        assert machine("exec", "first", "sh", "-c", ask("127.0.0.1 80")) == "second"
        hosts = [machine("exec", name, "cat", "/etc/hosts") for name in ("first", "second")]
        assert hosts[0] == hosts[1]
        assert f"{machine.address('first')}\t" in hosts[0]

    def test_a_user_binds_low_ports_and_pings(self, world, machine):
        """RT-W14: who is not root in the container may listen on port 80, and ping."""
        machine.serve("one", "one", "-p", "8081:80", "-u", "1000")

        assert get(world.outside, HOST, 8081) == "one"
        with machine.inside("one").entered():
            assert outcome(ping, uid=1000) == 0


class TestNames:
    """/etc/hosts and /etc/resolv.conf."""

    def test_a_container_finds_itself_and_the_others(self, machine):
        """RT-W12: from its first moment a container has its own name and those of the others."""
        machine.serve("one", "one")

        hosts = shell(machine, "cat /etc/hosts; hostname -i; hostname", "--name", "two")

        lines = [line.split() for line in hosts.splitlines()]
        assert [machine.address("one"), machine("ps", "-q"), "one"] in lines
        assert [lines[-2][0], lines[-1][0], "two"] in lines

    def test_names_come_and_go(self, machine):
        """A container that starts is found by those that run, and no more when it has ended."""
        machine("run", "-d", "--name", "one", IMAGE, "sleep", "1000")

        def known(name: str) -> bool:
            return f"\t{name}" in machine("exec", "one", "sh", "-c", "tr ' ' '\\t' < /etc/hosts")

        machine("run", "-d", "--name", "two", IMAGE, "sleep", "1000")
        assert known("two")
        machine("stop", "-t", "0", "two")
        until(lambda: not known("two"))
        machine("start", "two")
        assert known("two")
        machine("rm", "-f", "two")
        until(lambda: not known("two"))
        assert known("one")

    def test_names_of_the_users(self, machine):
        """RT-W12: --add-host is in /etc/hosts, beside the container's own name; --dns replaces."""
        options = ("--add-host", "a:1.1.1.1", "--dns", "1.2.3.4", "--hostname", "me")

        found = shell(machine, "cat /etc/hosts /etc/resolv.conf", *options).splitlines()

        assert "1.1.1.1\ta" in found
        assert [line for line in found if line.startswith("10.99.") and "\tme " in line]
        assert [line for line in found if line.startswith("nameserver")] == ["nameserver 1.2.3.4"]

    def test_a_resolver_on_loopback(self, machine, tmp_path):
        """RT-W12: a name server that only the host reaches is left out; another one takes its place."""
        (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.53\nsearch example.org\n")
        bind = f"mount --bind {tmp_path}/resolv.conf /etc/resolv.conf; exec " + '"$@"'

        ran = machine.run(
            *("run", "--rm", IMAGE, "cat", "/etc/resolv.conf"),
            before=("unshare", "--mount", "sh", "-c", bind, "sh"),
        )

        assert (ran.code, ran.err) == (0, "")
        assert "127.0.0.53" not in ran.out
        assert "search example.org" in ran.out
        assert ran.out.count("nameserver") >= 1


def stop(machine: Machine, name: str) -> None:
    """End a container as one should."""
    machine("stop", "-t", "0", name)


def remove(machine: Machine, name: str) -> None:
    """End a container at once, with all of it."""
    machine("rm", "-f", name)


def kill_the_monitor(machine: Machine, name: str) -> None:
    """End a container without anybody who could clear up."""
    first = os.pidfd_open(int(machine.state(name)["pid"]))
    os.kill(machine.monitor(name), signal.SIGKILL)
    with contextlib.closing(os.fdopen(first)):
        until(lambda: not machine("ps", "-q", "--filter", f"name={name}"))


class TestPortsInUse:
    """Who has a port of the host, and until when."""

    @pytest.mark.parametrize("end", [stop, remove, kill_the_monitor])
    def test_a_port_is_free_when_its_container_has_ended(self, world, machine, end):
        """The next container gets the port, whoever ended the first one and how."""
        machine.serve("one", "one", "-p", "8081:80")
        assert get(world.outside, HOST, 8081) == "one"

        end(machine, "one")
        machine.serve("two", "two", "-p", "8081:80")

        assert get(world.outside, HOST, 8081) == "two"
        assert len(world.published()) == 1

    @pytest.mark.parametrize("end", [stop, remove, kill_the_monitor])
    def test_nothing_is_left_in_the_network(self, world, machine, end):
        """After the end there is no interface, and the host can have the port; rm takes the rest."""
        identifier = machine.serve("one", "one", "-p", "8081:80")

        end(machine, "one")

        until(lambda: world.interfaces() == [])
        world.host.listens(8081).close()
        machine.remove_all()
        assert world.published() == []
        assert machines.groups_of([identifier]) == []

    @pytest.mark.parametrize("holder", ["container", "program"])
    def test_a_port_that_somebody_has(self, world, machine, holder):
        """A port in use is one clear line and 125; with --rm nothing is left, and the first goes on."""
        if holder == "container":
            machine.serve("one", "one", "-p", "8081:80")
        else:
            world.host.listens(8081)
        before = machine.ids(), world.interfaces(), world.published()

        ran = machine.run(
            *("run", "--rm", "-d", "-p", "8080:80", "-p", "8081:80", IMAGE, "sleep", "1000")
        )

        assert ran.code == 125
        assert ran.err.splitlines()[0].endswith(
            "cannot publish port 8081/tcp: address already in use"
        )
        assert (machine.ids(), world.interfaces(), world.published()) == before
        world.host.listens(8080).close()
        if holder == "container":
            assert get(world.outside, HOST, 8081) == "one"

    def test_a_container_waits_for_its_port(self, world, machine):
        """A container that could not be started for want of its port starts when that is free."""
        machine.serve("one", "one", "-p", "8081:80")
        options = ("--name", "two", "-p", "8081:80")
        script = "echo two > /www/index.html; exec httpd -f -h /www"
        assert machine.run("run", "-d", *options, IMAGE, "sh", "-c", script).code == 125

        machine("stop", "-t", "0", "one")
        machine("start", "two")

        assert get(world.outside, HOST, 8081) == "two"
