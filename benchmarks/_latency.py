"""`python -m benchmarks._latency HOST:PORT MS`: a relay before a server, so many ms there and back.

It delays bytes, not requests, half the time in each direction: a client that keeps its
connections, has several requests under way or makes fewer of them gains what it would
gain on a real line. Opening a connection takes one way there and back, too.
It prints its port, and ends with its standard input.
"""

import asyncio
import socket
import sys
import threading

_PIECE = 256 * 1024
_UNDER_WAY = 256  # pieces; a line has room for what is on its way


async def _carry(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seconds: float
) -> None:
    """Pass each piece on *seconds* after it came, without holding up the next."""
    loop = asyncio.get_running_loop()
    line: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_UNDER_WAY)

    async def deliver() -> None:
        while True:
            due, piece = await line.get()
            await asyncio.sleep(due - loop.time())
            if not piece:
                writer.close()
                return
            writer.write(piece)
            await writer.drain()

    delivery = asyncio.create_task(deliver())
    try:
        piece = b"start"
        while piece:
            piece = await reader.read(_PIECE)
            await line.put((loop.time() + seconds, piece))
        await delivery
    except ConnectionError:
        delivery.cancel()
        writer.close()


async def _relay(upstream: tuple[str, int], seconds: float) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await asyncio.sleep(2 * seconds)  # a connection is opened
            there, back = await asyncio.open_connection(*upstream, limit=_PIECE)
            for end in (writer, back):
                end.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await asyncio.gather(_carry(reader, back, seconds), _carry(there, writer, seconds))
        except (ConnectionError, asyncio.CancelledError):
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=_PIECE)
    print(server.sockets[0].getsockname()[1], flush=True)
    loop, ended = asyncio.get_running_loop(), asyncio.Event()

    def wait() -> None:
        sys.stdin.read()
        loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=wait, daemon=True).start()
    await ended.wait()


if __name__ == "__main__":
    host, _, port = sys.argv[1].partition(":")
    asyncio.run(_relay((host, int(port)), float(sys.argv[2]) / 2000))
