"""Requests for a URL as it was written, escapes and all: a signature may cover them.

urllib3 writes the escapes of every URL anew (`%2f` becomes `%2F`), and has no switch for that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

if TYPE_CHECKING:
    from collections.abc import Mapping

WRITTEN = ":url"
"""The header that hands the URL over; a connection that is not one of these refuses the name."""


def target(url: str, headers: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """What to ask for instead of `url` (RFC 9112 §3.2), and the headers to send with it."""
    sent = dict(headers)
    written = sent.pop(WRITTEN, url)
    if url.startswith("/") and not written.startswith("/"):
        parts = urlsplit(written)
        query = f"?{parts.query}" if parts.query else ""
        return f"{parts.path or '/'}{query}", sent
    return written, sent


class _Connection(HTTPConnection):
    def request(
        self,
        method: str,
        url: str,
        body: Any = None,
        headers: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        url, sent = target(url, headers or {})
        super().request(method, url, body, sent, **options)


class _TLSConnection(_Connection, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TLSPool(HTTPSConnectionPool):
    ConnectionCls = _TLSConnection


_POOLS = {"http": _Pool, "https": _TLSPool}


class Adapter(HTTPAdapter):
    """Asks for the URL in the header `WRITTEN`, where a request has one."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """As it was, with our own connections."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: Any, **kwargs: Any) -> Any:
        """As it was, with our own connections."""
        manager = super().proxy_manager_for(proxy, **kwargs)
        manager.pool_classes_by_scheme = _POOLS
        return manager

    def close(self) -> None:
        """End idle connections now, and those in use when they are given back.

        urllib3 only forgets its pools, which end their connections when nothing refers to them any
        more: the answers that are being read do.
        """
        for manager in (self.poolmanager, *self.proxy_manager.values()):
            pools = [manager.pools.get(key) for key in manager.pools.keys()]  # noqa: SIM118
            manager.clear()
            for pool in filter(None, pools):
                pool.close()
