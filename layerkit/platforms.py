"""Which of an index's manifests fits a machine (image-spec image-index.md; containerd/platforms).

Pure: what machine this is comes as a value.
"""

from __future__ import annotations

import re

from layerkit.errors import NotFoundError, UsageError
from layerkit.oci import INDEX_TYPES, MANIFEST_TYPES, Descriptor, Index, Platform

_PART = re.compile(r"[A-Za-z0-9_.-]+", re.ASCII)
_ALIASES = {
    "x86_64": ("amd64", ""),
    "x86-64": ("amd64", ""),
    "i386": ("386", ""),
    "i486": ("386", ""),
    "i586": ("386", ""),
    "i686": ("386", ""),
    "aarch64": ("arm64", ""),
    "armhf": ("arm", "v7"),
    "armv7l": ("arm", "v7"),
    "armv6l": ("arm", "v6"),
    "armel": ("arm", "v6"),
}
# buildx lists attestations as manifests for this platform.
_UNKNOWN = Platform("unknown", "unknown")


def parse(text: str) -> Platform:
    """The platform `OS/ARCH[/VARIANT]` or `ARCH` spells; raises `UsageError`."""
    parts = text.split("/")
    if len(parts) > 3 or not all(_PART.fullmatch(part) for part in parts):  # noqa: PLR2004
        raise UsageError(f"invalid platform {text!r}: wanted OS/ARCH or OS/ARCH/VARIANT")
    if len(parts) == 1:
        parts.insert(0, "linux")
    return normalize(Platform(*parts))


def normalize(platform: Platform) -> Platform:
    """The same platform with the names that registries use (`x86_64` is `amd64`)."""
    architecture, implied = _ALIASES.get(
        platform.architecture.lower(), (platform.architecture.lower(), "")
    )
    variant = platform.variant.lower() or implied
    if architecture in {"arm", "arm64"} and variant.isdecimal():
        variant = f"v{variant}"
    if architecture == "arm":
        variant = variant or "v7"
    elif (architecture, variant) in {("arm64", "v8"), ("amd64", "v1")}:
        variant = ""
    return Platform(platform.os.lower(), architecture, variant)


def acceptable(wanted: Platform) -> list[Platform]:
    """The platforms whose programs run on `wanted`, best first."""
    wanted = normalize(wanted)
    number = int(wanted.variant[1:]) if re.fullmatch(r"v[0-9]{1,2}", wanted.variant) else 0
    steps = [(wanted.architecture, wanted.variant)]
    match wanted.architecture:
        case "amd64":
            steps += [("amd64", f"v{n}") for n in range(number, 1, -1)]
            steps += [("amd64", ""), ("386", "")]
        case "arm":
            steps += [("arm", f"v{n}") for n in range(number, 4, -1)]
        case "arm64":
            steps += [("arm64", f"v{n}") for n in range(number, 8, -1)]
            steps += [("arm64", ""), *(("arm", f"v{n}") for n in range(8, 4, -1))]
    return [Platform(wanted.os, *step) for step in dict.fromkeys(steps)]


def select(index: Index, wanted: Platform, what: str) -> Descriptor:
    """The manifest (or nested index) of `index` that fits `wanted` best.

    An entry without a platform is taken when nothing names one that fits. `what` names the image
    in the message. Raises `NotFoundError`, listing what the index offers.
    """
    fitting = named(index, wanted)
    if fitting is not None:
        return fitting
    offers = [entry for entry in index.manifests if is_image(entry)]
    for entry in offers:
        if entry.platform is None:
            return entry
    offered = ", ".join(dict.fromkeys(str(entry.platform) for entry in offers)) or "nothing"
    raise NotFoundError(
        f"no manifest of {what} for platform {wanted}: the index offers {offered}",
        hint="choose one of them with --platform",
    )


def named(index: Index, wanted: Platform) -> Descriptor | None:
    """The entry of `index` that names the platform which fits `wanted` best; None if none fits."""
    offers = [entry for entry in index.manifests if entry.platform and is_image(entry)]
    for platform in acceptable(wanted):
        for entry in offers:
            if entry.platform and normalize(entry.platform) == platform:
                return entry
    return None


def is_image(entry: Descriptor) -> bool:
    """Whether the entry may lead to an image, not to an attachment or something unknown."""
    return (
        entry.media_type in (*MANIFEST_TYPES, *INDEX_TYPES, "")
        and not entry.artifact_type
        and not (entry.platform and normalize(entry.platform) == _UNKNOWN)
        and "vnd.docker.reference.type" not in entry.annotations
    )
