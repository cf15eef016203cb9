"""Logout: the credentials for a registry are forgotten."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from layerkit.registry.authstore import AuthStore
from layerkit.registry.credentials import key_of

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Logout:
    """What became of a login: the `key` it was kept under, and whether there was one."""

    key: str
    existed: bool


def logout(registry: str, path: Path) -> Logout:
    """Forget the credentials for a registry in the file at `path` and in its helper.

    Raises `AuthError` if the helper fails, `LayerkitError` if the file cannot be changed.
    """
    return Logout(key_of(registry), AuthStore(path).remove(registry))
