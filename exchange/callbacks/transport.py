"""Posts callbacks: resolve, check the address, connect to exactly that address, send, read the status.

The address is resolved and checked again for every attempt; there are no redirects and no proxies.
"""

import http.client
import socket
import ssl
import time
from collections.abc import Mapping
from contextlib import suppress
from threading import Lock
from typing import Any, TypeAlias

from exchange.callbacks.rules import AddressNotAllowed, Attempt, Target, check_address
from exchange.settings import Network

CONNECT_SECONDS = 3.0
ATTEMPT_SECONDS = 10.0
MAX_ANSWER_BYTES = 65_536
"""A longer answer is not read to its end; its connection is closed instead of kept."""

Address: TypeAlias = tuple[socket.AddressFamily, tuple[Any, ...]]

STALE = (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError)
"""How a kept connection shows that the receiver had closed it before it saw the request."""


class Channel:
    """A kept connection to one receiver, for one thread at a time; any thread may call `abort_overdue`."""

    def __init__(self, target: Target, *, networks: tuple[Network, ...], tls: ssl.SSLContext) -> None:
        self.target = target
        self._networks = networks
        self._tls = tls
        self._connection: _Connection | None = None
        self._lock = Lock()
        self._deadline: float | None = None
        self._aborted = False

    def post(self, body: bytes, *, headers: Mapping[str, str]) -> Attempt:
        """Send `body` once; every way in which that can fail is an `Attempt`, not an exception."""
        with self._lock:
            self._deadline, self._aborted = time.monotonic() + ATTEMPT_SECONDS, False
        try:
            return self._post(body, headers)
        except AddressNotAllowed as refusal:
            return Attempt(error=refusal.detail)
        except (OSError, http.client.HTTPException, UnicodeError) as error:
            self.close()
            timed_out = self._aborted or isinstance(error, TimeoutError)
            return Attempt(error="timeout" if timed_out else f"{type(error).__name__}: {error}"[:200])
        finally:
            with self._lock:
                self._deadline = None

    def abort_overdue(self) -> None:
        """End an attempt that lasts too long: a receiver that drips its answer trips no socket's timeout."""
        with self._lock:
            if self._deadline is None or time.monotonic() < self._deadline or self._connection is None:
                return
            self._aborted = True
            if self._connection.sock is not None:
                with suppress(OSError):  # it may have ended by itself
                    socket.socket.shutdown(self._connection.sock, socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection; the next attempt opens another."""
        with self._lock:
            connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _post(self, body: bytes, headers: Mapping[str, str]) -> Attempt:
        addresses = _resolve(self.target, networks=self._networks)
        kept = self._connection
        if kept is not None and kept.address in addresses:
            try:
                return self._exchange(kept, body, headers)
            except STALE:
                if self._aborted:
                    raise
        self.close()
        with self._lock:
            self._connection = fresh = _Connection(self.target, address=addresses[0], tls=self._tls)
        return self._exchange(fresh, body, headers)

    def _exchange(self, connection: "_Connection", body: bytes, headers: Mapping[str, str]) -> Attempt:
        connection.request("POST", self.target.path, body=body, headers=dict(headers))
        response = connection.getresponse()
        try:
            response.read(MAX_ANSWER_BYTES)
        except (OSError, http.client.HTTPException):
            self.close()  # the status has come; what follows it does not matter
        if not response.isclosed():
            response.close()
            self.close()
        return Attempt(status=response.status, retry_after=response.headers.get("Retry-After"))


class _Connection(http.client.HTTPConnection):
    """A connection to the address that was checked, under the name that was asked for."""

    def __init__(self, target: Target, *, address: Address, tls: ssl.SSLContext) -> None:
        super().__init__(target.host, target.port, timeout=ATTEMPT_SECONDS)
        self.default_port = 443 if target.secure else 80  # left out of the Host header
        self.address = address
        self._tls = tls if target.secure else None

    def connect(self) -> None:
        """Open the socket and, for https, make sure of the receiver's name."""
        family, place = self.address
        self.sock = sock = socket.socket(family, socket.SOCK_STREAM)
        sock.settimeout(CONNECT_SECONDS)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.connect(place)
        if self._tls is not None:
            self.sock = secured = self._tls.wrap_socket(sock, server_hostname=self.host, do_handshake_on_connect=False)
            secured.do_handshake()
        self.sock.settimeout(ATTEMPT_SECONDS)


def _resolve(target: Target, *, networks: tuple[Network, ...]) -> list[Address]:
    """The addresses of the receiver, every one of which has to be allowed (`AddressNotAllowed`)."""
    found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    for *_, place in found:
        check_address(str(place[0]), secure=target.secure, networks=networks)
    return [(family, place) for family, *_, place in found]
