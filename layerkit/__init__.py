"""layerkit: container images as layers, without a daemon.

What users of the library need is here, and loaded when it is first asked for; docs/library.md shows
it. A name that is not in `__all__` may change from one version to the next.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

__all__ = [
    "Change",
    "Credentials",
    "Home",
    "Inside",
    "Isolation",
    "Kind",
    "LayerkitError",
    "Networking",
    "Node",
    "Stdio",
    "Wishes",
    "changes",
    "compare",
    "connect",
    "layer_changes",
    "list_images",
    "load",
    "open_container",
    "open_home",
    "open_image",
    "pull",
    "read_file",
    "run",
    "walk",
]

_MODULES = {
    "errors": ("LayerkitError",),
    "ops.connect": ("Credentials", "connect"),
    "ops.home": ("Home",),
    "ops.inside": ("Inside",),
    "ops.images": ("list_images",),
    "ops.layer_report": ("layer_changes",),
    "ops.library": (
        "changes", "compare", "load", "open_container", "open_home", "open_image", "pull", "read_file",
        "run",
    ),
    "ops.run": ("Stdio",),
    "ops.wishes": ("Isolation", "Networking", "Wishes"),
    "tree": ("Change", "Kind", "Node", "walk"),
}  # fmt: skip
"""Where each name comes from."""

if TYPE_CHECKING:
    from layerkit.errors import LayerkitError
    from layerkit.ops.connect import Credentials, connect
    from layerkit.ops.home import Home
    from layerkit.ops.images import list_images
    from layerkit.ops.inside import Inside
    from layerkit.ops.layer_report import layer_changes
    from layerkit.ops.library import (
        changes,
        compare,
        load,
        open_container,
        open_home,
        open_image,
        pull,
        read_file,
        run,
    )
    from layerkit.ops.run import Stdio
    from layerkit.ops.wishes import Isolation, Networking, Wishes
    from layerkit.tree import Change, Kind, Node, walk
else:  # a type checker that saw it would take any name

    def __getattr__(name: str) -> object:
        for module, names in _MODULES.items():
            if name in names:
                return getattr(import_module(f"layerkit.{module}"), name)
        raise AttributeError(f"module 'layerkit' has no attribute {name!r}")

    def __dir__() -> list[str]:
        return [*globals(), *__all__]
