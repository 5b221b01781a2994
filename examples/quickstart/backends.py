"""The quickstart's backends: one small server for each Service of services.yaml, which says who it is.

    python backends.py GATEWAY_ADDRESS READY_FILE

Once READY_FILE is there, it prints what to try.
"""

import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ADDRESS = "127.0.0.1"
PORTS = {"storefront": 9101, "api-v1": 9102, "api-v2": 9103, "blog": 9104}

TRY = """
Try, in another terminal:

  # by host, and by path
  curl -H 'Host: shop.example.com' http://{address}:8080/
  curl -H 'Host: blog.example.com' http://{address}:8080/
  curl -H 'Host: shop.example.com' http://{address}:8080/api/items
  # by weight: api-v1 about 16 times of 20, api-v2 the others
  for i in $(seq 20); do curl -s -H 'Host: shop.example.com' http://{address}:8080/api; done | sort | uniq -c
  # by header: api-v2
  curl -H 'Host: shop.example.com' -H 'X-Preview: yes' http://{address}:8080/api
  # a redirect to /new/page
  curl -i -H 'Host: shop.example.com' http://{address}:8080/old/page
  # a rewrite: the backend is asked for /api/items
  curl -H 'Host: shop.example.com' http://{address}:8080/legacy/api/items
  # no route: 404
  curl -i -H 'Host: nobody.example.com' http://{address}:8080/

Edit a file in {folder} and try again: changes are in effect within a second. Ctrl-C ends it all.
"""


def server(name: str, port: int) -> ThreadingHTTPServer:
    """A server that answers every GET with its name and what it was asked for."""

    class Backend(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = f"{name} was asked for {self.path} of {self.headers['Host']}\n".encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing: the gateway logs."""

    return ThreadingHTTPServer((ADDRESS, port), Backend)


def main(address: str, ready: Path) -> None:
    for name, port in PORTS.items():
        threading.Thread(target=server(name, port).serve_forever, name=name, daemon=True).start()
    while not ready.exists():
        time.sleep(0.05)
    print(TRY.format(address=address, folder=Path(__file__).parent), flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
