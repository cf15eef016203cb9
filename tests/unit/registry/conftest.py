"""A registry, and a client whose patience is scaled for tests."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.registry import PASSWORD, USERNAME, TestRegistry

from layerkit import reference
from layerkit.registry import Client, Credentials, Limits
from layerkit.registry.credentials import only

LIMITS = Limits(connect=5, read=20, attempts=3, first_wait=0.001, longest_wait=5)


@pytest.fixture
def registry():
    """A registry on loopback where everybody may pull."""
    with TestRegistry() as registry:
        yield registry


@pytest.fixture
def other():
    """A second origin, on another port."""
    with TestRegistry() as registry:
        yield registry


@pytest.fixture
def sleeps():
    """The seconds that the client slept."""
    return []


@pytest.fixture
def client(sleeps):
    """A client without credentials that sleeps in name only."""
    with Client(limits=LIMITS, sleep=sleeps.append) as client:
        yield client


@pytest.fixture
def hasty(sleeps):
    """The same client, but a silent registry is given up soon."""
    with Client(limits=replace(LIMITS, read=0.2), sleep=sleeps.append) as client:
        yield client


@pytest.fixture
def known_client(sleeps):
    """A client that has the right credentials for every registry."""
    with Client(only(Credentials(USERNAME, PASSWORD)), LIMITS, sleeps.append) as client:
        yield client


@pytest.fixture
def refer():
    """Makes references: `refer(registry, "app:1")`."""
    return lambda registry, name: reference.parse(f"{registry.host}/{name}")
