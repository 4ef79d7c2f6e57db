"""The sections of a report on what of captures is not as it was sent, on known values in it, and
on the profiles that it is read by.
Called by `app.report.show`.
"""

from collections.abc import Iterator

from app.report.build import Report
from app.report.papers import ORIGINS
from app.report.tables import Section


def kept_sections(report: Report) -> Iterator[Section]:
    yield Section(
        "Profiles that are not in use",
        "profile,that is",
        [
            (p.profile, ORIGINS[p.paper.origin])
            for p in report.profiles
            if p.paper and p.paper.origin in ORIGINS
        ],
    )
    yield Section(
        "Fields that were masked, or kept by the profile's word",
        "profile,endpoint,field,how,requests,why",
        [
            (m.profile, f"{m.method} {m.endpoint}", m.field, m.how, m.count, m.why)
            for m in report.masked
        ],
    )
    yield Section(
        "What was not kept whole",
        "host,endpoint,part,records,why",
        [
            (w.host, f"{w.method} {w.endpoint}".strip(), w.part, w.count, w.why)
            for w in report.withheld
        ],
    )
    yield Section(
        "Known values that were sent",
        "host,endpoint,source,how,records",
        [
            (v.host, f"{v.method} {v.endpoint}".strip(), v.source, v.how, v.count)
            for v in report.known_values
        ],
    )
