"""Python's `websockets` as the client of `openline serve`."""

import asyncio
import signal

from openline import MIB, TEXT, Test
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus


class Client(Test):
    async def test_messages_of_every_kind_and_size_come_back(self):
        url, _ = await self.serve()
        async with connect(url, max_size=None) as peer:
            sizes = [0, 1, 125, 126, 127, 65_535, 65_536, MIB]
            for message in [TEXT, "", *(bytes([0xA5]) * size for size in sizes), "x" * MIB]:
                await peer.send(message)
                self.assertEqual(await peer.recv(), message)

    async def test_many_messages_in_flight_come_back_in_order(self):
        url, _ = await self.serve()
        async with connect(url) as peer:
            messages = [f"{TEXT} {number}" for number in range(5_000)]

            async def send():
                for message in messages:
                    await peer.send(message)

            sending = asyncio.create_task(send())
            self.assertEqual([await peer.recv() for _ in messages], messages)
            await sending

    async def test_its_fragments_are_one_message(self):
        url, _ = await self.serve()
        async with connect(url, max_size=None) as peer:
            await peer.send(iter(TEXT))
            self.assertEqual(await peer.recv(), TEXT)
            await peer.send([b"x" * MIB, b"", b"y" * MIB])
            self.assertEqual(await peer.recv(), b"x" * MIB + b"y" * MIB)

    async def test_our_fragments_arrive_as_fragments(self):
        url, _ = await self.serve_fragments()
        async with connect(url, max_size=None) as peer:
            for message in [TEXT, bytes([0x5A]) * MIB]:
                await peer.send(message)
                pieces = [piece async for piece in peer.recv_streaming()]
                self.assertEqual(len(pieces), 3)
                self.assertEqual(type(message)().join(pieces), message)

    async def test_every_ping_has_its_pong(self):
        url, _ = await self.serve()
        async with connect(url) as peer:
            await peer.pong("unasked")
            waiting = [await peer.ping(payload) for payload in ["", "ping", "x" * 125]]
            for pong in waiting:
                self.assertGreater(await pong, 0)

    async def test_a_subprotocol_is_chosen_from_those_offered_or_none(self):
        url, _ = await self.serve("--subprotocol", "chat", "--subprotocol", "log")
        async with connect(url, subprotocols=["other", "log"]) as peer:
            self.assertEqual(peer.subprotocol, "log")
        async with connect(url, subprotocols=["other"]) as peer:
            self.assertIsNone(peer.subprotocol)

    async def test_its_close_code_comes_back(self):
        url, _ = await self.serve()
        for code, reason in [(1000, ""), (3000, "grüße"), (4999, "x" * 123)]:
            peer = await connect(url)
            await peer.close(code, reason)
            self.assertEqual(peer.close_code, code)

    async def test_our_close_code_and_reason_arrive(self):
        url, _ = await self.serve_fragments()
        peer = await connect(url)
        await peer.send("close 4001 grüße")
        with self.assertRaises(ConnectionClosed) as closed:
            await peer.recv()
        self.assertEqual(closed.exception.rcvd.code, 4001)
        self.assertEqual(closed.exception.rcvd.reason, "grüße")

    async def test_what_breaks_the_rules_is_closed_with_the_code_that_says_so(self):
        url, _ = await self.serve("--max-message", "1k")
        for message, text, code in [(b"x" * 1025, None, 1009), (b"\xc0", True, 1007)]:
            peer = await connect(url)
            await peer.send(message, text=text)
            with self.assertRaises(ConnectionClosed) as closed:
                await peer.recv()
            self.assertEqual(closed.exception.rcvd.code, code)

    async def test_sigterm_says_1001_and_ends_with_0(self):
        url, process = await self.serve()
        peer = await connect(url)
        process.send_signal(signal.SIGTERM)
        with self.assertRaises(ConnectionClosed) as closed:
            await peer.recv()
        self.assertEqual(closed.exception.rcvd.code, 1001)
        self.assertEqual(await process.wait(), 0)

    async def test_an_origin_that_is_not_on_the_list_is_refused(self):
        url, _ = await self.serve("--origin", "https://example.com")
        await (await connect(url, origin="https://example.com")).close()
        with self.assertRaises(InvalidStatus) as refused:
            await connect(url, origin="https://evil-example.com")
        self.assertEqual(refused.exception.response.status_code, 403)
