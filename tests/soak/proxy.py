"""A TCP proxy whose connections can be slowed down, cut and refused while others use it."""

import asyncio


class Proxy:
    """In front of a port of this machine. `delay` is in seconds, for each piece that passes in either direction."""

    def __init__(self, port, target=None):
        self.port, self.target = port, target
        self.delay = 0.0
        self.server = None
        self.writers = set()

    async def start(self):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", self.port, backlog=1024)

    async def stop(self):
        """Refuses connections and cuts those that are open."""
        if self.server is not None:
            self.server.close()
            self.server = None
        self.cut()

    def cut(self):
        for writer in list(self.writers):
            writer.transport.abort()

    async def serve(self, reader, writer):
        try:
            other_reader, other_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        pair = {writer, other_writer}
        self.writers |= pair
        try:
            await asyncio.gather(self.copy(reader, other_writer), self.copy(other_reader, writer))
        finally:
            self.writers -= pair
            for end in pair:
                end.transport.abort()

    async def copy(self, reader, writer):
        try:
            while piece := await reader.read(65536):
                if self.delay:
                    await asyncio.sleep(self.delay)
                writer.write(piece)
                await writer.drain()
            writer.write_eof()
        except (OSError, RuntimeError):
            # The other end is gone. That is what this is for.
            writer.transport.abort()
