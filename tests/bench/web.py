"""A web server for the other traffic where there is no nginx: one fixed answer, plain and in TLS.

`python -m tests.bench.web ADDRESS CERTIFICATE KEY` listens on ports 80 and 443 until it is killed.
"""

import asyncio
import ssl
import sys
from typing import Any, cast

import httptools
import uvloop

BODY = b"cribl /// living the stream!\n"


class Answering(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._parser: Any = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.abort()

    def on_message_complete(self) -> None:
        stays = self._parser.should_keep_alive()
        head = f"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {len(BODY)}\r\n"
        head += "\r\n" if stays else "connection: close\r\n\r\n"
        self._transport.write(head.encode() + BODY)
        if not stays:
            self._transport.close()


async def _serve(address: str, certificate: str, key: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    loop = asyncio.get_running_loop()
    await loop.create_server(Answering, address, 80)
    server = await loop.create_server(Answering, address, 443, ssl=context)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(*sys.argv[1:]))
