"""The shapes of OCI and docker documents as JSON has them; `layerkit.oci` makes values of them.

Only what layerkit reads is here. Null stands for absent, as docker and Go write it.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec


class _Document(msgspec.Struct, rename="camel"):
    """Keys as media_type: mediaType."""


class Platform(_Document):
    """The "platform" of a descriptor in an index."""

    os: str | None = None
    architecture: str | None = None
    variant: str | None = None


class Descriptor(_Document):
    """As image-spec descriptor.md."""

    digest: str
    size: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
    media_type: str | None = None
    platform: Platform | None = None
    annotations: dict[str, str] | None = None
    artifact_type: str | None = None
    data: str | None = None
    urls: list[str] | None = None


class Index(_Document):
    """As image-spec image-index.md."""

    manifests: list[Descriptor]


class Manifest(_Document):
    """As image-spec manifest.md."""

    config: Descriptor
    layers: list[Descriptor] | None  # Go writes null for none


class Runtime(_Document, rename="pascal"):
    """The "config" of an image config."""

    user: str | None = None
    env: list[str] | None = None
    entrypoint: list[str] | None = None
    cmd: list[str] | None = None
    working_dir: str | None = None
    stop_signal: str | None = None
    exposed_ports: dict[str, Any] | None = None
    volumes: dict[str, Any] | None = None
    labels: dict[str, Any] | None = None


class RootFS(msgspec.Struct):
    """The "rootfs" of an image config."""

    diff_ids: list[str] | None = None  # docker leaves it out where there are none
    type: str | None = None


class History(msgspec.Struct):
    """One item of "history" of an image config."""

    created: str | None = None
    created_by: str | None = None
    comment: str | None = None
    empty_layer: bool | None = None


class Config(msgspec.Struct):
    """As image-spec config.md."""

    rootfs: RootFS
    architecture: str | None = None
    os: str | None = None
    variant: str | None = None
    created: str | None = None
    author: str | None = None
    config: Runtime | None = None
    history: list[History] | None = None
