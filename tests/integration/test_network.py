"""Containers on the bridge: who reaches whom, and what is left, each in namespaces of its own."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support import networks
from support.networks import HOST, OUTSIDE, Namespace, aim_at_localhost
from support.processes import NOBODY, Child, kill_myself, outcome, until

from layerkit.errors import SandboxError
from layerkit.network import addresses, bridge, firewall, netlink, nftables, ruleset
from layerkit.network.netlink import Socket
from layerkit.ports import Publication

if TYPE_CHECKING:
    import socket

pytestmark = [pytest.mark.root, pytest.mark.debian("ip")]

BRIDGE_FILTER = "bridge/bridge-nf-call-iptables"
with_and_without_bridge_filter = pytest.mark.parametrize(
    "bridge_filter",
    [
        pytest.param(0, id="without-br_netfilter"),
        pytest.param(
            1,
            id="with-br_netfilter",
            marks=pytest.mark.skipif(
                not Path("/proc/sys/net", BRIDGE_FILTER).exists(), reason="needs br_netfilter"
            ),
        ),
    ],
)


@pytest.fixture
def world():
    """A host, somebody outside, and no container."""
    with networks.world() as made:
        yield made


def web(port: int, ip: str = "") -> Publication:
    """Port 80 as that one of the host."""
    return Publication(80, host_port=port, host_ip=ip)


def filter_bridge(world: networks.World, value: int) -> None:
    """Have iptables see what the bridge passes, or not; without the module it never does."""
    if Path("/proc/sys/net", BRIDGE_FILTER).exists():
        world.host.set(BRIDGE_FILTER, value)


class TestPlace:
    """What a container finds in its namespace."""

    def test_interfaces_and_route(self, world):
        """RT-W01: lo and eth0 are up, the address is of 10.99.0.0/16, the way out is the bridge."""
        inside, endpoint = world.container()

        interfaces = inside.run("ip", "-4", "-brief", "address").split()
        routes = inside.run("ip", "route", "show", "default").split()

        assert interfaces[:3] == ["lo", "UNKNOWN", "127.0.0.1/8"]
        assert interfaces[3].startswith("eth0@")
        assert interfaces[4:] == ["UP", f"{endpoint.address}/{endpoint.prefix}"]
        assert endpoint.address.startswith("10.99.")
        assert routes == ["default", "via", "10.99.0.1", "dev", "eth0"]
        assert endpoint.mac in inside.run("ip", "link", "show", "eth0")
        assert endpoint.warnings == ()

    def test_mtu_is_that_of_the_way_out(self, world):
        """The largest packet is as large as on the interface of the host's default route."""
        world.host.run("ip", "link", "set", "near0", "mtu", "1380")

        inside, endpoint = world.container()

        assert endpoint.mtu == 1380
        assert "mtu 1380" in inside.run("ip", "link", "show", "eth0")

    def test_no_way_out(self, world):
        """A host without a default route has containers with the MTU of Ethernet."""
        world.host.run("ip", "route", "delete", "default")

        assert world.container()[1].mtu == 1500

    def test_no_ipv6_address(self, world):
        """Neither the bridge nor a container makes itself an IPv6 address."""
        inside, _endpoint = world.container()

        assert inside.run("ip", "-6", "address", "show", "eth0") == ""
        assert world.host.run("ip", "-6", "address", "show", "lk0") == ""

    def test_a_namespace_that_is_in_use(self, world):
        """Where there is an eth0 already, connecting fails and leaves no interface."""
        inside, _endpoint = world.container()
        before = world.interfaces()

        with world.host.entered(), pytest.raises(SandboxError, match="File exists"):
            bridge.connect(inside.descriptor)

        assert world.interfaces() == before

    def test_not_root(self, world):
        """Who may not make interfaces is told what that needs."""
        inside = Namespace(world._stack)

        def connect():
            with pytest.raises(SandboxError, match=r"not permitted|denied") as caught:
                bridge.connect(inside.descriptor)
            assert "--network none" in caught.value.hint

        with world.host.entered():
            assert outcome(connect, uid=NOBODY) == 0


class TestReach:
    """Who reaches a container, and whom it reaches."""

    def test_each_publication_leads_to_its_own_container(self, world):
        """RT-W02: three published containers answer each for itself, from outside and from the host."""
        ports = (8081, 8082, 8083)
        servers = {port: world.container(web(port))[0].listens(80) for port in ports}

        for port, server in servers.items():
            assert world.outside.reaches(HOST, port, server) == OUTSIDE
            assert world.host.reaches(HOST, port, server) == HOST

    @pytest.mark.parametrize(
        "address", ["127.0.0.1", HOST], ids=["RT-W03-localhost", "RT-W03-own-address"]
    )
    def test_the_host_reaches_a_published_port(self, world, address):
        """A published port answers the host itself at all of its addresses."""
        inside, _endpoint = world.container(web(8081))

        assert world.host.reaches(address, 8081, inside.listens(80)) == "10.99.0.1" or HOST

    def test_what_is_not_published(self, world):
        """RT-W05: by its address a container is reached by the host and its neighbours alone."""
        inside, endpoint = world.container(web(8081))
        neighbour, _endpoint = world.container()
        server, hidden = inside.listens(80), inside.listens(81)

        world.outside.knocks(endpoint.address, 81)
        world.outside.knocks(endpoint.address, 80)

        assert world.outside.reaches(HOST, 8081, server) == OUTSIDE  # the others were before it
        assert is_idle(hidden)
        assert is_idle(server)
        assert world.host.reaches(endpoint.address, 81, hidden) == "10.99.0.1"
        assert neighbour.reaches(endpoint.address, 81, hidden) == _endpoint.address

    def test_a_port_of_localhost(self, world):
        """RT-W07: what is published to 127.0.0.1 answers the host, and nobody who forges a packet."""
        local = Publication(53, "udp", 8085, "127.0.0.1")
        inside, _endpoint = world.container(local, Publication(53, "udp", 8086))
        server = inside.receives(53)
        aim_at_localhost(world.outside, HOST)

        world.outside.sends("127.0.0.1", 8085, b"forged")
        world.outside.sends(HOST, 8085, b"wrong address")
        world.outside.sends(HOST, 8086, b"published")
        assert server.recv(100) == b"published"

        world.host.sends("127.0.0.1", 8085, b"local")
        assert server.recv(100) == b"local"

    def test_localhost_of_the_host(self, world):
        """A container does not reach what the host has on 127.0.0.1, whatever it sends."""
        inside, _endpoint = world.container()
        server = world.host.receives(9999)
        aim_at_localhost(inside, "10.99.0.1")

        inside.sends("127.0.0.1", 9999, b"forged")
        inside.sends("10.99.0.1", 9999, b"allowed")

        assert server.recv(100) == b"allowed"

    def test_forging_is_possible_without_the_guard(self, world):
        """The packets of the tests above arrive where the guard's rule is missing."""
        inside, _endpoint = world.container(Publication(53, "udp", 8085, "127.0.0.1"))
        local = world.host.receives(9999)
        server = inside.receives(53)
        aim_at_localhost(world.outside, HOST)
        with world.host.entered(), Socket(nftables.PROTOCOL) as kernel:
            kernel.ask(*nftables.batch([nftables.flush_chain(ruleset.TABLE, "guard")]))

        world.outside.sends("127.0.0.1", 8085, b"from outside")
        assert server.recv(100) == b"from outside"

        aim_at_localhost(inside, "10.99.0.1")
        inside.sends("127.0.0.1", 9999, b"from inside")
        assert local.recv(100) == b"from inside"

    def test_udp(self, world):
        """RT-W09: a datagram arrives and its answer comes back from where the question went."""
        inside, _endpoint = world.container(Publication(53, "udp", 5353))
        server = inside.receives(53)

        client = world.outside.sends(HOST, 5353, b"question")
        question, peer = server.recvfrom(100)
        server.sendto(b"answer", peer)

        assert question == b"question"
        assert client.recvfrom(100) == (b"answer", (HOST, 5353))

    def test_udp_from_somebody_who_goes_on_sending(self, world):
        """A client that has sent all the time reaches whoever has the port now."""
        port = Publication(53, "udp", 5353)
        world.container()  # from now on the host tracks connections
        client = world.outside.sends(HOST, 5353, b"too early")
        for word in (b"first", b"second"):
            inside, endpoint = world.container(port)
            server = inside.receives(53)

            client.sendto(word, (HOST, 5353))

            assert server.recv(100) == word
            with world.host.entered():
                bridge.disconnect(endpoint)

    def test_one_port_of_several_addresses(self, world):
        """One port leads elsewhere for another address of the host."""
        world.host.run("ip", "address", "add", "203.0.113.9/24", "dev", "near0")
        first, second = (world.container(web(80, ip))[0] for ip in (HOST, "203.0.113.9"))

        assert world.outside.reaches(HOST, 80, first.listens(80)) == OUTSIDE
        assert world.outside.reaches("203.0.113.9", 80, second.listens(80)) == OUTSIDE

    def test_the_way_out(self, world):
        """Outside sees the host's address instead of the container's."""
        inside, _endpoint = world.container()

        assert inside.reaches(OUTSIDE, 7000, world.outside.listens(7000)) == HOST

    @with_and_without_bridge_filter
    def test_hairpin(self, world, bridge_filter):
        """Containers reach a published port of the host, their own one too."""
        filter_bridge(world, bridge_filter)
        inside, _endpoint = world.container(web(8081))
        neighbour, _endpoint = world.container()
        server = inside.listens(80)

        assert inside.reaches(HOST, 8081, server)
        assert neighbour.reaches(HOST, 8081, server)
        assert neighbour.reaches("10.99.0.1", 8081, server)

    @with_and_without_bridge_filter
    @pytest.mark.debian("iptables-nft")
    @pytest.mark.parametrize("chain", ["FORWARD", "DOCKER-USER"])
    def test_iptables_drops_by_default(self, world, chain, bridge_filter):
        """A FORWARD policy of drop, as dockerd sets it, gets two rules before it, once."""
        filter_bridge(world, bridge_filter)
        world.host.run("iptables-nft", "-P", "FORWARD", "DROP")
        if chain != "FORWARD":
            world.host.run("iptables-nft", "-N", chain)
            world.host.run("iptables-nft", "-A", "FORWARD", "-j", chain)
        inside, endpoint = world.container(web(8081))
        neighbour, other = world.container()
        server, hidden = inside.listens(80), inside.listens(81)

        assert inside.reaches(OUTSIDE, 7000, world.outside.listens(7000)) == HOST
        assert neighbour.reaches(endpoint.address, 80, server) == other.address
        world.outside.knocks(endpoint.address, 81)
        assert world.outside.reaches(HOST, 8081, server) == OUTSIDE
        assert is_idle(hidden)
        rules = world.host.run("iptables-nft", "-S", chain).splitlines()
        assert sum(rule.endswith("-j ACCEPT") and "lk0" in rule for rule in rules) == 2

    @pytest.mark.debian("iptables-nft")
    def test_iptables_rules_of_two_at_once(self, world, monkeypatch):
        """Of two who look at the same time, the one that comes second adds no rules."""
        world.host.run("iptables-nft", "-P", "FORWARD", "DROP")

        def look(kernel, _chain):
            monkeypatch.undo()
            world.container()
            return False

        monkeypatch.setattr(firewall, "_is_passed", look)
        world.container()

        assert len(world.host.run("iptables-nft", "-S", "FORWARD").splitlines()) == 3

    @pytest.mark.debian("iptables-nft")
    def test_iptables_that_accepts_stays_as_it_is(self, world):
        """A FORWARD chain that lets all pass gets no rules."""
        world.host.run("iptables-nft", "-P", "FORWARD", "ACCEPT")

        world.container()

        assert world.host.run("iptables-nft", "-S", "FORWARD") == "-P FORWARD ACCEPT\n"

    @pytest.mark.debian("iptables-legacy")
    @pytest.mark.parametrize(("policy", "count"), [("DROP", 1), ("ACCEPT", 0)])
    def test_legacy_iptables(self, world, policy, count):
        """iptables-legacy is left alone; where it drops, a warning says what to do."""
        try:
            world.host.run("iptables-legacy", "-P", "FORWARD", policy)
        except subprocess.CalledProcessError as error:
            pytest.skip(f"needs iptables-legacy in the kernel: {error.stderr}")

        _inside, endpoint = world.container()

        assert len(endpoint.warnings) == count
        assert all("iptables-legacy -I FORWARD -i lk0" in text for text in endpoint.warnings)


def is_idle(server: socket.socket) -> bool:
    """Whether nobody has connected to it."""
    server.setblocking(False)
    try:
        server.accept()[0].close()
    except BlockingIOError:
        return True
    finally:
        server.settimeout(30)
    return False


class TestPorts:
    """Who gets a port of the host."""

    def test_any_free_port(self, world):
        """RT-W09: without a port of the host the container gets a free one, and it is told which."""
        inside, endpoint = world.container(Publication(80), Publication(81))
        first, second = (publication.host_port for publication in endpoint.publications)

        assert len({first, second}) == 2
        assert world.outside.reaches(HOST, first, inside.listens(80)) == OUTSIDE
        assert world.outside.reaches(HOST, second, inside.listens(81)) == OUTSIDE

    @pytest.mark.parametrize(
        ("taken", "wanted", "error"),
        [
            (web(8080), web(8080), "cannot publish port 8080/tcp: address already in use"),
            (web(8080), web(8080, "127.0.0.1"), "cannot publish port 127.0.0.1:8080/tcp: address"),
            (web(8080, HOST), web(8080), "cannot publish port 8080/tcp: address already in use"),
            (
                Publication(53, "udp", 53),
                Publication(53, "udp", 53),
                "cannot publish port 53/udp: address already in use",
            ),
        ],
        ids=["same", "one-address-of-all", "all-with-one", "udp"],
    )
    def test_a_port_that_another_container_has(self, world, taken, wanted, error):
        """Two containers cannot have one port, and the first keeps it."""
        world.container(taken)
        before = world.published(), world.interfaces()

        with pytest.raises(SandboxError, match=error):
            world.container(wanted)

        assert (world.published(), world.interfaces()) == before

    def test_a_port_that_a_program_has(self, world):
        """What a program listens on cannot be published; what was taken before it is given back."""
        server = world.host.listens(8080)

        with pytest.raises(SandboxError, match="8080/tcp: address already in use"):
            world.container(web(8079), web(8080))

        server.close()
        world.container(web(8079), web(8080))

    @pytest.mark.parametrize(
        ("ip", "error"),
        [
            ("203.0.113.77", "cannot publish port 203.0.113.77:80/tcp: cannot assign requested"),
            ("::1", r"cannot publish \[::1\]:80/tcp: only IPv4"),
            ("localhost", "'localhost' is no address"),
        ],
        ids=["not-of-this-host", "IPv6", "name"],
    )
    def test_an_address_that_cannot_be_used(self, world, ip, error):
        """A port is published to an IPv4 address of the host only."""
        with pytest.raises(SandboxError, match=error):
            world.container(web(80, ip))

        assert world.interfaces() == []

    def test_protocols_have_ports_of_their_own(self, world):
        """One number can be published for TCP and for UDP."""
        inside, _endpoint = world.container(web(8080), Publication(53, "udp", 8080))

        assert len(world.published()) == 2
        assert world.outside.reaches(HOST, 8080, inside.listens(80)) == OUTSIDE


class TestAtOnce:
    """Many who connect at the same time, the bridge not being there yet."""

    COUNT = 20

    @pytest.mark.debian("iptables-nft")
    def test_everybody_has_an_address_of_his_own(self, world):
        """Twenty processes that start together all get on, each with its own address and port."""
        world.host.run("iptables-nft", "-P", "FORWARD", "DROP")
        spaces = [Namespace(world._stack) for _ in range(self.COUNT)]
        start, started = os.pipe()
        told, tell = os.pipe()

        def connect(space):
            os.close(started)
            os.read(start, 1)  # the end of the file
            endpoint = bridge.connect(space.descriptor, [Publication(80)])
            (publication,) = endpoint.publications
            os.write(tell, f"{endpoint.address} {publication.host_port}\n".encode())

        with world.host.entered():
            children = [Child(lambda space=space: connect(space)) for space in spaces]
        os.close(tell)
        os.close(start)
        os.close(started)
        codes = [each.wait() for each in children]
        with open(told) as lines:
            found = [line.split() for line in lines]

        assert codes == [0] * self.COUNT
        assert len({address for address, _port in found}) == self.COUNT
        assert len(world.interfaces()) == self.COUNT
        with world.host.entered(), Socket(nftables.PROTOCOL) as kernel:
            assert is_complete(kernel)
        assert len(world.host.run("iptables-nft", "-S", "FORWARD").splitlines()) == 3


def is_complete(kernel: Socket) -> bool:
    """Whether the table has each of its rules once."""
    found = kernel.ask(*(nftables.get_chain(ruleset.TABLE, name) for name in ruleset.CHAINS))
    return [nftables.parse_chain(body)[0] for (body,) in found] == list(ruleset.CHAINS.values())


class TestEnd:
    """What is left when a container has ended, or its process was killed."""

    def test_disconnect(self, world):
        """Ports are free at once, and the rest is gone with the namespace."""
        inside, endpoint = world.container(web(8080), Publication(53, "udp"))
        with world.host.entered():
            bridge.disconnect(endpoint)

        assert world.published() == []
        world.host.listens(8080).close()
        inside.close()
        until(lambda: world.interfaces() == [])

    def test_disconnect_where_all_is_gone(self, world):
        """Disconnecting after somebody emptied the firewall closes the sockets all the same."""
        _inside, endpoint = world.container(web(8080))
        with world.host.entered(), Socket(nftables.PROTOCOL) as kernel:
            delete = netlink.Request(0xA02, 0, nftables.new_table(ruleset.TABLE).body, "delete")
            kernel.ask(*nftables.batch([delete]))
            bridge.disconnect(endpoint)

        world.host.listens(8080).close()

    def test_a_killed_process_blocks_nobody(self, world):
        """A port of a process that was killed is free, and leads to whoever has it next."""
        space = Namespace(world._stack)

        def connect_and_die():
            bridge.connect(space.descriptor, [web(8080)])
            kill_myself()

        with world.host.entered():
            assert outcome(connect_and_die) == -9
        assert len(world.published()) == 1
        inside, _endpoint = world.container(web(8080))

        assert world.outside.reaches(HOST, 8080, inside.listens(80)) == OUTSIDE
        assert len(world.published()) == 1

    def test_a_killed_process_gives_its_port_to_the_host(self, world):
        """A port of a container that was killed is the host's again when the next one connects."""
        gone, endpoint = world.container(web(8080))
        for held in endpoint.held:
            held.close()
        gone.close()
        until(lambda: world.interfaces() == [])

        world.container()

        assert world.outside.reaches(HOST, 8080, world.host.listens(8080)) == OUTSIDE

    def test_a_used_address_publishes_nothing(self, world, monkeypatch):
        """Whoever gets the address of a killed container does not get its published ports."""
        monkeypatch.setattr(addresses, "candidate", lambda _chance: addresses.number("10.99.7.7"))
        inside, endpoint = world.container(web(8080))
        for held in endpoint.held:
            held.close()
        inside.close()
        until(lambda: world.interfaces() == [])

        _inside, endpoint = world.container()

        assert endpoint.address == "10.99.7.7"
        assert world.published() == []

    def test_sweep(self, world):
        """Sweeping takes the ports of those who are gone, and leaves those who are there."""
        gone, _endpoint = world.container(web(8080))
        world.container(web(8081))
        gone.close()
        until(lambda: len(world.interfaces()) == 1)

        with world.host.entered():
            bridge.sweep()

        assert [element.key[4:6] for element in world.published()] == [(8081).to_bytes(2, "big")]

    def test_sweep_where_nothing_was_made(self, world):
        """Without a table there is nothing to sweep."""
        with world.host.entered():
            bridge.sweep()

        assert world.published() == []

    def test_an_address_that_is_taken(self, world, monkeypatch):
        """An address that somebody has is passed over."""
        tried = iter(["10.99.7.7", "10.99.7.7", "10.99.7.8"])
        monkeypatch.setattr(addresses, "candidate", lambda _chance: addresses.number(next(tried)))

        assert [world.container()[1].address for _ in range(2)] == ["10.99.7.7", "10.99.7.8"]


class TestRepair:
    """What others change is put right by the next who connects."""

    @pytest.mark.parametrize(
        ("name", "value", "wanted"),
        [
            ("ipv4/ip_forward", 0, "1"),
            ("ipv4/conf/lk0/rp_filter", 1, "2"),
            ("ipv4/conf/lk0/route_localnet", 0, "1"),
        ],
    )
    def test_settings(self, world, name, value, wanted):
        """The settings that the bridge needs are set again."""
        world.container()
        world.host.set(name, value)

        world.container()

        assert world.host.get(name) == wanted

    def test_the_bridge_is_down(self, world):
        """A bridge that was turned off is turned on."""
        world.container()
        world.host.run("ip", "link", "set", "lk0", "down")

        inside, endpoint = world.container()

        assert world.host.reaches(endpoint.address, 80, inside.listens(80)) == "10.99.0.1"

    def test_rules_are_missing(self, world):
        """A table without one of its chains' rules gets all of them, and keeps what is published."""
        inside, _endpoint = world.container(web(8080))
        with world.host.entered(), Socket(nftables.PROTOCOL) as kernel:
            kernel.ask(*nftables.batch([nftables.flush_chain(ruleset.TABLE, "prerouting")]))
            assert not is_complete(kernel)

            world.container()

            assert is_complete(kernel)
        assert world.outside.reaches(HOST, 8080, inside.listens(80)) == OUTSIDE

    def test_rules_of_another_version(self, world, monkeypatch):
        """The chains of another version of layerkit are replaced, with what is published kept."""
        monkeypatch.setattr(ruleset, "MARK", "layerkit 0")
        world.container(web(8080))
        monkeypatch.undo()

        world.container()

        with world.host.entered(), Socket(nftables.PROTOCOL) as kernel:
            ((body,),) = kernel.ask(nftables.get_chain(ruleset.TABLE, "guard"))
            assert nftables.parse_chain(body)[2] == nftables.commented(ruleset.MARK)
            assert is_complete(kernel)
        assert len(world.published()) == 1


class TestFailure:
    """What happens where the kernel cannot do it."""

    @pytest.fixture
    def no_firewall(self, monkeypatch):
        """A kernel without nf_tables."""

        def refuse(_kernel):
            raise OSError(errno.EOPNOTSUPP, "Operation not supported", "make nftables table")

        monkeypatch.setattr(firewall, "ensure", refuse)

    def test_publishing_without_a_firewall(self, world, no_firewall):
        """A port cannot be published without nf_tables; nothing is left of the attempt."""
        with pytest.raises(SandboxError, match="make nftables table: Operation not supported"):
            world.container(web(8080))

        assert world.interfaces() == []
        world.host.listens(8080).close()

    def test_connecting_without_a_firewall(self, world, no_firewall):
        """Without published ports the container gets its address, and a warning."""
        inside, endpoint = world.container()

        assert world.host.reaches(endpoint.address, 80, inside.listens(80)) == "10.99.0.1"
        assert endpoint.warnings == (
            "containers reach only this host: make nftables table: Operation not supported",
        )
