"""Registries: what they have, fetched over HTTP and checked."""

from __future__ import annotations

from layerkit.registry.client import Client
from layerkit.registry.credentials import Credentials, Lookup, anonymous
from layerkit.registry.endpoints import Endpoint
from layerkit.registry.keyring import Keyring, from_documents
from layerkit.registry.limits import Limits
from layerkit.registry.places import Places, configured
from layerkit.registry.registries_conf import Files
from layerkit.registry.stream import BlobStream

__all__ = [
    "BlobStream",
    "Client",
    "Credentials",
    "Endpoint",
    "Files",
    "Keyring",
    "Limits",
    "Lookup",
    "Places",
    "anonymous",
    "configured",
    "from_documents",
]
