"""Starts openline for a test and stops it with the test."""

import asyncio
import os
import unittest

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
        process = await self.start(*command, "127.0.0.1:0", stderr=None)
        async for line in process.stdout:
            words, _, url = line.decode().strip().rpartition(" ")
            if words == "listening on":
                return url, process
        self.fail("no server")

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

    async def start(self, *command, stderr=asyncio.subprocess.PIPE):
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *command, stdin=pipe, stdout=pipe, stderr=stderr or asyncio.subprocess.DEVNULL
        )

        async def end():
            if process.returncode is None:
                process.kill()
            await process.wait()

        self.addAsyncCleanup(end)
        return process
