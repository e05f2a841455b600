#!/usr/bin/python3
"""A proxy for tests: listens on a TCP port and does to a server's answers what networks and dying servers do.

A line to the control port is the mode from now on, for open connections, too; "ok" tells that it is in force.
  pass             all goes through (the mode at the start)
  delay MS         answers come so much later
  cut BYTES        of each connection so many more bytes of answers go through, then it is closed
  hold             connections are accepted, and nothing moves in either direction until the mode changes
  reset            connections, open and new, are reset
  garbage [HEX]    in the place of answers come as many random bytes, or these; who got any is cut off when the mode ends
"""
import argparse
import asyncio
import random
import socket
import struct


class Client(asyncio.Protocol):
    """One client's connection."""

    def __init__(self, proxy):
        self.proxy = proxy
        self.server = None
        self.early = b""            # what came before there was a server to give it to
        self.left = proxy.number    # bytes of answers until it is cut
        self.garbled = False
        self.due = 0                # when the last answer goes out
        self.waiting = 0            # how many have not: the next is not to overtake them

    def connection_made(self, transport):
        self.transport = transport
        self.proxy.clients.add(self)
        self.follow()

    def follow(self):
        """Does as the mode wants it."""
        self.left = self.proxy.number
        if self.proxy.mode == "reset":
            return self.reset()
        if self.garbled:            # answers are told apart by their order alone
            return self.transport.close()
        held = self.proxy.mode == "hold"
        if self.server and self.server.transport:
            for end in (self.transport, self.server.transport):
                end.pause_reading() if held else end.resume_reading()
        elif not self.server and not held:
            self.server = Server(self)
            self.proxy.loop.create_task(self.server.connect())

    def reset(self):
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def data_received(self, data):
        if self.server and self.server.transport:
            self.server.transport.write(data)
        else:
            self.early += data

    def connection_lost(self, _):
        self.proxy.clients.discard(self)
        if self.server and self.server.transport:
            self.server.transport.close()

    def answer(self, data):
        mode = self.proxy.mode
        if mode == "garbage":
            data = self.proxy.noise or random.randbytes(len(data))
            self.garbled = True
        elif mode == "cut":
            data = data[:self.left]
            self.left -= len(data)
        self.later(self.transport.write, data)
        if mode == "cut" and self.left == 0:
            self.later(self.transport.close)

    def later(self, do, *arguments):
        wait = self.proxy.number / 1000 if self.proxy.mode == "delay" else 0
        if not wait and not self.waiting:
            return do(*arguments)
        # what is due at the same time would go out in any order
        self.due = max(self.due + 1e-6, self.proxy.loop.time() + wait)
        self.waiting += 1
        self.proxy.loop.call_at(self.due, self.now, do, *arguments)

    def now(self, do, *arguments):
        self.waiting -= 1
        do(*arguments)


class Server(asyncio.Protocol):
    """The connection to the server for a client's."""

    def __init__(self, client):
        self.client = client
        self.transport = None

    async def connect(self):
        try:
            await self.client.proxy.connect(self)
        except OSError:
            self.client.reset()

    def connection_made(self, transport):
        self.transport = transport
        transport.write(self.client.early)
        if self.client.transport.is_closing():
            transport.close()
        else:
            self.client.follow()

    def data_received(self, data):
        self.client.answer(data)

    def connection_lost(self, _):
        self.client.later(self.client.transport.close)


class Proxy:
    def __init__(self, to):
        self.to = to
        self.loop = asyncio.get_running_loop()
        self.clients = set()
        self.change("pass")

    def change(self, line):
        self.mode, *arguments = line.split() + [""]
        self.noise = bytes.fromhex(arguments[0]) if self.mode == "garbage" else b""
        self.number = int(arguments[0]) if self.mode in ("delay", "cut") else 0
        for client in list(self.clients):
            client.follow()

    def connect(self, server):
        if self.to.startswith("/"):
            return self.loop.create_unix_connection(lambda: server, self.to)
        host, port = self.to.split(":")
        return self.loop.create_connection(lambda: server, host, int(port))

    async def control(self, reader, writer):
        self.change((await reader.readline()).decode())
        writer.write(b"ok\n")
        writer.close()


async def main():
    parser = argparse.ArgumentParser(description="A proxy that breaks what it carries")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--control", type=int, required=True)
    parser.add_argument("--to", required=True, help="HOST:PORT, or the path of a socket")
    options = parser.parse_args()
    proxy = Proxy(options.to)
    await proxy.loop.create_server(lambda: Client(proxy), "127.0.0.1", options.port, backlog=1024)
    control = await asyncio.start_server(proxy.control, "127.0.0.1", options.control)
    await control.serve_forever()


asyncio.run(main())
