"""`telemock learn`: drafts a profile from captures or from a HAR."""

import json
import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.options import Server, filtered

if TYPE_CHECKING:
    from app.contract.record import CaptureRecord
    from app.learn.draft import Draft
    from app.store import CaptureQuery


@filtered
def learn(
    query: "CaptureQuery",
    har: Annotated[
        Path | None,
        typer.Option("--har", metavar="FILE", help="Read this HAR in place of captures."),
    ] = None,
    id: Annotated[
        str, typer.Option("--id", metavar="ID", help="The profile's; by default from the host.")
    ] = "",
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Instead of stdout; large answers: beside it."
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Also over a file that is there.")] = False,
    server: Server = "",
) -> None:
    """Draft a profile from requests that were seen: in captures, or in a HAR.

    Without a filter it reads what the last `telemock run --open` opened. Its YAML says in comments
    what was seen, and lists what is not known: edit it and keep it.

    Example: telemock learn --har session.har --host stats.acme.example -o acme.yaml
    """
    from app.cli.ending import Failure
    from app.contract.files import write_whole
    from app.escape import plain
    from app.learn.draft import NothingToLearn, draft
    from app.learn.yaml_text import remove_files, write_files, written
    from app.profiles.added import added
    from app.profiles.compile import ANSWERS_CAP, compiled_draft
    from app.profiles.read import built_in
    from app.settings import load
    from app.store import CaptureQuery

    settings = load()
    if output is not None and output.exists() and not force:
        raise Failure(f"{output} is there already\n\nhint: --force replaces it")
    left_out: list[str] = []
    records = _of_har(har, query, left_out) if har else _captured(query, server, left_out)
    if id:
        compiled_draft(_PROBE % json.dumps(id).encode(), "--id")
    own = {profile.id for profile in added(settings.data).rules.profiles}
    try:
        room = ANSWERS_CAP if output else None
        found = draft(records, id, frozenset((*built_in(), *own)), left_out, room)
    except NothingToLearn:
        raise Failure(
            _nothing(records, _SOUGHT[har is not None, query == CaptureQuery()])
        ) from None
    text, files = written(found, f"{output.stem}.answers" if output else "")
    if output is None:
        sys.stdout.write(text)
    else:
        new: list[Path] = []
        try:
            new = write_files(output, files, force=force)
            put = os.replace if force else os.link
            write_whole(output, [text.encode()], 0o644, put=put)
        except OSError as e:
            remove_files(new)
            if not isinstance(e, FileExistsError):
                raise
            there = e.filename2 or e.filename  # since we looked, or a file of an answer
            hint = "remove it" if force else "--force replaces it"
            raise Failure(f"{there} is there already\n\nhint: {hint}") from None
    typer.echo(plain(_summary(found, output, [*files]), 2_000), err=True)


_BYTES = 128 << 20  # of captures
_PROBE = b"id: %s\ntitle: x\nhosts: [x.test]\nrules: [{id: x, action: observe}]\n"
_HINT = (
    "telemock run --open HOST -- COMMAND sees a host that no profile names; a filter such as "
    "--host chooses among captures, --har reads a file"
)


# Of a HAR; without any filter. A run's --open is where captures are sought by default.
_SOUGHT = {
    (True, True): "the HAR holds no request",
    (True, False): "no request of the HAR fits",
    (False, True): "no capture of `telemock run --open` is stored",
    (False, False): "no capture fits",
}


def _nothing(records: "list[CaptureRecord]", sought: str) -> str:
    from app.contract.record import REASONS
    from app.report.coverage import count

    of = count(len(records), "capture was", "captures were")
    said = f"{of} read, and none holds a request that was read" if records else sought
    failed = [record.reason for record in records if record.kind == "failed"]
    if not failed:
        return f"{said}\n\nhint: {_HINT}"
    of = count(len(failed), "request", "requests")
    return (
        f"{said}; {of} failed: {REASONS.get(failed[0], failed[0])}\n\n"
        "hint: telemock run --open HOST --mode mock answers in the host's place"
    )


def _summary(draft: "Draft", output: Path | None, files: list[str]) -> str:
    from app.report.coverage import count

    said = f"{count(len(draft.endpoints), 'endpoint', 'endpoints')} of {', '.join(draft.hosts)}"
    of = count(len(draft.unknown), "thing", "things")
    if files:
        said += f", {len(files)} of their answers in {files[0].partition('/')[0]}/"
    next_ = f"; next: telemock profiles add {shlex.quote(str(output))}" if output else ""
    return f"drafted {draft.id}: {said}, {of} not known{next_}"


def _of_har(har: Path, query: "CaptureQuery", left_out: list[str]) -> "list[CaptureRecord]":
    from collections import Counter

    from app.cli.ending import Failure
    from app.contract.masking.masker import Masker
    from app.contract.record import encode
    from app.contract.rules import RuleSet
    from app.escape import plain
    from app.learn.har import read
    from app.store.filter import matcher

    for name in ("profile", "action", "version", "workload"):
        if getattr(query, name) is not None:
            raise typer.BadParameter(f"--{name} is nothing that a HAR tells of its requests")
    asked = query
    fits = matcher(asked.terms)
    masker = Masker(RuleSet())

    def wanted(record: "CaptureRecord") -> bool:
        return _is_asked(record, asked) and (not asked.terms or fits(encode(record)))

    found = read(har, wanted)
    hosts = Counter(record.host for record in found.records if record.request)
    if len(hosts) > 1 and not (asked.host or any(t.name == "host" for t in asked.terms)):
        names = ", ".join(f"{plain(host, 80)} ({n})" for host, n in hosts.most_common(10))
        one = plain(hosts.most_common(1)[0][0], 80)
        raise Failure(
            f"{har} holds requests to {len(hosts)} hosts: {names}\n\n"
            f"hint: name the product's: --host {one}, or -q 'host:{','.join([*hosts][:2])}'"
        )
    left_out += [f"What {n} entries of the HAR say ({why})." for why, n in found.left_out.items()]
    return [masker.record(record) for record in found.records]


def _is_asked(record: "CaptureRecord", query: "CaptureQuery") -> bool:
    """The options that are no terms of the filter."""
    request, response = record.request, record.response
    status = str(response.status) if response else ""
    said = query.text or ""
    return (
        (query.since_ns is None or record.time_ns >= query.since_ns)
        and (query.until_ns is None or record.time_ns < query.until_ns)
        and query.host in (None, record.host)
        and query.kind in (None, record.kind)
        and query.method in (None, request and request.method)
        and query.status in (None, status, f"{status[:1]}xx")
        and (not said or said in record.host or bool(request and said in request.path))
    )


def _captured(query: "CaptureQuery", server: str, left_out: list[str]) -> "list[CaptureRecord]":
    import msgspec

    from app.client.source import captures, connect
    from app.contract.record import decode
    from app.learn.draft import REQUESTS
    from app.learn.opened import PROFILE
    from app.settings import load
    from app.store import CaptureQuery

    with connect(load(), server) as source:
        hosts: set[str] = set()
        if query == CaptureQuery():
            query = CaptureQuery(profile=PROFILE)
            newest = [decode(line) for line in captures(source, query, 1)]
            of_run = newest[0].boot if newest else ""
            hosts = {
                record.host
                for record in map(decode, captures(source, query, REQUESTS))
                if record.boot == of_run
            }
        query = msgspec.structs.replace(query, order="newest")
        found, size = [], 0
        for line in captures(source, query, REQUESTS + 1):
            if (size := size + len(line)) > _BYTES:
                left_out.append(
                    f"What older captures hold: the newest {_BYTES >> 20} MiB were read."
                )
                break
            found.append(decode(line))
    # A message's exchange says where it went.
    return [one for one in found if not hosts or one.message or one.host in hosts]
