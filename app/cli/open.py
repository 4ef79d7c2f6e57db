"""`telemock open`: opens the page in a browser, by a link that works once."""

import os
import socket
import sys
import webbrowser
from typing import Annotated

import typer

from app.cli.options import Server
from app.escape import plain

# Named as TCP, so that asyncio sets TCP_NODELAY.
_TCP = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)


def open_page(
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open it, or only print the link.")
    ] = True,
    server: Server = "",
) -> None:
    """Open the page: print a link that works once, and open it in a browser.

    With --server cluster it goes through a tunnel with the kubeconfig's rights, and runs until
    Ctrl-C.

    Example: telemock open
    """
    from app.client.page_link import link
    from app.client.running import running_app
    from app.client.source import ClientError
    from app.settings import CLUSTER, load

    settings = load()
    url = server or settings.server or running_app(settings.data)
    if url == CLUSTER or url.startswith(f"{CLUSTER}:"):
        _through_tunnel(url.partition(":")[2], settings.fullname, browser)
        return
    if not url:
        raise ClientError(
            f"no app runs on {settings.data}\n\nhint: start one with `telemock serve`, or "
            "`make demo KEEP=1`; --server names one elsewhere"
        )
    _show(link(settings, url), browser)


def _show(link: str, browser: bool) -> None:
    typer.echo(plain(link, 2000))
    if browser and _has_screen():
        webbrowser.open(link)


def _has_screen() -> bool:
    """False where a browser would take the terminal over."""
    here = sys.platform != "linux" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    return bool(here) and not os.environ.get("SSH_CONNECTION")


def _through_tunnel(context: str, name: str, browser: bool) -> None:
    from app.cli.server import Server as Quiet
    from app.cli.server import config
    from app.client.page_link import page_in_cluster

    with page_in_cluster(context, name) as (relay, path), socket.socket(*_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        relay.address = f"127.0.0.1:{listener.getsockname()[1]}"
        typer.echo("the page is reached through a tunnel, until Ctrl-C")
        _show(f"http://{relay.address}{path}", browser)
        Quiet(config(relay)).run(sockets=[listener])
