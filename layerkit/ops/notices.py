"""What registries want their users to know, told once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layerkit.events import Notice

if TYPE_CHECKING:
    from layerkit.events import Observer
    from layerkit.registry.client import Client


def tell_warnings(client: Client, observe: Observer) -> None:
    """Tell of each warning in the answers since this was called last."""
    for text in client.new_warnings():
        observe(Notice("warning", text))
