"""State directories with images in them, and containers whose root is mounted, not run."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from layerkit import platforms
from layerkit.ops import containers, uppers, views
from layerkit.ops.container_config import ContainerConfig
from layerkit.ops.load import load
from layerkit.ops.wishes import Networking, Wishes
from layerkit.sandbox.spec import ProcessSpec
from layerkit.snapshot.layered import LayeredView
from support import tars
from support.overlays import shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from layerkit.ops.home import Home
    from layerkit.store.records import ContainerRecord, ImageRecord

AMD64 = platforms.parse("linux/amd64")
CONFIG = ContainerConfig(
    ProcessSpec(("sh", "-c", "true"), ("A=b",), user="0:0"),
    "box",
    Wishes(networking=Networking("none")),
)
TEXTS = {"hosts": "127.0.0.1 box\n", "hostname": "box\n", "resolv.conf": ""}


def load_layers(
    home: Home, layout: Path, layers: Iterable[tars.Layer], *, name: str = "app:1"
) -> ImageRecord:
    """The image of these layers, loaded from a layout that is made for it at `layout`."""
    tars.oci_layout(layout, layers, name=name)
    (loaded,) = load(home, layout, platform=AMD64)
    return home.store.database.images_by_id(loaded.id.hex)[0]


def create(
    home: Home,
    image: ImageRecord,
    *,
    name: str | None = None,
    image_name: str = "app:1",
    driver: str = "overlay",
) -> ContainerRecord:
    """A container of an image, made as `run` makes it."""
    return containers.create(
        home,
        containers.Origin(image, image_name, driver),
        container_id=containers.new_id(),
        name=name,
        config=CONFIG,
        texts=TEXTS,
    )


@contextmanager
def root_of(
    home: Home, image: ImageRecord, container: ContainerRecord, place: Path
) -> Iterator[Path]:
    """The container's root, mounted at `place` while the block runs."""
    folder = containers.folder_of(home, container)
    record = containers.find_container(home, container.id)
    view = views.of_image(home, image, home.driver(record.driver))
    with shown(view.root(folder, uppers.frozen(home, record.chain)), place) as root:
        yield root


def layered(home: Home, image: ImageRecord) -> LayeredView:
    """The image's view by the overlay driver."""
    view = views.of_image(home, image, home.driver("overlay"))
    assert isinstance(view, LayeredView)
    return view
