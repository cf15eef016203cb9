"""The user namespace in which users who are not root work on containers, as root of it.

It has all ids that the user has: those of /etc/subuid and /etc/subgid, else only the user's own. A
process that went there stays; from then on all is as for root.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from layerkit.errors import LayerkitError, UsageError

if TYPE_CHECKING:
    from layerkit.ops.home import Home
    from layerkit.store.records import ContainerRecord

_CANNOT = "cannot work on containers without root"


def enter(home: Home, network: str = "") -> None:
    """Make this process root of a user namespace, unless it is root; it never comes back.

    With the `network` mode of a container that runs it is that one's namespace, to whom the network
    belongs. Raises `UsageError` where users may have none. The process must have one thread.
    """
    if os.geteuid() == 0:
        return
    from layerkit.ops import containers, states  # noqa: PLC0415  root needs none of it

    home.close()  # not to be open during a fork
    other = network.partition(":")[2]
    if other:
        container = containers.find_container(home, other)
        if states.read(home, container).is_running:
            join(home, container)
            return
    _enter_new()


def _enter_new() -> None:
    from layerkit.snapshot import idmap, kernel, userns  # noqa: PLC0415  root needs none of it

    if reason := kernel.no_user_namespaces():
        raise UsageError(f"{_CANNOT}: that needs {reason}", hint="run it with sudo")
    ranges = idmap.of_this_user()
    choices = [*([] if ranges is None else [ranges]), idmap.of_this_user_alone()]
    try:
        found = userns.enter(choices)
    except OSError as error:
        raise UsageError(
            f"{_CANNOT}: the kernel gives no user namespace: {error.strerror}",
            hint="run it with sudo",
        ) from None
    if found is None:
        raise UsageError(f"{_CANNOT}: newuidmap or newgidmap refused to map the user's ids")


def enter_if_possible(home: Home) -> None:
    """As `enter`, for what can be done without it, as long as no file belongs to other ids."""
    with contextlib.suppress(LayerkitError):
        enter(home)


def enter_for(home: Home, *texts: str) -> None:
    """As `enter_if_possible`, where one of the texts names a container or a snapshot of one."""
    if os.geteuid() == 0:
        return
    from layerkit.ops import containers  # noqa: PLC0415  as above

    for text in texts:
        with contextlib.suppress(LayerkitError):
            containers.find_container(home, text.partition("@")[0])
            enter(home)


def join(home: Home, container: ContainerRecord) -> None:
    """As `enter`, into the namespace of a container; raises `ConflictError` when it does not run."""
    if os.geteuid() == 0:
        return
    from layerkit import linux  # noqa: PLC0415  as above
    from layerkit.ops import connecting  # noqa: PLC0415  as above

    target = connecting.first_process(home, container)
    home.close()
    try:
        linux.setns(target, linux.CLONE_NEWUSER)
    except OSError as error:
        raise UsageError(
            f"cannot enter the user namespace of container {container.name}: {error.strerror}"
        ) from None
    finally:
        os.close(target)
