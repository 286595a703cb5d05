"""Starts openline for a test and stops it with the test."""

import asyncio
import os
import socket
import unittest
from contextlib import closing

OPENLINE = os.environ["OPENLINE"]  # the program
PEER = os.environ["OPENLINE_PEER"]  # the peer of peer.rs, for what the program does not do

TEXT = "κόσμε — 日本語 — 🦀"
MIB = 1 << 20
TEST_SECONDS_MAX = 60


class Test(unittest.IsolatedAsyncioTestCase):
    """A test in which nothing outlives its time, openline's processes included."""

    async def asyncSetUp(self):
        asyncio.get_running_loop().set_debug(False)  # it warns of whatever takes a while
        watchdog = asyncio.get_running_loop().call_later(
            TEST_SECONDS_MAX, asyncio.current_task().cancel
        )
        self.addCleanup(watchdog.cancel)

    async def serve(self, *options):
        """`openline serve` with these options: its URL and its process."""
        return await self.server(OPENLINE, "serve", *options)

    async def serve_fragments(self):
        """The peer as a server, which answers in fragments: its URL and its process."""
        return await self.server(PEER, "serve")

    async def server(self, *command):
        port = free_port()
        process = await self.start(*command, f"127.0.0.1:{port}", pipes=None)
        for _ in range(400):
            if process.returncode is not None:
                break
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return f"ws://127.0.0.1:{port}/", process
            except OSError:
                await asyncio.sleep(0.025)
        self.fail(f"no server: {process.returncode}")

    async def connect(self, lines, *options):
        """`openline connect` as a filter: the exit code, what came out, and the log.

        `lines` is what it reads; None is nothing yet, and not the end either.
        """
        process = await self.start(OPENLINE, "connect", *options)
        if lines is None:
            out, log = await asyncio.gather(process.stdout.read(), process.stderr.read())
            await process.wait()
        else:
            out, log = await process.communicate(lines.encode())
        return process.returncode, out.decode(), log.decode()

    async def connect_fragments(self, url):
        """The peer as a client, which answers in fragments."""
        process = await self.start(PEER, "connect", url)
        _, log = await process.communicate()
        return process.returncode, log.decode()

    async def start(self, *command, pipes=asyncio.subprocess.PIPE):
        quiet = asyncio.subprocess.DEVNULL
        process = await asyncio.create_subprocess_exec(
            *command, stdin=pipes or quiet, stdout=pipes or quiet, stderr=pipes or quiet
        )

        async def end():
            if process.returncode is None:
                process.kill()
            await process.wait()

        self.addAsyncCleanup(end)
        return process


def free_port():
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
