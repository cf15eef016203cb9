"""One answer of a server: its head, and its body as it comes."""

from __future__ import annotations

import contextlib
import select
import ssl
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from layerkit.errors import RegistryError, UnavailableError
from layerkit.registry import address, encoding, outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    import requests

    from layerkit.registry.encoding import Inflater
    from layerkit.registry.limits import Limits


class Answer:
    """One answer whose body was not read yet; `name` says in messages who gave it.

    Reading raises `UnavailableError` when the body breaks off or stalls. Close it, or read it to
    its end, which leaves the connection for the next request.
    """

    def __init__(self, response: requests.Response, name: str, limits: Limits) -> None:
        self._response = response
        self._limits = limits
        self._inflater: Inflater | None = None
        self._late: UnavailableError | None = None
        self.name = name
        self.status: int = response.status_code

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        """What answered, after redirects."""
        return self._response.url

    @property
    def origin(self) -> address.Origin:
        """Who answered, after redirects."""
        return address.origin(self.url)

    def header(self, name: str) -> str:
        """The header of this name, "" if there is none."""
        return str(self._response.headers.get(name, ""))

    def header_lines(self, name: str) -> list[str]:
        """The header of this name line by line, as sent."""
        return list(self._response.raw.headers.getlist(name))

    def decode(self, size: int | None = None) -> None:
        """Undo a `Content-Encoding`, which nobody asked for, in what is read from now on.

        A body that has the wanted `size` as it is only has the wrong label. Raises `RegistryError`
        for a coding other than gzip.
        """
        coding = self.header("Content-Encoding").strip().lower()
        if coding in {"", "identity"} or self.header("Content-Length") == str(size):
            return
        if coding not in encoding.GZIP:
            raise RegistryError(
                f"{self.name} sent a body with the Content-Encoding {outcome.clean(coding)!r}, "
                f"which it was not asked for"
            )
        self._inflater = encoding.Inflater()

    def read_some(self, amount: int) -> bytes:
        """What came by now, at least one byte and at most `amount`; none at the end of the body.

        As it was sent, unless `decode` found that it has to be inflated.
        """
        if self._inflater is None:
            return self._gather(amount)
        try:
            return self._inflater.read(partial(self._read, self._response.raw.read1), amount)
        except ValueError as error:
            raise UnavailableError(f"{self.name} sent {error}") from None

    def _gather(self, amount: int) -> bytes:
        """What is there, of TLS too: a read gives one record of it, 16 KiB at most."""
        if self._late is not None:
            raise self._late
        raw = self._response.raw
        parts = [self._read(raw.read1, amount)]
        left = amount - len(parts[0])
        try:
            while left and parts[-1] and _has_more(raw):
                parts.append(self._read(raw.read1, left))
                left -= len(parts[-1])
        except UnavailableError as error:
            self._late = error  # what came before it is not lost
        return b"".join(parts)

    def _read(self, read: Callable[..., bytes], amount: int) -> bytes:
        try:
            return read(amount, decode_content=False)
        except outcome.FAILURES as error:
            raise outcome.failure(f"{self.name} broke off", error, self._limits) from None

    def read_past(self, limit: int) -> bytes:
        """The whole body; of a longer one the first `limit` bytes and one more."""
        data = bytearray()
        while len(data) <= limit:
            chunk = self.read_some(limit + 1 - len(data))
            if not chunk:
                break
            data += chunk
        return bytes(data)

    def words(self) -> str:
        """What the answer says went wrong, "" if it says nothing or breaks off."""
        try:
            self.decode()
            body = self.read_past(self._limits.error)
        except RegistryError:
            return ""
        return outcome.server_text(body, self.header("Content-Type"))

    def abort(self) -> None:
        """End the transfer from another thread: whoever reads sees it break off."""
        with contextlib.suppress(OSError, RuntimeError, ValueError):  # it may be through already
            self._response.raw.shutdown()

    def discard(self) -> None:
        """Close, after reading a short body, so that the connection can be used again."""
        length = self.header("Content-Length")
        try:
            if length.isdigit() and int(length) <= self._limits.error:
                self.read_past(self._limits.error)
        except RegistryError:
            pass  # nobody wants the body; the connection is closed below
        self.close()

    def close(self) -> None:
        """Give the connection back, or end it if the body was not read to its end."""
        self._response.close()


def _has_more(raw: Any) -> bool:
    """Whether a body that comes by TLS can be read on without waiting."""
    sock = getattr(raw.connection, "sock", None)
    if not isinstance(sock, ssl.SSLSocket):
        return False
    look = select.poll()
    look.register(sock, select.POLLIN)
    return sock.pending() > 0 or bool(look.poll(0))
