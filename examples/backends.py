"""The examples' backends: one small server for each Service of their services.yaml, which says who it is.

    python backends.py EXAMPLE GATEWAY_ADDRESS READY_FILE [ADDRESS]

Once READY_FILE is there, it prints what to try: EXAMPLE/try.txt. It listens on ADDRESS (127.0.0.1).
"""

import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ADDRESS = "127.0.0.1"
PORTS = {"storefront": 9101, "api-v1": 9102, "api-v2": 9103, "blog": 9104}


def server(name: str, address: str, port: int) -> ThreadingHTTPServer:
    """A server that answers every GET with its name and what it was asked for, and HEAD with the same head."""

    class Backend(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._answer(is_head=True)

        def do_GET(self) -> None:
            self._answer(is_head=False)

        def _answer(self, *, is_head: bool) -> None:
            body = f"{name} was asked for {self.path} of {self.headers['Host']}\n".encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if not is_head:
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing: the gateway logs."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """Say nothing of a client that has gone."""

    return Server((address, port), Backend)


def main(example: Path, gateway: str, ready: Path, address: str = ADDRESS) -> None:
    for name, port in PORTS.items():
        try:
            found = server(name, address, port)
        except OSError as error:
            sys.exit(f"the example's backend {name} cannot listen on {address}:{port}: {error.strerror}")
        threading.Thread(target=found.serve_forever, name=name, daemon=True).start()
    while not ready.exists():
        time.sleep(0.05)
    print((example / "try.txt").read_text().format(address=gateway, folder=example), flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), *sys.argv[4:])
