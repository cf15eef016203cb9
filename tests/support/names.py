"""Host names of the tests' own, played on loopback."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING, Any
from unittest import mock

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


@contextlib.contextmanager
def resolving(addresses: Mapping[str, Sequence[str]], failures: int = 0) -> Iterator[list[str]]:
    """Let this process find these addresses for these names; gives the names that were asked for.

    A name without an address does not exist, and neither does any other but a literal address;
    the first `failures` questions end with a failure that may pass.
    """
    asked: list[str] = []
    real = socket.getaddrinfo

    def getaddrinfo(host: Any, port: Any, *rest: Any, **options: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name is None or _is_literal(name):
            return real(host, port, *rest, **options)
        asked.append(name)
        if len(asked) <= failures:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        found = [each for address in addresses.get(name, ()) for each in real(address, port, *rest)]
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return found

    with mock.patch("socket.getaddrinfo", getaddrinfo):
        yield asked


def _is_literal(name: str) -> bool:
    for family in (socket.AF_INET, socket.AF_INET6):
        with contextlib.suppress(OSError):
            socket.inet_pton(family, name)
            return True
    return False
