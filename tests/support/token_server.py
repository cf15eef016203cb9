"""A token server for Debian's docker-registry: signed tokens (docker's "Token Authentication")."""

from __future__ import annotations

import base64
import json
import secrets
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs

from support.web import Reply, Server

if TYPE_CHECKING:
    from pathlib import Path

    from support.web import Request

PROGRAM = "openssl"
LEEWAY = 60
"""Seconds after its end in which the registry still takes a token."""

_ISSUER, _SERVICE = "layerkit tests", "registry.test"
_NEW_KEY = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=layerkit"]


class TokenServer:
    """Gives anybody the scopes they ask for while the `with` block runs.

    The registry takes a token for `life` seconds. With `user` ("name:password") it wants that.
    """

    def __init__(self, folder: Path, *, user: str = "") -> None:
        self._folder = folder
        folder.mkdir(parents=True)
        self._openssl(*_NEW_KEY, "-keyout", "key.pem", "-out", "cert.pem")
        self._certificate = base64.b64encode(
            self._openssl("x509", "-in", "cert.pem", "-outform", "DER")
        ).decode()
        self._user = user
        self.life = 300
        self.requests: list[Request] = []
        self.tokens: list[str] = []
        self._server = Server(self._answer, "127.0.0.1", 0, None)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, name="tokens"
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._server.close()
        self._thread.join()

    @property
    def configuration(self) -> str:
        """What makes a registry take its tokens: a part of its `config.yml`."""
        address, port = self._server.server_address[:2]
        return (
            f"auth:\n  token:\n    realm: http://{address}:{port}/token\n    service: {_SERVICE}\n"
            f"    issuer: {_ISSUER}\n    rootcertbundle: {self._folder}/cert.pem\n"
        )

    def _answer(self, request: Request) -> Reply:
        self.requests.append(request)
        expected = f"Basic {base64.b64encode(self._user.encode()).decode()}"
        if self._user and request.headers.get("Authorization") != expected:
            return Reply(401, {}, b'{"details": "incorrect username or password"}')
        scopes = parse_qs(request.query).get("scope", [])
        self.tokens.append(self._token([_access(scope) for scope in scopes]))
        body = json.dumps({"token": self.tokens[-1], "expires_in": 300}).encode()
        return Reply(200, {"Content-Type": "application/json"}, body)

    def _token(self, access: list[dict[str, Any]]) -> str:
        now = int(time.time())
        claims = {
            "iss": _ISSUER, "sub": "anybody", "aud": _SERVICE, "iat": now - LEEWAY,
            "nbf": now - LEEWAY, "exp": now - LEEWAY + self.life, "jti": secrets.token_hex(8),
            "access": access,
        }  # fmt: skip
        header = {"typ": "JWT", "alg": "RS256", "x5c": [self._certificate]}
        signed = ".".join(_encoded(json.dumps(part).encode()) for part in (header, claims))
        signature = self._openssl("dgst", "-sha256", "-sign", "key.pem", given=signed.encode())
        return f"{signed}.{_encoded(signature)}"

    def _openssl(self, *arguments: str, given: bytes = b"") -> bytes:
        command = [PROGRAM, *arguments]
        done = subprocess.run(
            command, cwd=self._folder, input=given, capture_output=True, check=True
        )
        return done.stdout


def _access(scope: str) -> dict[str, Any]:
    name, _, actions = scope.rpartition(":")
    kind, _, name = name.partition(":")
    return {"type": kind, "name": name, "actions": actions.split(",")}


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
