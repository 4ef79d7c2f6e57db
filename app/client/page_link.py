"""Links that open the page, once; and the way to the page of an app in a cluster.

Called by `telemock open` and the demo. The page of a cluster's app is reached through the tunnel
that the command line uses, by an address of this machine that relays to it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import msgspec
from starlette.types import Receive, Scope, Send

from app.client.source import LOCAL_HINTS, ApiSource, ClientError, token_of
from app.settings import Settings

PATH_CODES = "/api/v1/page/codes"
SESSION_S = 12 * 3600  # lifetime of a token that we request for a session
_BODY_CAP = 1 << 20
_TIMEOUT = httpx.Timeout(60, connect=10)
# Of one connection, not of the message.
_HOP = frozenset(
    ("connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding",
     "upgrade", "authorization")
)  # fmt: skip


class _Link(msgspec.Struct):
    path: str


def link(settings: Settings, url: str) -> str:
    """A link that opens the page of the app at `url`, once. Raises ClientError."""
    headers = {"authorization": f"Bearer {token_of(settings)}"}
    with httpx.Client(base_url=url, headers=headers, timeout=_TIMEOUT, trust_env=False) as client:
        return url.rstrip("/") + code(ApiSource(client, LOCAL_HINTS, lambda: ""))


def code(source: ApiSource) -> str:
    """The link's path. Raises ClientError."""
    content = source.post(PATH_CODES)
    try:
        return msgspec.json.decode(content, type=_Link).path
    except msgspec.DecodeError:
        raise ClientError(
            "the app's answer is not understood\n\nhint: is it of an earlier version, without a "
            "page? `telemock version` and GET /health tell"
        ) from None


class PageRelay:
    """An ASGI app that passes a browser's requests on, and adds nothing to them: who asks is known
    by the cookie alone. `address` is the only name that it answers to. It has no client of httpx,
    which would keep one visitor's cookie and send it with the next one's requests."""

    def __init__(
        self, through: httpx.AsyncBaseTransport, to: httpx.URL, why: Callable[[], str]
    ) -> None:
        self._through = through
        self._to = to
        self._why = why
        self.address = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self._live(receive, send)
        if scope["type"] != "http":
            return
        headers = [(n, v) for n, v in scope["headers"] if n.decode("latin-1") not in _HOP]
        if dict(headers).get(b"host", b"").decode("latin-1") != self.address:
            await _answer(send, 421, f"This is http://{self.address}/ only.\n")
            return
        body = b""
        while (message := await receive())["type"] == "http.request":
            body += message.get("body", b"")
            if len(body) > _BODY_CAP:
                await _answer(send, 413, "The request is too large.\n")
                return
            if not message.get("more_body"):
                break
        await self._pass_on(scope, headers, body, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        """Closes the connections to the app when the relay ends."""
        while True:
            event = (await receive())["type"]
            if event == "lifespan.shutdown":
                await self._through.aclose()
            await send({"type": f"{event}.complete"})
            if event == "lifespan.shutdown":
                return

    async def _pass_on(
        self, scope: Scope, headers: list[tuple[bytes, bytes]], body: bytes, send: Send
    ) -> None:
        query = scope["query_string"]
        url = self._to.copy_with(raw_path=scope["raw_path"] + (b"?" + query if query else b""))
        limits = {"timeout": _TIMEOUT.as_dict()}
        request = httpx.Request(
            scope["method"], url, headers=headers, content=body or None, extensions=limits
        )
        try:
            answer = await self._through.handle_async_request(request)
        except httpx.HTTPError as e:
            await _answer(send, 502, f"The app does not answer: {self._why() or e}\n")
            return
        try:
            passed = [
                (n, v) for n, v in answer.headers.raw if n.decode("latin-1").lower() not in _HOP
            ]
            await send(
                {"type": "http.response.start", "status": answer.status_code, "headers": passed}
            )
            async for piece in answer.aiter_raw():
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            await answer.aclose()


async def _answer(send: Send, status: int, text: str) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    start: dict[str, Any] = {"type": "http.response.start", "status": status, "headers": headers}
    await send(start)
    await send({"type": "http.response.body", "body": text.encode()})


@contextmanager
def page_in_cluster(context: str, name: str) -> Iterator[tuple[PageRelay, str]]:
    """The relay to the page of a cluster's app, and a link's path there. Raises ClientError."""
    from app.cluster import kube, remote  # slow to load, and not needed on a laptop

    try:
        api = kube.connect(context)
        try:
            release = remote.find(api, name)
            with remote.client(api, release, token_s=SESSION_S) as (client, tunnel):
                path = code(ApiSource(client, LOCAL_HINTS, lambda: tunnel.error))
                through = httpx.AsyncHTTPTransport(
                    verify=remote.trust(release), uds=str(tunnel.path), trust_env=False
                )
                yield PageRelay(through, client.base_url, lambda: tunnel.error), path
        finally:
            api.close()
    except (kube.KubeError, remote.RemoteError) as e:
        raise ClientError(str(e)) from None
