"""layerkit: container images as layers, without a daemon."""

from __future__ import annotations

__version__ = "0.1.0"
