"""The process that becomes the container's program. `begin` never returns."""

from __future__ import annotations

import gc
import os
import sys
from typing import TYPE_CHECKING, NoReturn

from layerkit import linux
from layerkit.errors import LayerkitError
from layerkit.sandbox import messages, process_steps, signals, trampoline
from layerkit.sandbox.become import die_with_parent
from layerkit.sandbox.perform import perform

if TYPE_CHECKING:
    from collections.abc import Sequence

    from layerkit.sandbox.inside import Inside
    from layerkit.sandbox.steps import Step

_FAILED = 1


def begin(inside: Inside, plan: Sequence[Step]) -> NoReturn:
    """Do the steps; what fails is told on the channel. To be called in a fresh child with one thread.

    It dies with its parent, so a monitor that is killed leaves no container behind.
    """
    current = "begin"
    try:
        _isolate()
        if not os.read(inside.lifeline, 1):  # the monitor died before it could tell of us
            os._exit(_FAILED)
        die_with_parent(inside)
        linux.set_undumpable()
        signals.reset()
        inside.trampoline = trampoline.create()
        os.umask(0)
        for step in plan:
            current = str(step)
            _perform(step, inside)
    except BaseException as error:  # noqa: BLE001  nothing may get out of a forked process
        tell(inside.channel, _failure(current, error))
    finally:
        os._exit(_FAILED)


def _isolate() -> None:
    """Make the interpreter load nothing any more: the next file it finds could be the image's."""
    gc.disable()  # a finalizer would close a number that by now is another file
    sys.meta_path.clear()
    sys.path.clear()
    sys.path_hooks.clear()


def _perform(step: Step, inside: Inside) -> None:
    try:
        perform(step, inside)
    except OSError as error:
        if not isinstance(step, process_steps.Execute) or error.errno is None:
            raise
        tell(inside.channel, messages.NotExecuted(error.errno, inside.found))


def _failure(step: str, error: BaseException) -> messages.Failed:
    match error:
        case LayerkitError():
            return messages.Failed("", error.message)
        case OSError():
            return messages.Failed(step, error.strerror or str(error))
        case _:
            return messages.Failed(step, f"{type(error).__name__}: {error}")


def tell(channel: int, message: messages.Message) -> None:
    """Send a message without descriptors."""
    os.write(channel, messages.encode(message))
