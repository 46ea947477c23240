"""The token goes only to a server that proves by a certificate we trust that it is the one we name."""

import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from clients.errors import NotSent
from clients.http import HttpCore, OpenGate, trusted_issuers
from tests.between import Between, between
from tests.clients.sockets import itself

Serve = Callable[[str], Between]


@pytest.fixture
def serve(sandbox_addresses: dict[str, str], tmp_path: Path) -> Iterator[Serve]:
    """Serves over TLS with a certificate of its own making, for the name that is given; `ca.pem` is its own issuer."""
    with between(sandbox_addresses["komet"]) as server:

        def make(name: str) -> Between:
            command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
            command += ["-days", "2", "-subj", "/CN=sandbox", "-addext", f"subjectAltName={name}"]
            command += ["-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "ca.pem")]
            subprocess.run(command, check=True, capture_output=True)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tmp_path / "ca.pem", tmp_path / "key.pem")
            server.secure(context)
            return server

        yield make


@pytest.fixture(autouse=True)
def read_anew() -> Iterator[None]:
    """Whom the machine trusts is read once in a process, and these tests change it."""
    trusted_issuers.cache_clear()
    yield
    trusted_issuers.cache_clear()


def ask(url: str) -> int:
    core = HttpCore("komet", url, timeout=5.0, gate=OpenGate(), secret="planted")
    try:
        return core.call("prebook.create", "POST", "prebook.create", itself, body=b"{}", write=True).status
    finally:
        core.close()


def test_a_certificate_that_nobody_vouches_for(serve: Serve) -> None:
    server = serve("IP:127.0.0.1")
    with pytest.raises(NotSent, match=r"no connection.*self-signed certificate"):
        ask(server.url)
    assert server.calls == 0


def test_a_certificate_of_another_host(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve("DNS:elsewhere.example")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    with pytest.raises(NotSent, match=r"no connection.*IP address mismatch"):
        ask(server.url)
    assert server.calls == 0


def test_a_certificate_that_the_machine_trusts(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve("IP:127.0.0.1")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    assert ask(server.url) == 200
    assert server.calls == 1
