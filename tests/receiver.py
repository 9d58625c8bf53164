"""A receiver of webhooks that answers as it is told and keeps everything it was sent."""

from __future__ import annotations

import dataclasses
import email
import email.policy
import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from certificates import Certificates


@dataclasses.dataclass(frozen=True)
class Posted:
    """One request."""

    path: str
    headers: dict[str, str]
    parts: dict[str, bytes]

    @property
    def event(self) -> dict[str, object]:
        return json.loads(self.parts["event"])


class Receiver:
    """Answers 200, or first the ``answers``: a status each, or a status and headers."""

    def __init__(self, port: int = 0, certificates: Certificates | None = None) -> None:
        self.posted: list[Posted] = []
        self.answers: list[tuple[int, dict[str, str]] | int] = []
        self.text = b"told"
        self._server = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        if certificates is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificates.server, certificates.key)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._scheme = "https" if certificates else "http"
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self.port}/hook"

    @property
    def keys(self) -> list[str]:
        """The Idempotency-Key of each request."""
        return [one.headers["Idempotency-Key"] for one in self.posted]

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:  # noqa: N802 (http.server's name)
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.posted.append(
                    Posted(self.path, dict(self.headers), _parts(self.headers, body))
                )
                answer = receiver.answers.pop(0) if receiver.answers else 200
                status, headers = (answer, {}) if isinstance(answer, int) else answer
                self.send_response(status)
                for name, value in ({"Content-Length": str(len(receiver.text))} | headers).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(receiver.text)

            def log_message(self, *_: object) -> None:
                pass

        return Handler


def _parts(headers: object, body: bytes) -> dict[str, bytes]:
    head = f"Content-Type: {headers['Content-Type']}\r\n\r\n".encode()
    message = email.message_from_bytes(head + body, policy=email.policy.HTTP)
    return {part.get_param("name", header="content-disposition"): part.get_payload(decode=True)
            for part in message.iter_parts()}
