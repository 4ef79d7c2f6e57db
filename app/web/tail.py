"""Streams what arrives to a live list, as server-sent events.

`rows`: some of the new rows and their number. `end`: a sentence that says why there will be no
more; the browser then does not connect again. Any other end it takes for a break, and asks again
from the last event's id: the place in the order of arrival, which outlives a restart of the app.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Request, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent

from app.contract.names import SCOPE_STREAM
from app.store import CaptureQuery, QueryError, filter
from app.web.feed import Feed, FullError
from app.web.page import HEADERS, PageError, SignIn, admit

AGAIN_S = 10.0  # between two looks at the session
_RETRY_MS = 2_000
_FULL = "\n\nhint: close one, or load this page again now and then"

routes = APIRouter(include_in_schema=False)


async def _feed(request: Request, response: Response) -> Feed:
    response.headers.update(HEADERS)  # before the stream begins
    feed: Feed = request.app.state.feed
    return feed


def _end(why: str) -> ServerSentEvent:
    said, _, hint = why.partition("\n\nhint: ")
    return ServerSentEvent(event="end", data={"said": said, "hint": hint})


@routes.get("/captures/tail", response_class=EventSourceResponse)
async def tail(
    request: Request,
    feed: Annotated[Feed, Depends(_feed)],
    q: str = "",
    after: str = "",
    last_event_id: Annotated[str, Header()] = "",
) -> AsyncIterator[ServerSentEvent]:
    request.scope[SCOPE_STREAM] = True
    try:
        async for event in _events(request, feed, q, last_event_id or after):
            yield event
    except SignIn as e:
        yield _end(str(e) or "Nobody is signed in.")
    except (PageError, QueryError) as e:
        yield _end(str(e))
    except FullError as e:
        yield _end(f"{e}{_FULL}")


async def _events(
    request: Request, feed: Feed, q: str, after: str
) -> AsyncIterator[ServerSentEvent]:
    visitor = await admit(request, "list")
    query = filter.read(q, CaptureQuery(namespaces=visitor.namespaces))
    looked = time.monotonic()
    with feed.following(q, query, after, visitor.name, visitor.form_token) as follower:
        yield ServerSentEvent(event="began", data={}, retry=_RETRY_MS, id=after or None)
        while True:
            news: Any = ...
            try:
                async with asyncio.timeout(AGAIN_S):
                    news = await follower.news()
            except TimeoutError:
                pass
            if news is None:
                return
            if time.monotonic() - looked >= AGAIN_S:
                if (await admit(request, "list")).namespaces != visitor.namespaces:
                    return  # the browser comes again, with the rights of now
                looked = time.monotonic()
            if news is not ...:
                told = news._asdict()
                yield ServerSentEvent(event="rows", id=told.pop("cursor"), data=told)
