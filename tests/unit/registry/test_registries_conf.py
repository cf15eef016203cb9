"""podman's registries.conf, by the rules of containers-registries.conf(5)."""

from pathlib import Path

import pytest

from layerkit import reference
from layerkit.errors import UsageError
from layerkit.registry import registries_conf
from layerkit.registry.endpoints import ALL, READ, TLS, Action
from layerkit.registry.registries_conf import Files

PATH = Path("/etc/containers/registries.conf")
DROP_INS = Path("/etc/containers/registries.conf.d")
DIGEST = "sha256:" + "a" * 64

MANUAL = """
unqualified-search-registries = ["example.com"]

[[registry]]
prefix = "example.com/foo"
insecure = false
blocked = false
location = "internal-registry-for-example.com/bar"

[[registry.mirror]]
location = "example-mirror-0.local/mirror-for-foo"

[[registry.mirror]]
location = "example-mirror-1.local/mirrors/foo"
insecure = true

[[registry]]
location = "registry.com"

[[registry.mirror]]
location = "mirror.registry.com"
"""


def known(host):
    """What is known about a host: an authority by its name."""
    return TLS((Path("/certs") / host,))


@pytest.fixture
def load(fs):
    """Reads a text as registries.conf, and more as drop-ins by their names."""

    def read(text, **drop_ins):
        fs.create_file(PATH, contents=text)
        for name, more in drop_ins.items():
            fs.create_file(DROP_INS / f"{name}.conf", contents=more)
        return registries_conf.load(Files((Path("/missing.conf"), PATH), (DROP_INS,)))

    return read


@pytest.fixture
def endpoints(load):
    """The endpoints of an image, None if the text says nothing about it."""

    def read(text, name, **drop_ins):
        image = reference.parse(name)
        found = load(text, **drop_ins).find(image)
        return found and found.endpoints(image, known)

    return read


def shown(endpoints):
    """What each endpoint is asked for, and where."""
    return [
        ("push " if each.actions == Action.PUSH else "read ") + f"{each.base}/{each.repository}"
        for each in endpoints
    ]


def test_the_example_of_the_manual(endpoints):
    """C11: two mirrors, one of them insecure, then the new location; a push is not redirected."""
    found = endpoints(MANUAL, "example.com/foo/image")

    assert shown(found) == [
        "read https://example-mirror-0.local/v2/mirror-for-foo/image",
        "read https://example-mirror-1.local/v2/mirrors/foo/image",
        "read http://example-mirror-1.local/v2/mirrors/foo/image",
        "read https://internal-registry-for-example.com/v2/bar/image",
        "push https://example.com/v2/foo/image",
    ]
    assert [each.actions for each in found[:4]] == [READ, READ, READ, READ | Action.REFERRERS]
    assert [each.is_origin for each in found] == [False] * 4 + [True]
    assert [each.tls.verify for each in found] == [True, False, True, True, True]


def test_a_registry_that_stays_where_it_is(endpoints):
    """C11: without another location, the registry itself is asked last, for everything."""
    found = endpoints(MANUAL, "registry.com/image")

    assert shown(found) == [
        "read https://mirror.registry.com/v2/image",
        "read https://registry.com/v2/image",
    ]
    assert (found[-1].actions, found[-1].is_origin) == (ALL, True)
    assert [each.tls for each in found] == [known("mirror.registry.com"), known("registry.com")]
    assert [each.namespace for each in found] == ["", ""]


PREFIXES = """
[[registry]]
location = "e.com"
[[registry.mirror]]
location = "m.io/host"
[[registry]]
prefix = "e.com/a"
location = "m.io/a"
[[registry]]
prefix = "e.com/a/b"
location = "m.io/ab"
[[registry]]
prefix = "e.com/a/b:1"
location = "m.io/tag:2"
[[registry]]
prefix = "*.e.com"
location = "m.io/any"
[[registry]]
prefix = "*.x.e.com"
[[registry.mirror]]
location = "m.io/x"
[[registry]]
prefix = "docker.io/library"
location = "m.io/hub"
"""


@pytest.mark.parametrize(
    ("name", "where"),
    [
        pytest.param("e.com/c", "https://m.io/v2/host/c", id="C11-host"),
        pytest.param("e.com/a", "https://m.io/v2/a", id="C11-whole-name"),
        pytest.param("e.com/a:1", "https://m.io/v2/a", id="C11-tag"),
        pytest.param(f"e.com/a@{DIGEST}", "https://m.io/v2/a", id="C11-digest"),
        pytest.param("e.com/a/x", "https://m.io/v2/a/x", id="C11-namespace"),
        pytest.param("e.com/ax", "https://m.io/v2/host/ax", id="C11-part-of-a-word"),
        pytest.param("e.com/a/b/c", "https://m.io/v2/ab/c", id="C11-longest"),
        pytest.param("e.com/a/b", "https://m.io/v2/ab", id="C11-other-tag"),
        pytest.param("e.com/a/b:1", "https://m.io/v2/tag", id="C11-prefix-with-tag"),
        pytest.param("y.e.com/a", "https://m.io/v2/any/a", id="C11-wildcard"),
        pytest.param("z.y.e.com/a", "https://m.io/v2/any/a", id="C11-wildcard-deep"),
        pytest.param("y.x.e.com/a", "https://m.io/v2/x/a", id="C11-wildcard-no-location"),
        pytest.param("centos", "https://m.io/v2/hub/centos", id="C11-official-image"),
    ],
)
def test_the_longest_prefix_has_the_word(endpoints, name, where):
    """C11: prefixes end where a part of the name ends; what follows is kept."""
    found = endpoints(PREFIXES, name)

    assert f"{found[0].base}/{found[0].repository}" == where


@pytest.mark.parametrize(
    "name", ["e.com:5000/a", "xe.com/a", "e.com.io/a", "user/centos", "r.io/a"]
)
def test_a_prefix_is_not_for_other_names(endpoints, name):
    """C11: another port, another host, another namespace."""
    assert endpoints(PREFIXES, name) is None


def test_a_wildcard_without_location_rewrites_nothing(endpoints):
    """C11: the registry itself is asked last, by its own name."""
    found = endpoints(PREFIXES, "y.x.e.com/a")

    assert shown(found)[1:] == ["read https://y.x.e.com/v2/a"]
    assert found[1].actions == ALL


USES = """
[[registry]]
location = "r.io"
[[registry.mirror]]
location = "all.io"
[[registry.mirror]]
location = "also.io"
pull-from-mirror = "all"
[[registry.mirror]]
location = "digest.io"
pull-from-mirror = "digest-only"
[[registry.mirror]]
location = "tag.io"
pull-from-mirror = "tag-only"
"""
BY_DIGEST = """
[[registry]]
location = "r.io"
mirror-by-digest-only = true
[[registry.mirror]]
location = "m.io"
"""


@pytest.mark.parametrize(
    ("text", "name", "hosts"),
    [
        pytest.param(USES, "r.io/a:1", ["all", "also", "tag", "r"], id="C11-tag"),
        pytest.param(USES, f"r.io/a@{DIGEST}", ["all", "also", "digest", "r"], id="C11-digest"),
        pytest.param(USES, f"r.io/a:1@{DIGEST}", ["all", "also", "digest", "r"], id="C11-both"),
        pytest.param(BY_DIGEST, "r.io/a:1", ["r"], id="C11-only-digests-tag"),
        pytest.param(BY_DIGEST, f"r.io/a@{DIGEST}", ["m", "r"], id="C11-only-digests-digest"),
    ],
)
def test_mirrors_for_tags_and_for_digests(endpoints, text, name, hosts):
    """C11: `pull-from-mirror` and `mirror-by-digest-only`."""
    assert [each.registry for each in endpoints(text, name)] == [f"{host}.io" for host in hosts]


def test_an_insecure_registry(endpoints):
    """C11: a registry's own `insecure` is not its mirrors'."""
    text = '[[registry]]\nlocation="r.io"\ninsecure=true\n[[registry.mirror]]\nlocation="m.io"'

    assert shown(endpoints(text, "r.io/a")) == [
        "read https://m.io/v2/a",
        "read https://r.io/v2/a",
        "read http://r.io/v2/a",
    ]


@pytest.mark.parametrize("prefix", ["bad.io", "bad.io/a", "*.bad.io"])
def test_a_blocked_registry_is_refused(load, prefix):
    """C11: the message names the file and what it blocks."""
    configuration = load(f'[[registry]]\nprefix="{prefix}"\nlocation="m.io"\nblocked=true')
    name = "x.bad.io/a" if prefix[0] == "*" else "bad.io/a"

    with pytest.raises(UsageError) as caught:
        configuration.find(reference.parse(name))

    assert str(caught.value) == f"{name}:latest is blocked: {PATH} blocks {prefix}"


def test_a_longer_prefix_may_be_allowed(load):
    """C11: only the longest match counts, for blocking too."""
    configuration = load("""
        [[registry]]
        location = "r.io"
        blocked = true
        [[registry]]
        location = "r.io/good"
    """)

    assert configuration.find(reference.parse("r.io/good/a")).prefix == "r.io/good"


def test_later_files_replace_what_earlier_ones_say(endpoints):
    """C11: drop-ins in the order of their names, a prefix at a time."""
    text = '[[registry]]\nprefix="{}"\nlocation="{}"'

    assert endpoints(
        text.format("r.io", "main.io"),
        "r.io/a",
        b=text.format("r.io", "second.io"),
        a=text.format("r.io", "first.io"),
        c=text.format("other.io", "third.io"),
    )[0].registry == "second.io"  # fmt: skip


def test_the_first_main_file_counts_alone(fs):
    """C11: a user's file takes the place of the machine's, drop-ins are for both."""
    fs.create_file("/home/registries.conf", contents='[[registry]]\nlocation="home.io"')
    fs.create_file(PATH, contents='[[registry]]\nlocation="etc.io"')
    fs.create_file(DROP_INS / "x.conf", contents='[[registry]]\nlocation="drop.io"')
    fs.create_file(DROP_INS / "x.conf.bak", contents="not = asked = for")

    found = registries_conf.load(Files((Path("/home/registries.conf"), PATH), (DROP_INS,)))

    assert set(found.registries) == {"home.io", "drop.io"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[registry]]", "registry #1.location: missing, and so is prefix"),
        ('[[registry]]\nprefix="r.io"', "registry #1.location: missing"),
        ('[[registry]]\nlocation="https://r.io"', "registry #1.location: got 'https://r.io'"),
        ('[[registry]]\nprefix="a.*.io"\nlocation="r.io"', "registry #1.prefix: got 'a.*.io'"),
        ('[[registry]]\nprefix="*.io/a"\nlocation="r.io"', "registry #1.prefix: got '*.io/a'"),
        ('[[registry]]\nprefix="*"\nlocation="r.io"', "registry #1.prefix: got '*', wanted"),
        ('[[registry]]\nlocation="r.io"\nblocked=1', "registry #1.blocked: got 1, wanted true"),
        ('[[registry]]\nlocation="r.io"\nmirror=1', "registry #1.mirror: got 1, wanted a list"),
        (
            '[[registry]]\nlocation="r.io"\n[[registry.mirror]]\ninsecure=true',
            "registry #1.mirror #1.location: missing",
        ),
        (
            '[[registry]]\nlocation="r.io"\n[[registry.mirror]]\npull-from-mirror="x"',
            "registry #1.mirror #1.pull-from-mirror: got 'x', wanted one of all, digest-only",
        ),
        (
            BY_DIGEST + 'pull-from-mirror="all"',
            "registry #1.mirror #1.pull-from-mirror: not allowed with mirror-by-digest-only",
        ),
        ("[registries.search]", "registries: the format of version 1"),
        ('[aliases]\n"r.io/a" = "s.io/a"', 'aliases."r.io/a": wanted a short name'),
        ('[aliases]\na = "b"', "aliases.a: 'b' does not begin with a registry"),
        ('[aliases]\na = "r.io/B"', "aliases.a: invalid image name 'r.io/B'"),
        ('[aliases]\na = "r.io/b:1"', "aliases.a: got 'r.io/b:1', wanted no tag and no digest"),
        (f'[aliases]\na = "r.io/b@{DIGEST}"', "aliases.a: got 'r.io/b@sha256"),
    ],
)
def test_a_wrong_value_is_named(load, text, message):
    """The message has file, table and key."""
    with pytest.raises(UsageError) as caught:
        load(text)

    assert str(caught.value).startswith(f"cannot use {PATH}: {message}")


@pytest.mark.parametrize("location", ["m", "m/x", "r.io/UP", "r.io:1:2"])
def test_a_location_has_to_make_a_name(endpoints, location):
    """What does not begin with a registry would be taken for an image on Docker Hub."""
    with pytest.raises(UsageError, match=f"^cannot use {PATH}: registry #1.location: "):
        endpoints(f'[[registry]]\nprefix="r.io"\nlocation="{location}"', "r.io/a")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("ubi9", "registry.access.redhat.com/ubi9"),
        ("ubi9:9.4", "registry.access.redhat.com/ubi9:9.4"),
        (f"ubi9@{DIGEST}", f"registry.access.redhat.com/ubi9@{DIGEST}"),
        (f"ubi9:1@{DIGEST}", f"registry.access.redhat.com/ubi9:1@{DIGEST}"),
        ("team/tool:1", "r.io/tools/tool:1"),
        ("gone:1", "gone:1"),
        ("centos:7", "centos:7"),
        ("r.io/ubi9", "r.io/ubi9"),
        ("localhost:5000/ubi9", "localhost:5000/ubi9"),
        ("", ""),
    ],
)
def test_short_names(load, text, wanted):
    """Only an alias changes a name; without one a word means docker's image."""
    configuration = load(
        """
        unqualified-search-registries = ["quay.io"]
        [aliases]
        ubi9 = "other.io/ubi9"
        "team/tool" = "r.io/tools/tool"
        gone = "r.io/gone"
        """,
        a='[aliases]\nubi9 = "registry.access.redhat.com/ubi9"\ngone = ""',
    )

    assert configuration.full_name(text) == wanted
