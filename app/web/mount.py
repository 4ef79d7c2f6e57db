"""Adds the page to the app: its views, its files, the way in, and how it refuses.

Called by `app.main`.
"""

from fastapi import FastAPI

from app.web import (
    assets,
    captures,
    entrance,
    field,
    fields,
    health,
    overview,
    profiles,
    report,
    versions,
    workloads,
)
from app.web.page import PageError, SignIn, refuse


def mount(app: FastAPI) -> None:
    views = (overview, captures, field, fields, versions, workloads, profiles, report, health)
    for room in (*views, entrance, assets):
        app.include_router(room.routes)
    app.include_router(entrance.api)
    app.add_exception_handler(PageError, refuse)
    app.add_exception_handler(SignIn, refuse)
