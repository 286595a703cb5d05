"""wss: Python's `websockets` in both roles, and openssl's s_client, over certificates made here."""

import asyncio
import ssl
import tempfile
from pathlib import Path

from openline import MIB, TEXT, Test
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import InvalidHandshake


async def echo(peer):
    async for message in peer:
        await peer.send(message)


class Tls(Test):
    async def asyncSetUp(self):
        await super().asyncSetUp()
        folder = tempfile.TemporaryDirectory(prefix="openline-interop-")
        self.addCleanup(folder.cleanup)
        self.certificate = str(Path(folder.name, "certificate.pem"))
        self.key = str(Path(folder.name, "key.pem"))
        await self.openssl(
            *["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"],
            *["-nodes", "-days", "2", "-subj", "/CN=interop", "-keyout", self.key],
            *["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-out", self.certificate],
            *["-addext", "basicConstraints=critical,CA:FALSE"],
        )

    async def openssl(self, *words, asked=b""):
        process = await self.start("openssl", *words)
        out, log = await process.communicate(asked)
        return out.decode(errors="replace") + log.decode(errors="replace")

    async def serve_tls(self, *options):
        return await self.serve("--tls", self.certificate, self.key, *options)

    def trusting(self):
        return ssl.create_default_context(cafile=self.certificate)

    async def test_as_a_server_of_websockets(self):
        url, _ = await self.serve_tls()
        self.assertTrue(url.startswith("wss://"), url)
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = self.trusting()
            context.minimum_version = context.maximum_version = version
            async with connect(url, ssl=context, max_size=None) as client:
                for message in (TEXT, b"", b"x" * 16_384, b"x" * (4 * MIB)):
                    await client.send(message)
                    self.assertEqual(await client.recv(), message)

    async def test_as_a_client_of_websockets(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        server = await serve(echo, "127.0.0.1", 0, max_size=None, ssl=context)
        self.addAsyncCleanup(server.wait_closed)
        self.addCleanup(server.close)
        port = server.sockets[0].getsockname()[1]
        lines = [TEXT, "", "x" * 65_536, "x" * MIB]
        for host in ("localhost", "127.0.0.1"):
            url = f"wss://{host}:{port}/"
            code, out, log = await self.connect(
                "\n".join(lines) + "\n", url, "--ca", self.certificate
            )
            self.assertEqual(out.split("\n"), [*lines, ""])
            self.assertEqual(code, 0, log)
        code, _, log = await self.connect("", f"wss://localhost:{port}/")
        self.assertEqual(code, 8, log)
        self.assertIn("not trusted", log)

    async def test_client_certificates(self):
        url, _ = await self.serve_tls("--tls-client-ca", self.certificate)
        context = self.trusting()
        context.load_cert_chain(self.certificate, self.key)
        async with connect(url, ssl=context) as client:
            await client.send(TEXT)
            self.assertEqual(await client.recv(), TEXT)
        # TLS 1.3 tells a client only after it has asked that its certificate is missing.
        with self.assertRaises((ssl.SSLError, OSError, InvalidHandshake)):
            async with connect(url, ssl=self.trusting()) as client:
                await client.recv()

    async def test_openssl(self):
        url, _ = await self.serve_tls()
        address = url.removeprefix("wss://").rstrip("/")
        request = (
            b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
            # A Close frame, after which openline ends the stream.
            b"\x88\x82\x00\x00\x00\x00\x03\xe8"
        )
        for version in ("-tls1_2", "-tls1_3"):
            said = await self.openssl(
                *["s_client", "-connect", address, "-CAfile", self.certificate, version],
                *["-alpn", "http/1.1", "-verify_hostname", "localhost", "-ign_eof"],
                asked=request,
            )
            for words in (
                "Verify return code: 0 (ok)",
                "ALPN protocol: http/1.1",
                "HTTP/1.1 101 ",
                "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
                "closed",
            ):
                self.assertIn(words, said)
        refused = await self.openssl("s_client", "-connect", address, "-alpn", "h2")
        self.assertIn("alert no application protocol", refused)
        refused = await self.openssl("s_client", "-connect", address, "-tls1_1")
        self.assertNotIn("HTTP/1.1", refused)
