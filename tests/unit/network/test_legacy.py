"""The table of iptables-legacy as the kernel gives it."""

from __future__ import annotations

import struct

import pytest

from layerkit.network import legacy


@pytest.mark.parametrize("verdict", [-1, -2], ids=["DROP", "ACCEPT"])
def test_the_policy_of_a_chain(verdict):
    """A policy is the verdict of the entry that a chain ends with."""
    entry = bytearray(112 + 40)
    struct.pack_into("=HH", entry, 88, 112, len(entry))
    struct.pack_into("=H", entry, 112, 40)
    struct.pack_into("=i", entry, 112 + 32, verdict)

    assert legacy.policy_at(bytes(200) + entry, 200) == verdict


def test_no_legacy_table(tmp_path, monkeypatch):
    """Where the kernel has no such tables there is nothing to warn of."""
    monkeypatch.setattr(legacy, "_TABLES", str(tmp_path / "missing"))

    assert legacy.warnings() == ()
