"""Every test with a `bench` runs as root, and as users who are root of a user namespace only.

The body of a user's test runs in a process of that user, where the bench is made first. All else,
fixtures and parameters, is as for any other test.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from support.bench import Bench
from support.users import COUNT, HOME, in_namespaces

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

USERS = {"ranges": COUNT + 1, "one-id": 1}
"""How many ids each kind of user has in the namespace."""
_MARKS = {"ranges": [pytest.mark.debian("newuidmap", "newgidmap")]}
BENCHES = [
    pytest.param((driver, user), marks=_MARKS.get(user, ()), id=f"{driver}-{user}")
    for driver, users in [("erofs", ()), ("overlay", USERS), ("copy", USERS)]
    for user in ("root", *users)
]


@dataclass(frozen=True, slots=True)
class Away:
    """The bench of a user, which can only be made in that user's process."""

    driver: str
    folder: Path
    ids: int

    def run(self, body: Callable[[Bench], object]) -> int:
        """The exit code of the process that does `body` with the bench."""

        def work() -> None:
            bench = Bench(self.driver, HOME, ids=self.ids)
            assert bench.driver.obstacle() == ""
            body(bench)

        return in_namespaces(self.folder, work, subordinate=self.ids > 1)


@pytest.fixture(params=BENCHES)
def bench(request, tmp_path) -> Bench | Away:
    """Every driver that works here, for everybody who can use it; the others say why they do not."""
    driver, user = request.param
    folder = tmp_path / "home"
    folder.mkdir()
    if user in USERS:
        return Away(driver, folder, USERS[user])
    made = Bench(driver, folder)
    if obstacle := made.driver.obstacle():
        pytest.skip(f"{driver}: {obstacle}")
    return made


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem) -> bool | None:
    """Run the body of a user's test in a process of the user."""
    away = pyfuncitem.funcargs.get("bench")
    if not isinstance(away, Away):
        return None
    names = inspect.signature(pyfuncitem.obj).parameters
    arguments = {name: pyfuncitem.funcargs[name] for name in names}
    if away.run(lambda bench: pyfuncitem.obj(**arguments | {"bench": bench})):
        pytest.fail("it failed in the user's process, see stderr", pytrace=False)
    return True
