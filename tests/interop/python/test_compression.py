"""permessage-deflate with Python's `websockets`, in both roles."""

from openline import TEXT, Test
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.extensions.permessage_deflate import (
    ClientPerMessageDeflateFactory,
    ServerPerMessageDeflateFactory,
)

MESSAGES = [TEXT * 40, TEXT, "", TEXT * 40, "x" * 200_000, TEXT * 40]

# What openline is told, what `websockets` asks for, and what is then agreed to.
CASES = [
    (["--compress"], {}, "server_no_context_takeover; client_no_context_takeover"),
    (["--compress", "--compress-context"], {}, "permessage-deflate"),
    (
        ["--compress", "--compress-context"],
        {"server_max_window_bits": 9, "client_max_window_bits": 10},
        "server_max_window_bits=9; client_max_window_bits=10",
    ),
    (
        ["--compress", "--compress-context", "--compress-min", "0"],
        {"server_no_context_takeover": True, "client_no_context_takeover": True},
        "server_no_context_takeover; client_no_context_takeover",
    ),
]


class Compression(Test):
    async def test_as_client(self):
        for options, theirs, agreed in CASES:
            with self.subTest(agreed):
                url, _ = await self.serve(*options)
                theirs = {"client_max_window_bits": True, **theirs}
                factory = ClientPerMessageDeflateFactory(**theirs)
                async with connect(
                    url, compression=None, extensions=[factory], max_size=None
                ) as peer:
                    self.assertIn(agreed, peer.response.headers["Sec-WebSocket-Extensions"])
                    for message in MESSAGES * 2:
                        await peer.send(message)
                        self.assertEqual(await peer.recv(), message)

    async def test_as_server(self):
        async def echo(peer):
            async for message in peer:
                await peer.send(message)

        for options, theirs, agreed in CASES:
            with self.subTest(agreed):
                factory = ServerPerMessageDeflateFactory(**theirs)
                async with serve(
                    echo, "127.0.0.1", 0, max_size=None, compression=None, extensions=[factory]
                ) as server:
                    _, port = server.sockets[0].getsockname()
                    lines = "\n".join(MESSAGES) + "\n"
                    code, out, log = await self.connect(
                        lines, *options, "-v", f"ws://127.0.0.1:{port}/"
                    )
                    self.assertEqual(out, lines)
                    self.assertEqual(code, 0, log)
                    self.assertIn(agreed, log)
