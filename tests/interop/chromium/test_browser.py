"""Headless Chromium as the client of `openline serve`: it loads page.html, which checks."""

import base64
import hashlib
import html
import re
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlencode

from openline import Test

PAGE = Path(__file__).with_name("page.html").read_bytes()
OPTIONS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# What the page's checks of compression talk to, beside --compress.
COMPRESSION = {
    "compress": ["--compress-min", "0"],
    "context": ["--compress-context"],
    "window": [
        *["--compress-context", "--compress-min", "0"],
        *["--compress-server-window", "9", "--compress-client-window", "10"],
    ],
}


class Browser(Test):
    async def test_page(self):
        await self.check()

    async def test_page_over_tls(self):
        with tempfile.TemporaryDirectory() as folder:
            certificate, key = f"{folder}/certificate.pem", f"{folder}/key.pem"
            await self.run_to_end(
                *["openssl", "req", "-x509", "-newkey", "ec", "-nodes", "-days", "2"],
                *["-pkeyopt", "ec_paramgen_curve:prime256v1", "-subj", "/CN=interop"],
                *["-addext", "subjectAltName=IP:127.0.0.1"],
                *["-keyout", key, "-out", certificate],
            )
            # What Chromium is told to accept is this key, and no other.
            public = await self.run_to_end(
                "openssl", "pkey", "-in", key, "-pubout", "-outform", "DER"
            )
            pin = base64.b64encode(hashlib.sha256(public).digest()).decode()
            pins = f"--ignore-certificate-errors-spki-list={pin}"
            await self.check(["--tls", certificate, key], [pins])

    async def run_to_end(self, *command):
        process = await self.start(*command)
        out, log = await process.communicate()
        self.assertEqual(process.returncode, 0, log.decode(errors="replace"))
        return out

    async def check(self, tls=(), options=()):
        site = Site()
        self.addCleanup(site.close)
        origin = f"http://127.0.0.1:{site.server_port}"
        echo, _ = await self.serve(
            *["--origin", origin, "--subprotocol", "chat", "--max-message", "2M"], *tls
        )
        elsewhere, _ = await self.serve("--origin", "https://example.com", *tls)
        fragments, _ = await self.serve_fragments()
        servers = {"echo": echo, "elsewhere": elsewhere, "fragments": fragments}
        for name, compression in COMPRESSION.items():
            servers[name], _ = await self.serve("--compress", *compression, *tls)
        document = await self.load(f"{origin}/?{urlencode(servers)}", options)

        verdict = re.search(r'<pre id="verdict">(.*?)</pre>', document, re.DOTALL)
        self.assertIsNotNone(verdict, document)
        *lines, total = html.unescape(verdict[1]).strip().split("\n")
        self.assertEqual(total, f"of {len(lines)}")
        print()
        for line in lines:
            print(f"- {line}")
            with self.subTest(line):
                self.assertTrue(line.endswith(": ok"))

    async def load(self, url, options=()):
        """The document as it stands when the page has loaded."""
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
            options = [*OPTIONS, *options, f"--user-data-dir={profile}"]
            process = await self.start("chromium", *options, "--dump-dom", url)
            document, log = await process.communicate()
        self.assertEqual(process.returncode, 0, log.decode(errors="replace"))
        return document.decode()


class Site(ThreadingHTTPServer):
    """Serves the page, and keeps it loading until it says that its checks are done."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answer)
        self.done = threading.Event()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def close(self):
        self.done.set()
        self.shutdown()
        self.server_close()


class Answer(BaseHTTPRequestHandler):
    def do_GET(self):
        path = self.path.partition("?")[0]
        if path == "/done":
            self.server.done.set()
        if path == "/wait":
            self.server.done.wait()
        self.send_response(200 if path == "/" else 204)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        if path == "/":
            self.wfile.write(PAGE)

    def log_message(self, *_):
        pass
