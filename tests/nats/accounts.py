"""Ways for links to show who they are to a server: a certificate, keys, and credentials that a server trusts."""

from __future__ import annotations

import base64
import json
import os
import ssl
from pathlib import Path
from time import time
from typing import Any

import nkeys  # type: ignore[import-untyped]

CERTIFICATE = """\
-----BEGIN CERTIFICATE-----
MIIBqjCCAVGgAwIBAgIUCvt/lCtV2rMbqLidYIO/qTq5h68wCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyOTEwMjYxM1oYDzIxMjYxMTA1
MTAyNjEzWjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAQSbj3S5NQEmt0jvVORyabq++m3/l7Oq/+ijN9sWnBkDbgArordH5YZ
h9Pfe38lqCidC+BnOW3Qh0GPfJ5po3KNo38wfTAdBgNVHQ4EFgQUTD06uQoxo7u+
vvmmqQDB0s6+nQAwHwYDVR0jBBgwFoAUTD06uQoxo7u+vvmmqQDB0s6+nQAwDwYD
VR0TAQH/BAUwAwEB/zAaBgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEwDgYDVR0P
AQH/BAQDAgKEMAoGCCqGSM49BAMCA0cAMEQCIFQcxLLN9Ib396f/MbqjrEKVVulF
C3cIrOq1pw0PXQV5AiAZKnWnYIsuEllFvur38y8YKvIAJmhVpYUgdAsvfYBgAQ==
-----END CERTIFICATE-----
"""
"""A certificate for localhost and 127.0.0.1, for tests alone; valid for a hundred years."""


KEY = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgyxloABbNOmImJtCC
URO4htBi2VttWnBgrRlr4QNgVzKhRANCAAQSbj3S5NQEmt0jvVORyabq++m3/l7O
q/+ijN9sWnBkDbgArordH5YZh9Pfe38lqCidC+BnOW3Qh0GPfJ5po3KN
-----END PRIVATE KEY-----
"""


def tls_config(folder: Path) -> str:
    """Return the configuration of a server with TLS, and write its files to a folder."""
    (folder / "certificate.pem").write_text(CERTIFICATE)
    (folder / "key.pem").write_text(KEY)
    return f'tls {{ cert_file: "{folder}/certificate.pem", key_file: "{folder}/key.pem" }}'


def trusting_context() -> ssl.SSLContext:
    """Return a context that trusts the certificate."""
    return ssl.create_default_context(cadata=CERTIFICATE)


class Key:
    """A key pair of NATS. kind: the prefix of its type in nkeys, by default that of a user."""

    def __init__(self, kind: int = nkeys.PREFIX_BYTE_USER) -> None:
        self.seed = bytes(nkeys.encode_seed(os.urandom(32), kind))
        self.pair = nkeys.from_seed(bytearray(self.seed))
        self.public = bytes(self.pair.public_key).decode()

    def sign(self, subject: str, claims: dict[str, Any], expires: float | None = None) -> str:
        """Return a token with claims about a public key, signed by this one."""
        times = {"iat": int(time()), **({} if expires is None else {"exp": int(expires)})}
        content = {"jti": subject, "iss": self.public, "sub": subject, "name": "test", "nats": claims, **times}
        signed = ".".join(
            encode(json.dumps(each).encode()) for each in ({"typ": "JWT", "alg": "ed25519-nkey"}, content)
        )
        return f"{signed}.{encode(self.pair.sign(signed.encode()))}"


class Accounts:
    """An operator with one account, whose users have credentials."""

    def __init__(self) -> None:
        self._operator, self._account = Key(nkeys.PREFIX_BYTE_OPERATOR), Key(nkeys.PREFIX_BYTE_ACCOUNT)

    def config(self) -> str:
        """Return the configuration of a server that trusts the operator."""
        operator = self._operator.sign(self._operator.public, {"type": "operator", "version": 2})
        unlimited = {"subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "conn": -1, "leaf": -1}
        account = {"type": "account", "version": 2, "limits": {**unlimited, "wildcards": True}}
        token = self._operator.sign(self._account.public, account)
        return f"operator: {operator}\nresolver: MEMORY\nresolver_preload: {{ {self._account.public}: {token} }}"

    def write_credentials(self, path: Path, expires: float | None = None) -> Path:
        """Write the credentials of a new user to a file. expires: seconds since 1970; by default never."""
        user = Key()
        limits = {"subs": -1, "data": -1, "payload": -1}
        token = self._account.sign(user.public, {"type": "user", "version": 2, "pub": {}, "sub": {}, **limits}, expires)
        path.write_text(
            f"-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n"
            f"-----BEGIN USER NKEY SEED-----\n{user.seed.decode()}\n------END USER NKEY SEED------\n"
        )
        return path


def encode(content: bytes) -> str:
    """Return bytes as a token has them."""
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
