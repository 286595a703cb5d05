"""Python's `websockets` as the server of `openline connect`, a filter: lines in, messages out."""

from openline import MIB, TEXT, Test
from websockets.asyncio.server import basic_auth, serve


async def echo(peer):
    async for message in peer:
        await peer.send(message)


class Server(Test):
    async def listen(self, each, **options):
        server = await serve(each, "127.0.0.1", 0, max_size=None, **options)

        async def end():
            server.close()
            await server.wait_closed()

        self.addAsyncCleanup(end)
        _, port = server.sockets[0].getsockname()
        return f"ws://127.0.0.1:{port}/path?query"

    async def test_lines_go_out_as_messages_and_come_back_as_lines(self):
        url = await self.listen(echo)
        lines = [TEXT, "", "x" * 125, "x" * 126, "x" * 65_536, "x" * MIB]
        code, out, log = await self.connect("\n".join(lines) + "\n", url)
        self.assertEqual(out.split("\n"), [*lines, ""])
        self.assertEqual(code, 0, log)

    async def test_binary_sends_bytes_as_binary_messages(self):
        messages = []

        async def keep(peer):
            messages.extend([message async for message in peer])

        url = await self.listen(keep)
        code, _, log = await self.connect(f"{TEXT}\n", "--binary", url)
        self.assertEqual(messages, [TEXT.encode()])
        self.assertEqual(code, 0, log)

    async def test_its_fragments_are_one_message(self):
        async def fragments(peer):
            await peer.send(iter(TEXT))
            await peer.close(1000)

        url = await self.listen(fragments)
        _, out, _ = await self.connect(None, url)
        self.assertEqual(out, f"{TEXT}\n")

    async def test_our_fragments_are_one_message(self):
        messages = [TEXT, "", bytes([0x5A]) * MIB]
        answers = []

        async def ask(peer):
            for message in messages:
                await peer.send(message)
                answers.append(await peer.recv())

        url = await self.listen(ask)
        code, log = await self.connect_fragments(url)
        self.assertEqual(answers, messages)
        self.assertEqual(code, 0, log)

    async def test_its_pings_are_answered(self):
        latencies = []

        async def ping(peer):
            latencies.append(await (await peer.ping("are you there")))

        url = await self.listen(ping)
        code, _, log = await self.connect(None, url)
        self.assertEqual(len(latencies), 1)
        self.assertEqual(code, 0, log)

    async def test_the_request_says_what_the_options_say(self):
        seen = []

        async def look(peer):
            seen.append((peer.request, peer.subprotocol))

        url = await self.listen(look, subprotocols=["log"], origins=["https://example.com"])
        options = ["--subprotocol", "chat", "--subprotocol", "log"]
        options += ["--origin", "https://example.com", "--header", "X-Answer: 42"]
        code, _, log = await self.connect(None, *options, url)
        self.assertEqual(code, 0, log)
        [(request, subprotocol)] = seen
        self.assertEqual(subprotocol, "log")
        self.assertEqual(request.path, "/path?query")
        self.assertEqual(request.headers["X-Answer"], "42")

    async def test_our_close_code_and_reason_arrive(self):
        codes = []

        async def wait(peer):
            await peer.wait_closed()
            codes.append((peer.close_code, peer.close_reason))

        url = await self.listen(wait)
        await self.connect("", "--close", "4001", "grüße", url)
        await self.connect("", url)
        self.assertEqual(codes, [(4001, "grüße"), (1000, "")])

    async def test_its_close_code_and_reason_are_told(self):
        async def close(peer):
            await peer.close(4002, "grüße")

        code, _, log = await self.connect(None, "-v", await self.listen(close))
        self.assertEqual(code, 7)
        self.assertIn("4002", log)
        self.assertIn("grüße", log)

    async def test_user_and_password_open_what_is_refused_without(self):
        url = await self.listen(
            echo, process_request=basic_auth(realm="test", credentials=("user", "pass"))
        )
        code, _, log = await self.connect("", url)
        self.assertEqual(code, 4)
        self.assertIn("401", log)
        code, out, log = await self.connect(f"{TEXT}\n", url.replace("ws://", "ws://user:pass@"))
        self.assertEqual((code, out), (0, f"{TEXT}\n"), log)

    async def test_an_origin_that_it_refuses_is_told_with_its_status(self):
        url = await self.listen(echo, origins=["https://example.com"])
        code, _, log = await self.connect("", "--origin", "https://evil-example.com", url)
        self.assertEqual(code, 4)
        self.assertIn("403", log)
