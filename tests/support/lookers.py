"""Looking into images and containers as the commands do it, on a state directory of the test."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from layerkit import reference as references
from layerkit.events import Notice, ignore
from layerkit.limits import DEFAULT
from layerkit.oci import Platform
from layerkit.ops import containers
from layerkit.ops.container_config import ContainerConfig
from layerkit.ops.home import Home
from layerkit.ops.images import find_image
from layerkit.ops.look import Looker
from layerkit.ops.pull import pull
from layerkit.ops.wishes import Wishes
from layerkit.registry import Client, Limits
from layerkit.sandbox.spec import ProcessSpec

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from layerkit import limits
    from layerkit.events import Event
    from layerkit.store.records import ContainerRecord

PLATFORM = Platform("linux", "amd64")


@contextmanager
def looker(
    root: Path, notes: list[str] | None = None, bounds: limits.Limits = DEFAULT
) -> Iterator[Looker]:
    """A `Looker` on the state directory at `root`; what it tells goes to `notes`, `bounds` hold."""

    def observe(event: Event) -> None:
        if isinstance(event, Notice) and notes is not None:
            notes.append(f"{event.severity}: {event.text}")

    with (
        Home(root, bounds) as home,
        Looker(home, connect=client, platform=PLATFORM, observe=observe) as opened,
    ):
        yield opened


def client() -> Client:
    """A client without credentials and proxies, which does not wait between its attempts."""
    return Client(limits=Limits(first_wait=0))


def bring(root: Path, name: str) -> str:
    """Pull an image; give its name back."""
    with Home(root) as home, client() as registry:
        pull(home, references.parse(name), client=registry, platform=PLATFORM, observe=ignore)
    return name


def make_container(root: Path, image: str, name: str) -> Path:
    """A container that never ran; its upper directory, to put changes in."""
    config = ContainerConfig(ProcessSpec(("sh",), ()), "host", Wishes())
    with Home(root) as home:
        record: ContainerRecord = containers.create(
            home,
            containers.Origin(find_image(home, image), image),
            container_id=containers.new_id(),
            name=name,
            config=config,
            texts={},
        )
        return containers.upper_of(home, record)
