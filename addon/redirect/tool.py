"""Runs nft and ip, through which the redirect reads and changes the kernel's network."""

import json
import os
import shutil
import socket
import subprocess
from typing import Any

_MORE = ":/usr/sbin:/sbin"  # for PATH: a user's may lack them
_PACKAGES = {"nft": "nftables", "ip": "iproute2"}


class RedirectError(Exception):
    """The redirect could not be made, proved or removed. Its text is a whole message for people."""


def run(name: str, *arguments: str, text: str = "") -> str:
    """Runs nft or ip and returns its output. Raises RedirectError with its first error line."""
    path = shutil.which(name, path=f"{os.environ.get('PATH', '')}{_MORE}")
    if path is None:
        raise RedirectError(
            f"{name} is not installed\n\nhint: install the package {_PACKAGES[name]}"
        )
    done = subprocess.run(  # noqa: S603
        [path, *arguments], input=text, capture_output=True, text=True, errors="replace"
    )
    if done.returncode:
        said = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[0]
        hint = ""
        if "Operation not permitted" in said:
            hint = "\n\nhint: this needs CAP_NET_ADMIN in the network namespace (root has it)"
        raise RedirectError(f"{name} {' '.join(arguments)}: {said}{hint}")
    return done.stdout


def rows(*arguments: str) -> list[dict[str, Any]]:
    """The rows that `ip -j` lists: none if the kernel lacks the feature. Raises RedirectError."""
    try:
        said = run("ip", "-j", *arguments)
    except RedirectError as e:
        if "not supported" in str(e):  # IPv6 or policy rules, in a kernel without them
            return []
        raise
    try:
        found = json.loads(said or "[]")
    except ValueError:  # busybox has an ip of its own
        raise RedirectError(
            f"ip -j {' '.join(arguments)} does not answer in JSON\n\n"
            "hint: install the package iproute2"
        ) from None
    return [row for row in found if row]  # older versions give {} for rows that they omit


def families() -> tuple[int, ...]:
    """The versions of IP that this network namespace has."""
    return (4, 6) if _has_ipv6() else (4,)


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as s:
            s.bind(("::1", 0))
    except OSError:
        return False
    return True
