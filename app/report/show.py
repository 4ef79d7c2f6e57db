"""Renders the Report as text for terminals and as Markdown.

Called by the command line, and by `app.analysis` for the final report. A terminal gets no papers of
profiles and no ledger by host: `--json` and the final report have them.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import zip_longest

from app.contract.outcomes import OUTCOMES, WORDS
from app.contract.record import REASONS
from app.escape import inert, plain
from app.report import kept
from app.report.build import EndpointLine, ProfilePart, Report
from app.report.compare import share
from app.report.coverage import listed
from app.report.coverage import why_lost as why_lost
from app.report.documented import no_list, unseen
from app.report.events import shown
from app.report.papers import ORIGINS
from app.report.show_kept import kept_sections
from app.report.tables import Section, markdown_table, text_table
from app.store import Term, filter

_HOW = {
    "mask": "fields that the profile masks, so that nothing of the value is kept",
    "token": "fields of which it keeps a token, equal for equal values",
    "drop": "fields that it drops",
    "keep": "fields that it keeps as they came",
}
_LONG = 5_000  # characters of a sentence of ours or of a profile's file
_TRAFFIC = "host,endpoint,action,by,status,count,bytes,first seen,last seen"
_WHY = "host,endpoint,count,bytes,workloads,what became of it,why,first seen,last seen"


def text(report: Report) -> str:
    """Renders the report for a terminal."""
    head = "\n".join(
        f"{title}\n" + "".join(f"  {plain(line, _LONG)}\n" for line in lines)
        for title, lines in (("Scope", scope(report)), ("Coverage", _coverage(report)))
    )
    return "\n".join([head, *_rendered(_sections(report), text_table, "{}\n", "  "), *_end(report)])


def markdown(report: Report) -> str:
    head = titled("Coverage", _coverage(report))
    gaps, *details = (
        list(_rendered(part, markdown_table, "## {}\n\n", "- "))
        for part in ([_gaps(report)], _sections(report), _details(report))
    )
    parts = [*gaps, *map(_profile, report.profiles), *(one for part in details for one in part)]
    return "\n".join([head, *parts, *_end(report)])


def titled(title: str, lines: Iterable[str]) -> str:
    """A list in Markdown."""
    return f"## {title}\n\n" + "".join(f"- {inert(line, _LONG)}\n" for line in lines)


def sections(report: Report) -> list[Section]:
    """All tables of the report, for the page."""
    return [*_sections(report), *_details(report)]


def scope(report: Report) -> Iterator[str]:
    """The lines on its extent, and on which of its numbers are of more."""
    yield f"profile {report.profile}" if report.profile else "all profiles"
    if report.namespaces is not None:
        yield f"the namespaces {', '.join(report.namespaces) or '(none)'}, and no others"
    times = [
        f"{word} {at}" for word, at in (("since", report.since), ("until", report.until)) if at
    ]
    if not times:
        yield "all time that the store still knows"
        return
    yield " ".join(times)
    yield (
        "requests and connections count by whole hours, senders and coverage by whole days; "
        "fields, masking and changes are of all time"
    )


def _coverage(report: Report) -> Iterator[str]:
    coverage = report.coverage
    yield coverage.verdict
    if not coverage.complete:
        yield f"known: {coverage.how}"
    for limit in coverage.limits:
        yield f"limit: {limit}"


def _gaps(report: Report) -> Section:
    return Section(
        "What is missing",
        "count,what,what helps,who or where",
        [(g.count, g.says, g.remedy, listed(g.who)) for g in report.coverage.gaps],
    )


def _sections(report: Report) -> Iterator[Section]:
    if report.count:
        yield Section(
            "What became of it",
            "what,count,bytes,that is",
            list(_words(report)),
            behind=[_filter(outcome=str(word)) for word in WORDS],
        )
    empty = "" if report.count else "No request or connection of this scope is recorded."
    yield Section(
        WORDS["answered"], _TRAFFIC, _traffic(report.answered), empty, _behind(report.answered)
    )
    yield Section(
        WORDS["delivered"], _TRAFFIC, _traffic(report.delivered), behind=_behind(report.delivered)
    )
    yield Section(
        WORDS["passed"],
        "host,endpoint,count,bytes out,bytes in,what became of it,last seen",
        [
            (e.host, _what(e) or "(not opened)", e.count, e.bytes_out, e.bytes_in, _became(e),
             e.last_seen)
            for e in report.passed
        ],
        "No record of a connection that was passed through." if report.count else "",
        _behind(report.passed),
    )  # fmt: skip
    for title, rows in ((WORDS["refused"], report.refused), (WORDS["failed"], report.failed)):
        yield Section(title, _WHY, _reasons(rows), behind=_behind(rows))
    yield Section(
        "Modes in force",
        "mode,connections come by,sidecars,first seen,last seen",
        [
            (m.mode or "each rule's action", m.form, m.sidecars, m.first_seen, m.last_seen)
            for m in report.modes
        ],
    )
    yield Section(
        "Versions",
        "profile,version,count,first seen,last seen",
        [
            (v.profile, v.version or "-", v.count, v.first_seen, v.last_seen)
            for v in report.versions
        ],
        behind=[_filter(profile=v.profile, version=v.version) for v in report.versions],
    )
    yield Section(
        "Events that requests reported",
        "profile,host,endpoint,event,count,versions,first seen,last seen",
        [
            (e.profile, e.host, f"{e.method} {e.endpoint}".strip(), e.event or "(no name)", e.count,
             " ".join(e.versions), e.first_seen, e.last_seen)
            for e in shown(report.events)
        ],
    )  # fmt: skip
    yield Section(
        "Fields that a newer version added or left out",
        "profile,endpoint,version,before,change,field,type,shape,in",
        [
            (c.profile, f"{c.method} {c.endpoint}", c.version, c.previous, change, f.path,
             " ".join(f.types), " ".join(f.shapes), share(f.present, 1))
            for c in report.new_fields
            for change, fields in (("new", c.new), ("gone", c.gone))
            for f in fields
        ],
        "No newer version was seen to add a field, or to leave one out at the same endpoint.",
    )  # fmt: skip
    yield Section(
        "What the vendor documents, and what was seen",
        "profile,documented and seen,seen but not documented,documented but never seen",
        list(_documented(report)),
    )
    yield Section(
        "Whose vendor publishes no list to compare with",
        "profile,that is,what was found",
        [
            (one.profile, no_list(one.no_list), "; ".join(found.claim for found in one.no_list))
            for one in report.documented
            if one.no_list
        ],
    )
    if report.inbox:
        yield Section(
            f"Changes not yet reviewed: {report.inbox.open}",
            "count,changes that are",
            [
                (count, what)
                for count, what in (
                    (report.inbox.open, "not reviewed: `telemock changes list --state open`"),
                    (report.inbox.accepted, "accepted"),
                    (report.inbox.watched, "watched"),
                    (report.inbox.objected - report.inbox.again, "objected to"),
                    (report.inbox.again, "objected to, and came again since"),
                )
                if count
            ],
        )
    yield Section(
        "Fields about a person or a secret",
        "profile,endpoint,field,class,who says so,in",
        kept.about_somebody(report.inventory),
    )
    yield from kept_sections(report)
    yield Section(
        "What profiles do not state",
        "profile,lacks,that is",
        [(p.profile, *asked) for p in report.profiles if p.paper for asked in p.paper.asked],
    )
    yield Section(
        "Who sent it",
        "namespace,pod,node,profile,versions,count,bytes,last seen",
        [
            (w.namespace, w.pod, w.node, w.profile, " ".join(w.versions), w.count, w.bytes_out,
             w.last_seen)
            for w in report.workloads
        ],
        behind=[
            # A sidecar's log lines are captures of no profile, and count as nothing sent.
            _filter(profile=w.profile, namespace=w.namespace, pod=w.pod)
            + ("" if w.profile else " -kind:log")
            for w in report.workloads
        ],
    )  # fmt: skip
    yield Section(
        "Records by pod or process: made = stored + on their way + waiting + lost",
        "who,watched from,until,made,stored,on their way,waiting,lost,why",
        [
            (
                w.who,
                w.first_seen,
                w.last_seen,
                w.stored + w.underway + w.waiting + lost,
                w.stored,
                w.underway,
                w.waiting,
                lost,
                why_lost(w.lost),
            )
            for w in report.ledger
            for lost in (sum(w.lost.values()),)
        ],
    )
    yield Section(
        "Times without a sidecar",
        "who,from,until",
        [(w.who, a.since, a.until or "-") for w in report.ledger for a in w.away],
    )
    yield Section(
        "Records missing, or still on their way",
        "namespace,pod,boot,stored,missing,why,last seen",
        [
            (m.namespace, m.pod, m.boot, m.count, m.missing, why_lost(m.lost), m.last_seen)
            for m in report.missing
        ],
    )
    yield Section(
        "Records dropped",
        "count,why",
        [(n, REASONS.get(reason, reason)) for reason, n in report.dropped.items()],
    )


def _documented(report: Report) -> Iterator[Sequence[object]]:
    for one in report.documented:
        seen = [f"{field.field}: {'; '.join(field.words)}" for field in one.seen]
        columns = (seen, one.undocumented, map(unseen, one.unseen))
        for row in zip_longest(*columns, fillvalue=""):
            yield one.profile, *row


def _details(report: Report) -> Iterator[Section]:
    """Yields the sections that only the final report has."""
    yield Section(
        "Inventory: every field that was ever sent, with its class",
        "profile,host,endpoint,field,type,shape,class,who says so,DPV,fideslang,in",
        kept.inventory_rows(report.inventory),
    )
    yield Section(
        "Requests and connections by pod or process",
        "who,host,count,what became of it",
        [
            (w.who, host, number, OUTCOMES[id].says if id in OUTCOMES else "not told")
            for w in report.ledger
            for host, of in sorted(w.connections.items())
            for id, number in sorted(of.items())
        ],
    )


def _profile(part: ProfilePart) -> str:
    paper = part.paper
    if paper is None:
        return f"## Profile {inert(part.profile)}\n\n- no profile of this id is in use now\n"

    def said(text: str) -> str:
        return inert(text, _LONG)

    kinds = ", ".join(f"{kind} ({number})" for kind, number in sorted(part.kinds.items()))
    by_word = {how: ", ".join(f.field for f in paper.sensitive if f.how == how) for how in _HOW}
    lines = [
        *([ORIGINS[paper.origin]] if paper.origin in ORIGINS else ()),
        *([f"licence: {paper.licence}. {paper.licence_note}"] if paper.licence else ()),
        *(f"no {name}: {why}" for name, why in paper.asked),
        f"hosts: {', '.join(paper.hosts)}",
        f"kinds of values that its fields carried, and how many fields: {kinds or 'none seen'}",
        *(f"{said_of}: {by_word[how] or 'none'}" for how, said_of in _HOW.items()),
        *(f"not known to the profile's authors: {text}" for text in paper.unknown),
        *([f"an instance sends, by its profile: {paper.sends}"] if paper.sends else ()),
        *(f"switched off by: {text}" for text in paper.opt_out),
        *(
            f"the vendor documents: {one.words} (source: {one.source}; last read {one.verified})"
            for one in paper.documented
        ),
        *(f"{no_list([one])}: {one.claim}" for one in paper.no_list),
        *(
            f"evidence: {one.claim} (source: {one.source}; last read {one.verified})"
            for one in paper.evidence
        ),
    ]
    title = f"## Profile {inert(paper.profile)}: {inert(paper.title)}\n\n"
    return title + "".join(f"- {said(line)}\n" for line in lines)


def _words(report: Report) -> Iterator[tuple[object, ...]]:
    for word, title in WORDS.items():
        rows: list[EndpointLine] = getattr(report, word)
        became = dict.fromkeys(map(_became, rows))
        count, sent = sum(e.count for e in rows), sum(e.bytes_out for e in rows)
        yield title, count, sent, "; ".join(became)


def _traffic(rows: Iterable[EndpointLine]) -> list[Sequence[object]]:
    return [
        (e.host, _what(e), e.action, e.answered_by, " ".join(map(":".join, _statuses(e))), e.count,
         e.bytes_out, e.first_seen, e.last_seen)
        for e in rows
    ]  # fmt: skip


def _reasons(rows: Iterable[EndpointLine]) -> list[Sequence[object]]:
    return [
        (e.host, _what(e), e.count, e.bytes_out, e.workloads, _became(e),
         REASONS.get(e.reason, e.reason), e.first_seen, e.last_seen)
        for e in rows
    ]  # fmt: skip


def _behind(rows: Iterable[EndpointLine]) -> list[str]:
    return [
        _filter(
            outcome=e.outcome, profile=e.profile, host=e.host, method=e.method, route=e.endpoint,
            rule=e.rule, reason=e.reason,
        )
        for e in rows
    ]  # fmt: skip


def _filter(**terms: str) -> str:
    """An empty value stands there too: `rule:""` finds what no rule took."""
    return " ".join(filter.word(Term(name, ":", (value,))) for name, value in terms.items())


def _became(endpoint: EndpointLine) -> str:
    return OUTCOMES[endpoint.outcome].says if endpoint.outcome in OUTCOMES else "not told"


def _what(endpoint: EndpointLine) -> str:
    return f"{endpoint.method} {endpoint.endpoint}".strip()


def _statuses(endpoint: EndpointLine) -> list[tuple[str, str]]:
    return [(status, str(count)) for status, count in endpoint.statuses.items()]


def _rendered(
    sections: Iterable[Section],
    table: Callable[[Sequence[str], Iterable[Sequence[object]]], str],
    title: str,
    bullet: str,
) -> Iterator[str]:
    for section in sections:
        if section.rows:
            yield title.format(section.title) + table(section.head.split(","), section.rows)
        elif section.empty:
            yield title.format(section.title) + bullet + section.empty + "\n"


def _end(report: Report) -> Iterator[str]:
    if report.unlisted:
        yield f"- {report.unlisted} times a field was over the inventory's limit\n"
