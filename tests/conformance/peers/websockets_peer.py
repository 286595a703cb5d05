"""Python's websockets as a peer under test: an echo, in both roles.

python websockets_peer.py serve HOST:PORT
python websockets_peer.py connect ws://HOST:PORT AGENT      follows Autobahn's control paths
"""

import asyncio
import logging
import sys

from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import InvalidHandshake, InvalidMessage, WebSocketException

SETTINGS = {"max_size": 32 << 20, "ping_interval": None, "open_timeout": 30}


async def echo(connection):
    try:
        async for message in connection:
            await connection.send(message)
    except WebSocketException:
        pass  # what a case does to a connection is not our concern


async def be_server(address):
    host, port = address.split(":")
    async with serve(echo, host, int(port), **SETTINGS) as server:
        await server.serve_forever()


async def be_client(url, agent):
    async with connect(f"{url}/getCaseCount", **SETTINGS) as connection:
        count = int(await connection.recv())
    for case in range(1, count + 1):
        try:
            async with connect(f"{url}/runCase?case={case}&agent={agent}", **SETTINGS) as connection:
                await echo(connection)
        except (InvalidHandshake, InvalidMessage, WebSocketException, OSError, EOFError):
            pass  # nor is how it does not open
    async with connect(f"{url}/updateReports?agent={agent}", **SETTINGS) as connection:
        await connection.wait_closed()


if __name__ == "__main__":
    logging.disable()
    task, where, *agent = sys.argv[1:]
    asyncio.run(be_server(where) if task == "serve" else be_client(where, *agent))
