"""One attempt over real sockets: the address that was checked is the address that is called."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from exchange.callbacks import transport
from exchange.callbacks.rules import Attempt, Target, parse_url
from exchange.callbacks.transport import Channel
from tests.exchange.callbacks.conftest import until
from tests.exchange.callbacks.receiver import Receiver

LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


def channel(url: str, *, tls: ssl.SSLContext | None = None) -> Channel:
    """A channel that may go to loopback."""
    target = parse_url(url, networks=LOOPBACK)
    return Channel(target, networks=LOOPBACK, tls=tls or ssl.create_default_context())


def post(url: str, *, tls: ssl.SSLContext | None = None) -> Attempt:
    """One attempt on a channel of its own."""
    once = channel(url, tls=tls)
    try:
        return once.post(b"{}", headers={"X": "1"})
    finally:
        once.close()


@pytest.mark.parametrize("host", ["localhost", "2130706433", "0x7f.1", "127.1", "::ffff:127.0.0.1", "0"])
def test_what_resolves_to_us_is_refused(receiver: Receiver, host: str) -> None:
    """Past the check of the URL, the resolver's answer is checked too: names, numbers, mapped addresses."""
    port = int(receiver.url.rpartition(":")[2])
    target = Target(secure=True, host=host, port=port, path="/")
    attempt = Channel(target, networks=(), tls=ssl.create_default_context()).post(b"", headers={})
    assert attempt.error is not None
    assert "not on the public internet" in attempt.error
    assert receiver.received == []


def test_one_internal_address_among_many_is_refused(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that resolves to the internet and to us is not called at all."""
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, 443)) for ip in ("1.1.1.1", "127.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    target = Target(secure=True, host="bank.example", port=443, path="/")
    attempt = Channel(target, networks=(), tls=ssl.create_default_context()).post(b"", headers={})
    assert "127.0.0.1" in (attempt.error or "")
    assert receiver.received == []


def test_a_name_that_moves_is_followed_but_not_home(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """DNS rebinding: the kept connection is not used for a name that now points elsewhere."""
    address, _, port = receiver.url.removeprefix("http://").partition(":")
    answers = [address, "127.0.0.2", "169.254.169.254"]

    def resolve(*_: object, **__: object) -> list[object]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (answers.pop(0), int(port)))]

    sandbox = channel(f"http://bank.test:{port}/")
    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    first, second, third = (sandbox.post(b"", headers={}) for _ in range(3))
    sandbox.close()
    assert first.delivered
    assert not second.delivered  # nobody listens there
    assert "not on the public internet" in (third.error or "")
    assert len(receiver.received) == 1
    assert receiver.received[0].headers["host"] == f"bank.test:{port}"


def test_failures_are_attempts(receiver: Receiver) -> None:
    """A closed port, a name that does not exist, a server that speaks no HTTP: all are outcomes."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        assert "refused" in (post(f"http://127.0.0.1:{unused.getsockname()[1]}/").error or "")
    assert "gaierror" in (post("http://nothing.invalid/").error or "")
    assert "UnicodeError" in (post("http://" + "x" * 64 + ".invalid/").error or "")
    assert "SSLError" in (post(receiver.url.replace("http", "https")).error or "")


def test_a_silent_receiver_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A receiver that accepts and says nothing costs no more than the limit."""
    monkeypatch.setattr(transport, "ATTEMPT_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert post(f"http://127.0.0.1:{server.getsockname()[1]}/") == Attempt(error="timeout")


def test_connections_are_kept(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """One connection serves many callbacks; when the receiver has closed it another is opened, unseen."""
    opened = []
    connect = transport._Connection.connect

    def counted(connection: transport._Connection) -> None:
        opened.append(connection)
        connect(connection)

    monkeypatch.setattr(transport._Connection, "connect", counted)
    receiver.answers = [(200, {"x-size": "100"}), (200, {"x-size": "100"}), (200, {"x-size": "70000"})]
    kept = channel(receiver.url)
    assert all(kept.post(b"", headers={}).delivered for _ in range(3))
    assert len(opened) == 1
    assert kept.post(b"", headers={}).delivered  # the answer before was too long to be read
    assert len(opened) == 2
    kept.close()
    closing = channel(receiver.url + "/close")
    assert all(closing.post(b"", headers={}).delivered for _ in range(3))
    closing.close()
    assert len(opened) == 5
    assert len(receiver.received) == 7


def _answer(server: socket.socket, content: bytes) -> None:
    peer, _ = server.accept()
    with peer:
        peer.recv(65_536)
        peer.sendall(content)


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort", 200),
        (b"HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 500),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 100_000, 200),
        (b"HTTP/1.1 200 OK\r\n" + b"X-Much: x\r\n" * 200 + b"\r\n", None),
        (b"SSH-2.0-server\r\n", None),
        (b"", None),
    ],
)
def test_odd_answers(content: bytes, status: int | None) -> None:
    """Once the status has come it counts, whatever follows; without one the attempt failed."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=_answer, args=(server, content))
        thread.start()
        attempt = post(f"http://127.0.0.1:{server.getsockname()[1]}/")
        thread.join()
    assert attempt.status == status
    assert (attempt.error is None) == (status is not None)


def test_only_an_overdue_attempt_is_aborted(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Idle channels and attempts in time are left alone; a late one ends as a timeout, not repeated."""
    monkeypatch.setattr(transport, "ATTEMPT_SECONDS", 0.2)
    slow = channel(receiver.url + "/drip")
    slow.abort_overdue()
    attempts: list[Attempt] = []
    thread = threading.Thread(target=lambda: attempts.append(slow.post(b"", headers={})))
    thread.start()
    until(lambda: len(receiver.received) == 1)

    def ended() -> bool:
        slow.abort_overdue()
        return bool(attempts)

    until(ended)
    thread.join()
    slow.close()
    assert attempts[0] in (Attempt(error="timeout"), Attempt(status=200))
    assert len(receiver.received) == 1


def test_a_kept_connection_is_aborted_too(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """An aborted attempt on a kept connection does not look like a stale one: it is not sent again."""
    slow = channel(receiver.url + "/slow")
    receiver.release.set()
    assert slow.post(b"", headers={}).delivered
    receiver.release.clear()
    monkeypatch.setattr(transport, "ATTEMPT_SECONDS", 0.1)
    attempts: list[Attempt] = []
    thread = threading.Thread(target=lambda: attempts.append(slow.post(b"", headers={})))
    thread.start()

    def ended() -> bool:
        slow.abort_overdue()
        return bool(attempts)

    until(ended)
    thread.join()
    assert attempts == [Attempt(error="timeout")]
    assert len(receiver.received) == 2


def test_an_attempt_without_a_socket_cannot_be_cut() -> None:
    """Between resolving and connecting there is nothing to shut; the connection's own limit holds."""
    early = channel("http://127.0.0.1:9/")
    place = (socket.AF_INET, ("127.0.0.1", 9))
    early._connection = transport._Connection(early.target, address=place, tls=ssl.create_default_context())
    early._deadline = 0.0
    early.abort_overdue()
    early.close()


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for localhost, with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    start = datetime(2020, 1, 1, tzinfo=UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=36_500))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "certificate.pem"
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(secret + signed.public_bytes(Encoding.PEM))
    return path


@pytest.fixture
def tls_port(certificate: Path) -> Iterator[int]:
    """A server that answers 204 over TLS, once for each connection."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    stop = threading.Event()

    def serve() -> None:
        while True:
            peer, _ = server.accept()
            # A client that does not trust us hangs up.
            with peer, suppress(OSError), context.wrap_socket(peer, server_side=True) as secured:
                # All of the request: what is left unread would reset the connection, and the answer be lost.
                request = secured.makefile("rb")
                length = 0
                while (line := request.readline()) not in {b"", b"\r\n"}:
                    name, _, value = line.partition(b":")
                    length = int(value) if name.lower() == b"content-length" else length
                request.read(length)
                secured.sendall(b"HTTP/1.1 204 OK\r\nConnection: close\r\n\r\n")
            if stop.is_set():
                return

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        thread = threading.Thread(target=serve)
        thread.start()
        yield port
        stop.set()
        socket.create_connection(("127.0.0.1", port)).close()
        thread.join()


def test_tls_is_for_the_name(certificate: Path, tls_port: int) -> None:
    """The certificate has to be trusted and to be the name's, though it is an address that is called."""
    trusting = ssl.create_default_context(cafile=str(certificate))
    assert post(f"https://localhost:{tls_port}/", tls=trusting).delivered
    stranger = post(f"https://localhost:{tls_port}/").error or ""
    assert "CERTIFICATE_VERIFY_FAILED" in stranger
    other = post(f"https://127.0.0.1:{tls_port}/", tls=trusting).error or ""
    assert "CERTIFICATE_VERIFY_FAILED" in other
