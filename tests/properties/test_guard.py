"""A client and the guard against real servers: no way around it, one look-up per client, and TLS by name."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ingest.sources import guard
from ingest.sources.http import Answer, SourceRefused, SourceUnavailable, ask, open_client

METADATA = "169.254.169.254"


# As a person who wants to reach loopback or the metadata service writes them; the resolver reads the number forms.
TRICKS = [
    "127.0.0.1", "localhost", "127.1", "0x7f.1", "0x7f000001", "2130706433", "017700000001", "0177.0.0.1", "0",
    "0.0.0.0", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:127.0.0.1]",
    METADATA, "2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "[::ffff:169.254.169.254]", "[fe80::1]",
    "[fd00:ec2::254]", "[64:ff9b::169.254.169.254]", "user@127.0.0.1", "10.1.2.3@127.0.0.1", "127.0.0.1.",
    "\uff11\uff12\uff17.\uff10.\uff10.\uff11", "127\u30020\u30020\u30021",
]  # fmt: skip


@pytest.mark.parametrize("host", TRICKS)
def test_no_way_to_write_it_reaches_what_is_denied(host: str, server: HTTPServer) -> None:
    seen = len(server.seen)  # type: ignore[attr-defined]
    with pytest.raises((SourceRefused, SourceUnavailable)) as error:
        asked(open_client(f"http://{host}:{server.server_port}"))
    assert "takes no connection" not in str(error.value)  # it was not even tried
    assert len(server.seen) == seen  # type: ignore[attr-defined]


def asked(client: httpx.Client, path: str = "/") -> Answer:
    with client:
        return ask(client, "GET", path)


@pytest.fixture(scope="module")
def server() -> Iterator[HTTPServer]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.server.seen.append(self.headers["Host"])  # type: ignore[attr-defined]
            if self.path == "/away":
                self.send_response(302)
                self.send_header("Location", f"http://127.0.0.1:{self.server.server_port}/")  # type: ignore[attr-defined]
                self.end_headers()
                return
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *args: Any) -> None: ...

    found = HTTPServer(("127.0.0.1", 0), Handler)
    found.seen = []  # type: ignore[attr-defined]
    threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield found
    found.shutdown()
    found.server_close()


def client_of(server: HTTPServer, lookup: Any, **options: Any) -> httpx.Client:
    inner = httpx.HTTPTransport(verify=options.pop("verify", True), trust_env=False)
    transport = guard.GuardedTransport(inner, ["127.0.0.0/8"], lookup=lookup)
    scheme = options.pop("scheme", "http")
    return open_client(f"{scheme}://airflow.test:{server.server_port}", transport=transport)


def test_a_name_is_looked_up_once_and_stays_where_it_was(server: HTTPServer) -> None:
    answers = iter([["127.0.0.1"], [METADATA]])
    with client_of(server, lambda host, port: next(answers)) as client:
        for _ in range(3):
            assert ask(client, "GET", "/").status == 200
    assert server.seen[-1] == f"airflow.test:{server.server_port}"  # type: ignore[attr-defined]


def test_of_several_addresses_the_allowed_ones_are_tried_in_turn(server: HTTPServer) -> None:
    assert asked(client_of(server, lambda host, port: [METADATA, "127.0.0.9", "127.0.0.1"])).status == 200


def test_a_name_that_leads_to_a_denied_address_is_refused_with_advice(server: HTTPServer) -> None:
    with pytest.raises(SourceRefused, match=r"airflow.test is not called: 169.254.169.254 is link-local.*`allow`"):
        asked(client_of(server, lambda host, port: [METADATA]), "/")


def test_a_redirect_is_not_followed(server: HTTPServer) -> None:
    seen = len(server.seen)  # type: ignore[attr-defined]
    with pytest.raises(SourceRefused, match="redirects to"):
        asked(client_of(server, lambda host, port: ["127.0.0.1"]), "/away")
    assert len(server.seen) == seen + 1  # type: ignore[attr-defined]


def test_a_proxy_is_checked_as_well() -> None:
    with pytest.raises(SourceRefused, match=r"127.0.0.1 is loopback"):
        asked(open_client("http://10.1.2.3", proxy="http://127.0.0.1:3128"))
    with pytest.raises(SourceRefused, match=f"{METADATA} is link-local"):
        asked(open_client(f"http://{METADATA}", proxy="http://127.0.0.1:3128", allow=["127.0.0.1/32"]))


@pytest.mark.parametrize("scheme", ["file", "gopher", "ftp"])
def test_only_http_is_spoken(scheme: str) -> None:
    with pytest.raises(SourceRefused):
        asked(open_client(f"{scheme}://10.1.2.3/etc/passwd"))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    """The file of a certificate for airflow.test, and what a server needs to show it."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "airflow.test")])
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("airflow.test")]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("tls")
    file, key_file = folder / "cert.pem", folder / "key.pem"
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    key_file.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file, key_file)
    return file, context


@pytest.fixture
def tls_server(certificate: tuple[Path, ssl.SSLContext]) -> Iterator[HTTPServer]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *args: Any) -> None: ...

    class Quiet(HTTPServer):
        def handle_error(self, *args: Any) -> None: ...

    found = Quiet(("127.0.0.1", 0), Handler)
    found.socket = certificate[1].wrap_socket(found.socket, server_side=True)
    threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield found
    found.shutdown()
    found.server_close()


def test_tls_checks_the_name_though_the_address_is_pinned(
    tls_server: HTTPServer, certificate: tuple[Path, ssl.SSLContext]
) -> None:
    trusted = ssl.create_default_context(cafile=certificate[0])
    assert asked(client_of(tls_server, lambda host, port: ["127.0.0.1"], verify=trusted, scheme="https")).status == 200
    inner = httpx.HTTPTransport(verify=trusted, trust_env=False)
    other = guard.GuardedTransport(inner, ["127.0.0.0/8"], lookup=lambda host, port: ["127.0.0.1"])
    with pytest.raises(SourceRefused, match="certificate that is not trusted"):
        asked(open_client(f"https://other.test:{tls_server.server_port}", transport=other), "/")


def test_a_certificate_is_checked_by_default_and_by_a_ca_file(
    tls_server: HTTPServer, certificate: tuple[Path, ssl.SSLContext]
) -> None:
    address = f"https://127.0.0.1:{tls_server.server_port}"
    with pytest.raises(SourceRefused, match="certificate that is not trusted"):
        asked(open_client(address, allow=["127.0.0.1/32"]))
    with pytest.raises(SourceRefused, match="certificate that is not trusted"):  # trusted, but for another name
        asked(open_client(address, allow=["127.0.0.1/32"], verify=str(certificate[0])))
    assert asked(open_client(address, allow=["127.0.0.1/32"], verify=False)).status == 200
    with pytest.raises(SourceRefused, match="TLS setting cannot be used"):
        open_client(address, verify="/none.pem")
