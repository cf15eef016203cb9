"""What a container was made with, as its file has it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layerkit import mount, resources
from layerkit.mount import BindMount, TmpfsMount, VolumeMount
from layerkit.ops import wishes
from layerkit.ops.container_config import ContainerConfig, decode, encode
from layerkit.ops.wishes import Isolation, Networking, Wishes
from layerkit.ports import Publication
from layerkit.resources import Device, Limits, Ulimit
from layerkit.sandbox.spec import ProcessSpec

# Hypothesis looks the types of fields up, which the modules import for the type checker only.
NAMES = {"Path": Path, "Publication": Publication, "Device": Device, "Ulimit": Ulimit}
for module in (mount, resources, wishes):
    vars(module).update({**NAMES, "Mount": mount.Mount, **vars(module)})
SURROGATES = st.characters(min_codepoint=0xDC80, max_codepoint=0xDCFF)
TEXT = st.text(st.characters(exclude_categories=["Cs"]) | SURROGATES, max_size=12)
PATHS = TEXT.map(lambda text: Path("/", text.replace("\0", "").strip("/") or "x"))
NUMBERS = st.integers(-1, 1 << 60)


def tuples(of):
    """Tuples of a few of these."""
    return st.lists(of, max_size=3).map(tuple)


def maybe(of):
    """None or one of these."""
    return st.none() | of


PUBLICATIONS = st.builds(
    Publication,
    st.integers(1, 65535),
    st.sampled_from(["tcp", "udp", "sctp"]),
    maybe(st.integers(1, 65535)),
    TEXT,
)
MOUNTS = st.one_of(
    st.builds(BindMount, PATHS, TEXT, st.booleans(), st.booleans(), st.booleans()),
    st.builds(VolumeMount, TEXT, TEXT, st.booleans(), st.booleans()),
    st.builds(TmpfsMount, TEXT, maybe(NUMBERS), st.integers(0, 0o7777), tuples(TEXT)),
)
LIMITS = st.builds(
    Limits,
    memory=maybe(NUMBERS),
    cpus=maybe(st.floats(0.01, 512)),
    cpuset_cpus=maybe(TEXT),
    pids=maybe(NUMBERS),
)
WISHES = st.builds(
    Wishes,
    image=TEXT,
    snapshot=maybe(TEXT),
    command=tuples(TEXT),
    name=maybe(TEXT),
    entrypoint=maybe(TEXT),
    env=tuples(TEXT),
    labels=tuples(st.tuples(TEXT, TEXT)),
    workdir=maybe(TEXT),
    groups=tuples(TEXT),
    tty=st.booleans(),
    stop_timeout=maybe(NUMBERS),
    shm_size=maybe(NUMBERS),
    mounts=tuples(MOUNTS),
    devices=tuples(st.builds(Device, PATHS, TEXT, st.sampled_from(["rwm", "r"]))),
    sysctls=tuples(st.tuples(TEXT, TEXT)),
    limits=LIMITS,
    ulimits=tuples(st.builds(Ulimit, TEXT, NUMBERS, NUMBERS)),
    networking=st.builds(
        Networking,
        TEXT,
        tuples(PUBLICATIONS),
        st.booleans(),
        tuples(TEXT),
        tuples(TEXT),
        tuples(TEXT),
        tuples(st.tuples(TEXT, TEXT)),
    ),
    isolation=st.builds(Isolation, tuples(TEXT), tuples(TEXT), st.booleans(), maybe(TEXT)),
)
PROCESSES = st.builds(ProcessSpec, tuples(TEXT), tuples(TEXT), TEXT, TEXT)
CONFIGS = st.builds(ContainerConfig, PROCESSES, TEXT, WISHES, TEXT)


@given(config=CONFIGS)
def test_a_config_is_read_as_it_was_written(config):
    """Every wish comes back with its type, bytes that are no UTF-8 included."""
    text = encode(config)

    assert decode(text) == config
    assert text.isascii()


def test_the_first_version_is_read():
    """A container from before there were wishes is what it was."""
    values = {
        "args": ["sh", "-c", "a"],
        "env": ["A=b"],
        "cwd": "/srv",
        "user": "app",
        "hostname": "box",
        "tty": True,
        "network": "host",
    }

    config = decode(json.dumps(values).encode())

    assert config.process == ProcessSpec(("sh", "-c", "a"), ("A=b",), "/srv", "app")
    assert (config.hostname, config.network, config.stop_signal) == ("box", "host", "SIGTERM")
    assert config.wishes == Wishes(tty=True, networking=Networking("host"))


def test_a_wish_of_an_earlier_version_is_read():
    """A container from when an OCI runtime could be named is what it was."""
    config = ContainerConfig(ProcessSpec(("sh",), ()), "box", Wishes(tty=True))
    values = json.loads(encode(config))
    values["wishes"]["runtime"] = "/usr/bin/crun"

    assert decode(json.dumps(values).encode()) == config


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"{}", b"[]", b"7", b'{"args": []}', b'{"process": {}, "hostname": 1}', b"\xff"],
    ids=repr,
)
def test_what_is_no_config_is_refused(text):
    """Each kind of damage is one of the errors that readers expect."""
    with pytest.raises((ValueError, TypeError, KeyError)):
        decode(text)
