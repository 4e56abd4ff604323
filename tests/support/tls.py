"""A server that speaks TLS with an untrusted certificate, as a wrong host or an intercepting proxy would."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

# Made for these tests, and worth nothing elsewhere.
PEM = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgJTbtw4W5GeX+K0dU
2sBMLH1kKOKBiBn9erAeZ+zvRjyhRANCAAQrpzh9LAOVetuiBZwJhRQegdIRGpGB
I+0Z9wdDap7Xlwq64GLl30z9Kdep0V7OMlj8KU98yDsJJw8w2gctOGWh
-----END PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
MIIBgDCCASWgAwIBAgIUEonDhNmbMYCRWPNxkH8jVKgYZo4wCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJMTI3LjAuMC4xMCAXDTI2MTEyMzE2MzA1OFoYDzIxMjYxMDMw
MTYzMDU4WjAUMRIwEAYDVQQDDAkxMjcuMC4wLjEwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAQrpzh9LAOVetuiBZwJhRQegdIRGpGBI+0Z9wdDap7Xlwq64GLl30z9
Kdep0V7OMlj8KU98yDsJJw8w2gctOGWho1MwUTAdBgNVHQ4EFgQUaUFA3CD0rW0b
FeJyFhbi+7RNE5kwHwYDVR0jBBgwFoAUaUFA3CD0rW0bFeJyFhbi+7RNE5kwDwYD
VR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNJADBGAiEAtoPYVLLCEnF9t+79V2Ir
h25vVoGYhP55AU7fEhVd3oMCIQDN6q56aC4D4QkeO9hdtrPO4MrFxNduurLba1EV
vLRtuQ==
-----END CERTIFICATE-----
"""


class _Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def untrusted_server(folder: Path) -> Iterator[str]:
    """Its address."""
    pem = folder / "server.pem"
    pem.write_text(PEM)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Page)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"https://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
