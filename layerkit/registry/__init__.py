"""Registries: what they have, fetched over HTTP and checked."""

from __future__ import annotations

from layerkit.registry.client import Client
from layerkit.registry.credentials import Credentials, Lookup, anonymous
from layerkit.registry.keyring import Keyring, from_documents
from layerkit.registry.limits import Limits
from layerkit.registry.stream import BlobStream

__all__ = [
    "BlobStream",
    "Client",
    "Credentials",
    "Keyring",
    "Limits",
    "Lookup",
    "anonymous",
    "from_documents",
]
