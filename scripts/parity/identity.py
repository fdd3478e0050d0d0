"""Serves an image, has `clip-data fetch` ask for it with a signed identity, and verifies every request with
http-message-signatures."""

import argparse
import base64
import hashlib
import subprocess
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from http_message_signatures import (
    HTTPMessageVerifier, HTTPMessageSignaturesException, HTTPSignatureKeyResolver, algorithms)

SITE = "https://crawler.example"
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")


class Keys(HTTPSignatureKeyResolver):
    def __init__(self, public, name):
        self.public, self.name = public, name

    def resolve_public_key(self, key_id):
        assert key_id == self.name, key_id
        return self.public

    def resolve_private_key(self, key_id):
        raise KeyError(key_id)


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def serve(seen):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            url = f"http://{self.headers['Host']}{self.path}"
            seen.append(SimpleNamespace(method="GET", url=url, headers=dict(self.headers.items())))
            if self.path == "/moved.png":
                self.send_response(302)
                self.send_header("Location", "/image.png?a=1")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            found = self.path.startswith("/image.png")
            body = PNG if found else b""
            self.send_response(200 if found else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--ours", required=True)
    ours = parser.parse_args().ours
    private = Ed25519PrivateKey.generate()
    public = private.public_key()
    x = base64url(public.public_bytes(Encoding.Raw, PublicFormat.Raw))
    name = base64url(hashlib.sha256(f'{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}'.encode()).digest())
    seen = []
    port = serve(seen)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (folder / "key.pem").write_bytes(pem)
        (folder / "list.txt").write_text(
            f"http://127.0.0.1:{port}/image.png\nhttp://localhost:{port}/moved.png\n")
        subprocess.run([ours, "fetch", "list.txt", "--out", "out", "--allow_private", "True", "--proxy", "none",
                        "--identity_key", "key.pem", "--identity_url", SITE],
                       cwd=folder, check=True, stdout=subprocess.DEVNULL)
    verifier = HTTPMessageVerifier(signature_algorithm=algorithms.ED25519, key_resolver=Keys(public, name))
    needs = ("@authority", "signature-agent")
    for request in seen:
        assert request.headers.get("signature-agent", request.headers.get("Signature-Agent")) == f'"{SITE}"'
        results = verifier.verify(request, expect_tag="web-bot-auth", require_components=needs)
        assert len(results) == 1, results
        # The same signature for another host must not hold.
        other = SimpleNamespace(method="GET", url="http://other.example/", headers=request.headers)
        try:
            verifier.verify(other, expect_tag="web-bot-auth", require_components=needs)
            sys.exit(f"{request.url}: the signature holds for another host")
        except HTTPMessageSignaturesException:
            pass
    # robots.txt of both hosts, the image, the redirect, and what it leads to.
    assert len(seen) == 5, [request.url for request in seen]
    print(f"{len(seen)} requests of {len({r.headers['Host'] if 'Host' in r.headers else r.headers['host'] for r in seen})} hosts, each with a signature that holds for it and for no other host")


if __name__ == "__main__":
    main()
