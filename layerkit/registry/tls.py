"""Certificates made ready for connections; the only reader of their files."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from requests.utils import DEFAULT_CA_BUNDLE_PATH

from layerkit.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from layerkit.registry.endpoints import TLS


def context(tls: TLS) -> ssl.SSLContext:
    """What a connection with these settings uses, the system's authorities included.

    Raises `UsageError`, which names the file, for one that cannot be used.
    """
    found = _system_trust()
    if not tls.verify:
        found.check_hostname = False
        found.verify_mode = ssl.CERT_NONE
    if tls.authorities:
        # Who names a certificate trusts it: it may be of an intermediate authority, and private
        # ones often lack the extensions that Python wants since 3.13.
        found.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        found.verify_flags &= ~ssl.VERIFY_X509_STRICT
    for path in tls.authorities:
        _trust(found, path)
    for certificate, key in reversed(tls.identity):  # of one kind of key, the last one counts
        _be(found, certificate, key)
    return found


def _system_trust() -> ssl.SSLContext:
    paths = ssl.get_default_verify_paths()
    bundled = None if paths.cafile or paths.capath else DEFAULT_CA_BUNDLE_PATH
    return ssl.create_default_context(cafile=bundled)


def _trust(found: ssl.SSLContext, path: Path) -> None:
    _check_readable("certificate authority", path)
    try:
        found.load_verify_locations(cafile=path)
    except ssl.SSLError:
        raise _error("certificate authority", path, "no certificate in PEM form in it") from None


def _be(found: ssl.SSLContext, certificate: Path, key: Path) -> None:
    _check_readable("client certificate", certificate)
    _check_readable("client key", key)

    def refuse() -> str:
        raise _error("client key", key, "it is encrypted")

    try:
        found.load_cert_chain(certificate, key, refuse)
    except ssl.SSLError as error:
        raise _why_unfit(certificate, key, error) from None


def _why_unfit(certificate: Path, key: Path, error: ssl.SSLError) -> UsageError:
    if error.reason == "KEY_VALUES_MISMATCH":
        return _error("client key", key, f"it is not the key of {certificate}")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=certificate)
    except ssl.SSLError:
        return _error("client certificate", certificate, "no certificate in PEM form in it")
    return _error("client key", key, "no private key in PEM form in it")


def _check_readable(what: str, path: Path) -> None:
    try:
        path.open("rb").close()
    except OSError as error:
        raise _error(what, path, (error.strerror or "cannot be read").lower()) from None


def _error(what: str, path: Path, problem: str) -> UsageError:
    return UsageError(f"cannot use {what} {path}: {problem}")
