"""Run: a new container of an image, in the foreground, until its command ends."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from layerkit.errors import NotFoundError, SandboxError, UsageError
from layerkit.events import ignore
from layerkit.ops import containers, history, hostfiles, snapshots, uppers, views
from layerkit.ops.containers import Origin
from layerkit.ops.images import find_image
from layerkit.sandbox import process as processes
from layerkit.sandbox import terminal
from layerkit.sandbox.plan import plan
from layerkit.sandbox.process import Stdio
from layerkit.sandbox.spec import Overrides, SandboxSpec, process_spec
from layerkit.store.files import Lock, guarded

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Literal

    from layerkit.events import Observer
    from layerkit.ops.home import Home
    from layerkit.sandbox.process import ExitStatus
    from layerkit.store.records import ContainerRecord, ImageRecord

__all__ = ["RunOptions", "Stdio", "run"]


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What the user asks for; None where the image decides.

    With `snapshot`, that is what it starts from, and its container's image decides.
    """

    image: str = ""
    snapshot: str | None = None
    command: tuple[str, ...] = ()
    name: str | None = None
    entrypoint: str | None = None
    env: tuple[str, ...] = ()
    workdir: str | None = None
    user: str | None = None
    hostname: str | None = None
    tty: bool = False
    remove: bool = False
    network: Literal["none", "host"] = "none"


def run(
    home: Home,
    options: RunOptions,
    *,
    stdio: Stdio,
    pull: Callable[[str], ImageRecord],
    explain: Callable[[str], None] | None = None,
    observe: Observer = ignore,
) -> ExitStatus:
    """Make a container, run its process to the end, and give the exit status.

    `pull` brings the image when it is not here; `explain` is told the steps of the start before
    they are made, `observe` what the file system does not keep of the image. Raises `SandboxError` and its kinds when the process could not be started, and
    what `pull` and the store raise.
    """
    _require_root()
    if options.tty and stdio.stdin is not None:
        terminal.require_terminal(stdio.stdin)
    origin = _origin(home, options, pull)
    container, spec = _create(home, origin, options, observe)
    if explain is not None:
        _explain(spec, explain)
    try:
        return _run(home, container, spec, stdio)
    finally:
        if options.remove:
            containers.remove_container(home, container)


def _require_root() -> None:
    if os.geteuid() != 0:
        raise UsageError(
            "cannot run a container: that needs root", hint="run it with sudo, or use unpack"
        )


def _origin(home: Home, options: RunOptions, pull: Callable[[str], ImageRecord]) -> Origin:
    if options.snapshot is not None:
        return snapshots.origin(home, snapshots.find(home, options.snapshot))
    try:
        image = find_image(home, options.image)
    except NotFoundError:
        image = pull(options.image)
    return Origin(image, options.image)


def _create(
    home: Home, origin: Origin, options: RunOptions, observe: Observer
) -> tuple[ContainerRecord, SandboxSpec]:
    image = origin.image
    container_id = containers.new_id()
    hostname = options.hostname or (
        os.uname().nodename if options.network == "host" else container_id[:12]
    )
    overrides = Overrides(
        entrypoint=None if options.entrypoint is None else (options.entrypoint,),
        command=options.command,
        env=options.env,
        workdir=options.workdir,
        user=options.user,
    )
    runtime = history.read_config(home, image).runtime
    process = process_spec(runtime, overrides, hostname=hostname, terminal=options.tty)
    driver = home.driver(origin.driver)
    view = views.of_image(home, image, driver, observe)
    config = containers.ContainerConfig(
        args=process.args,
        env=process.env,
        cwd=process.cwd,
        user=process.user,
        hostname=hostname,
        tty=options.tty,
        network=options.network,
    )
    container = containers.create(
        home,
        replace(origin, driver=driver.name),
        container_id=container_id,
        name=options.name,
        config=config,
        texts=hostfiles.texts(hostname, options.network),
    )
    folder = containers.folder_of(home, container)
    return container, SandboxSpec(
        root=view.root(folder, uppers.frozen(home, origin.chain), volatile=options.remove),
        process=process,
        hostname=hostname,
        terminal=options.tty,
        network=options.network,
        binds=containers.binds(home, container),
    )


def _explain(spec: SandboxSpec, explain: Callable[[str], None]) -> None:
    for step in plan(spec):
        explain(str(step))


def _run(home: Home, container: ContainerRecord, spec: SandboxSpec, stdio: Stdio) -> ExitStatus:
    lock = Lock(containers.folder_of(home, container) / "lock")
    with guarded("lock container"):
        lock.acquire()
    try:
        started = time.time()
        containers.write_state(home, container, started=started)
        code = SandboxError.exit_code
        try:
            status = processes.run(spec, stdio)
            code = status.shell_code
        except SandboxError as error:
            code = error.exit_code
            raise
        finally:
            containers.write_state(home, container, started=started, exit_code=code)
        return status
    finally:
        lock.release()
