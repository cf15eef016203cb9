"""Connect: a client for registries, from what the caller found in its configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layerkit.registry import Client, Files, Places, from_documents, registries_conf

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Client", "Files", "Places", "connect", "full_name"]


def connect(credentials: Iterable[tuple[str, str]], proxies: Mapping[str, str]) -> Client:
    """A client with the credentials in these files (path and text; the first has the last word).

    `proxies` has URLs for the schemes "http" and "https". Raises `UsageError` for a file that has
    no credentials in the form docker writes them.
    """
    return Client(from_documents(credentials), proxies=proxies)


def full_name(files: Files, name: str) -> str:
    """The image name that `name` is an alias of in these files, else `name` itself.

    Raises `UsageError` for a file that is wrong.
    """
    return registries_conf.load(files).full_name(name)
