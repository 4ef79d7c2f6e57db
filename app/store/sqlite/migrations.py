"""The tables of the SQLite file, as the steps that made them. A step is never edited once released:
add one. Taken by `schema`, when it opens a file.
"""

from app.store.sqlite import classes, inbox, sketches

# MIGRATIONS[:n] make version n.
#
# boot         one start of a sidecar: its stored records, and its own account (numbered, ended;
#              lost, by reason, as JSON); when it was heard of last, if it took leave (`gone`),
#              and what it said of itself.
# capture      the whole record, and its sort keys; `id` grows with arrival and is never reused
#              (total.last). No random key: one costs 40 % of the speed.
#              `record` is the line, compressed by zstd with a dictionary or (0) without; if
#              `dictionary_id` is negative, it is that of a form, and `record` the line's values.
# form         the common part of a boot's lines (`repeated_lines.Form`), compressed by zstd. Its
#              id is never reused, because readers cache it.
# facet        the columns to search captures by, once for each combination: searches look here
#              first, and then at the newest captures of the facets that match.
# run          the sequence numbers of a boot that were ever stored, as ranges; deduplicates
#              pruned records too.
# traffic      roll-up by the hour; sender by the day. Their totals are the same without the time;
#              the indexes find the first hour or day of a group, once those before it are dropped.
#              A sender's `outcome` is '' in rows older than schema 6.
# note         parts of records that were not kept whole, by endpoint and reason.
# event        roll-up by the day: the events that requests reported, by name (event_name) and
#              version.
# observed     requests behind the inventory of one endpoint and version.
# sketch       how many different values a field had, as keyed hashes (`app.store.values`).
# field, seen  the inventory: the name once, then its types and counts in each version.
# change, decision: see `inbox`; said_class, and a row's class: see `classes`.
MIGRATIONS = (
    """
    CREATE TABLE total (records INTEGER NOT NULL);
    INSERT INTO total VALUES (0);
    CREATE TABLE dictionary (id INTEGER PRIMARY KEY, data BLOB NOT NULL);
    CREATE TABLE boot (
        id INTEGER PRIMARY KEY, boot TEXT NOT NULL UNIQUE, namespace TEXT NOT NULL,
        pod TEXT NOT NULL, node TEXT NOT NULL, max_seq INTEGER NOT NULL, count INTEGER NOT NULL,
        first_ns INTEGER NOT NULL, last_ns INTEGER NOT NULL
    );
    CREATE TABLE run (
        boot_id INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
        PRIMARY KEY (boot_id, first)
    ) WITHOUT ROWID;
    CREATE TABLE capture (
        id INTEGER PRIMARY KEY AUTOINCREMENT, boot_id INTEGER NOT NULL, seq INTEGER NOT NULL,
        time_ns INTEGER NOT NULL, kind TEXT NOT NULL, profile TEXT NOT NULL, host TEXT NOT NULL,
        method TEXT NOT NULL, path TEXT NOT NULL, route TEXT NOT NULL, rule TEXT NOT NULL,
        action TEXT NOT NULL, reason TEXT NOT NULL, status INTEGER NOT NULL, version TEXT NOT NULL,
        namespace TEXT NOT NULL, pod TEXT NOT NULL,
        dictionary_id INTEGER NOT NULL, record BLOB NOT NULL
    );
    CREATE UNIQUE INDEX capture_sequence ON capture (boot_id, seq);
    CREATE INDEX capture_time ON capture (time_ns);
    CREATE TABLE endpoint (
        id INTEGER PRIMARY KEY, profile TEXT NOT NULL, host TEXT NOT NULL, method TEXT NOT NULL,
        route TEXT NOT NULL, fields INTEGER NOT NULL DEFAULT 0,
        UNIQUE (profile, host, method, route)
    );
    CREATE TABLE version (
        id INTEGER PRIMARY KEY, profile TEXT NOT NULL, version TEXT NOT NULL,
        UNIQUE (profile, version)
    );
    CREATE TABLE traffic (
        hour INTEGER NOT NULL, endpoint_id INTEGER NOT NULL, version_id INTEGER NOT NULL,
        rule TEXT NOT NULL, kind TEXT NOT NULL, action TEXT NOT NULL, answered_by TEXT NOT NULL,
        status INTEGER NOT NULL, reason TEXT NOT NULL, count INTEGER NOT NULL,
        bytes_out INTEGER NOT NULL, bytes_in INTEGER NOT NULL, duration_ns INTEGER NOT NULL,
        first_ns INTEGER NOT NULL, last_ns INTEGER NOT NULL,
        PRIMARY KEY (
            hour, endpoint_id, version_id, rule, kind, action, answered_by, status, reason
        )
    ) WITHOUT ROWID;
    CREATE TABLE sender (
        day INTEGER NOT NULL, endpoint_id INTEGER NOT NULL, version_id INTEGER NOT NULL,
        namespace TEXT NOT NULL, pod TEXT NOT NULL, node TEXT NOT NULL, image TEXT NOT NULL,
        count INTEGER NOT NULL, bytes_out INTEGER NOT NULL,
        first_ns INTEGER NOT NULL, last_ns INTEGER NOT NULL,
        PRIMARY KEY (day, endpoint_id, version_id, namespace, pod)
    ) WITHOUT ROWID;
    CREATE TABLE observed (
        endpoint_id INTEGER NOT NULL, version_id INTEGER NOT NULL, requests INTEGER NOT NULL,
        others INTEGER NOT NULL, first_ns INTEGER NOT NULL, last_ns INTEGER NOT NULL,
        PRIMARY KEY (endpoint_id, version_id)
    ) WITHOUT ROWID;
    CREATE TABLE field (
        id INTEGER PRIMARY KEY, endpoint_id INTEGER NOT NULL, path TEXT NOT NULL,
        UNIQUE (endpoint_id, path)
    );
    CREATE TABLE seen (
        field_id INTEGER NOT NULL, version_id INTEGER NOT NULL, type TEXT NOT NULL,
        shape TEXT NOT NULL, count INTEGER NOT NULL,
        first_ns INTEGER NOT NULL, last_ns INTEGER NOT NULL,
        PRIMARY KEY (field_id, version_id, type, shape)
    ) WITHOUT ROWID;
    """,
    """
    ALTER TABLE total ADD COLUMN last INTEGER NOT NULL DEFAULT 0;
    UPDATE total SET last=coalesce((SELECT seq FROM sqlite_sequence WHERE name='capture'), 0);
    CREATE TABLE facet (
        id INTEGER PRIMARY KEY, kind TEXT NOT NULL, profile TEXT NOT NULL, host TEXT NOT NULL,
        method TEXT NOT NULL, path TEXT NOT NULL, route TEXT NOT NULL, rule TEXT NOT NULL,
        action TEXT NOT NULL, reason TEXT NOT NULL, status INTEGER NOT NULL, version TEXT NOT NULL,
        namespace TEXT NOT NULL, pod TEXT NOT NULL,
        UNIQUE (pod, namespace, path, status, host, method, version, kind, profile, route, rule,
            action, reason)
    );
    INSERT INTO facet(kind, profile, host, method, path, route, rule, action, reason, status,
        version, namespace, pod) SELECT DISTINCT kind, profile, host, method, path, route, rule,
        action, reason, status, version, namespace, pod FROM capture;
    CREATE TABLE narrow (
        id INTEGER PRIMARY KEY, boot_id INTEGER NOT NULL, seq INTEGER NOT NULL,
        time_ns INTEGER NOT NULL, facet_id INTEGER NOT NULL,
        dictionary_id INTEGER NOT NULL, record BLOB NOT NULL
    );
    INSERT INTO narrow SELECT capture.id, boot_id, seq, time_ns, facet.id, dictionary_id, record
        FROM capture JOIN facet USING (kind, profile, host, method, path, route, rule, action,
        reason, status, version, namespace, pod) ORDER BY capture.id;
    DROP TABLE capture;
    ALTER TABLE narrow RENAME TO capture;
    CREATE UNIQUE INDEX capture_sequence ON capture (boot_id, seq);
    CREATE INDEX capture_time ON capture (time_ns);
    CREATE INDEX capture_facet ON capture (facet_id, time_ns);
    """,
    """
    CREATE TABLE traffic_total (
        endpoint_id INTEGER NOT NULL, version_id INTEGER NOT NULL,
        rule TEXT NOT NULL, kind TEXT NOT NULL, action TEXT NOT NULL, answered_by TEXT NOT NULL,
        status INTEGER NOT NULL, reason TEXT NOT NULL, count INTEGER NOT NULL,
        bytes_out INTEGER NOT NULL, bytes_in INTEGER NOT NULL, duration_ns INTEGER NOT NULL,
        first_ns INTEGER NOT NULL, last_ns INTEGER NOT NULL,
        PRIMARY KEY (endpoint_id, version_id, rule, kind, action, answered_by, status, reason)
    ) WITHOUT ROWID;
    INSERT INTO traffic_total SELECT endpoint_id, version_id, rule, kind, action, answered_by,
        status, reason, count, bytes_out, bytes_in, duration_ns, first_ns, last_ns
        FROM traffic WHERE true ON CONFLICT DO UPDATE SET
        count=count+excluded.count, bytes_out=bytes_out+excluded.bytes_out,
        bytes_in=bytes_in+excluded.bytes_in, duration_ns=duration_ns+excluded.duration_ns,
        first_ns=min(first_ns, excluded.first_ns), last_ns=max(last_ns, excluded.last_ns);
    CREATE INDEX traffic_group ON traffic (endpoint_id, version_id, hour);
    CREATE TABLE sender_total (
        endpoint_id INTEGER NOT NULL, version_id INTEGER NOT NULL,
        namespace TEXT NOT NULL, pod TEXT NOT NULL, node TEXT NOT NULL, image TEXT NOT NULL,
        count INTEGER NOT NULL, bytes_out INTEGER NOT NULL,
        first_ns INTEGER NOT NULL, last_ns INTEGER NOT NULL,
        PRIMARY KEY (endpoint_id, namespace, pod, version_id)
    ) WITHOUT ROWID;
    INSERT INTO sender_total SELECT endpoint_id, version_id, namespace, pod, node, image, count,
        bytes_out, first_ns, last_ns FROM sender WHERE true ORDER BY day ON CONFLICT DO UPDATE SET
        node=excluded.node, image=excluded.image,
        count=count+excluded.count, bytes_out=bytes_out+excluded.bytes_out,
        first_ns=min(first_ns, excluded.first_ns), last_ns=max(last_ns, excluded.last_ns);
    CREATE INDEX sender_group ON sender (endpoint_id, namespace, pod, day);
    """,
    """
    CREATE TABLE form (
        id INTEGER PRIMARY KEY AUTOINCREMENT, boot_id INTEGER NOT NULL,
        dictionary_id INTEGER NOT NULL, line BLOB NOT NULL
    );
    CREATE INDEX form_boot ON form (boot_id);
    """,
    """
    ALTER TABLE boot ADD COLUMN numbered INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE boot ADD COLUMN lost TEXT NOT NULL DEFAULT '{}';
    ALTER TABLE boot ADD COLUMN ended INTEGER NOT NULL DEFAULT 0;
    """,
    """
    ALTER TABLE boot ADD COLUMN heard_ns INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE boot ADD COLUMN gone INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE boot ADD COLUMN form TEXT NOT NULL DEFAULT '';
    ALTER TABLE boot ADD COLUMN mode TEXT NOT NULL DEFAULT '';
    ALTER TABLE boot ADD COLUMN began_ns INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE boot ADD COLUMN quic_refused INTEGER NOT NULL DEFAULT 0;
    CREATE TABLE note (
        endpoint_id INTEGER NOT NULL, part TEXT NOT NULL, why TEXT NOT NULL,
        count INTEGER NOT NULL, first_ns INTEGER NOT NULL, last_ns INTEGER NOT NULL,
        PRIMARY KEY (endpoint_id, part, why)
    ) WITHOUT ROWID;
    CREATE TABLE sent (
        day INTEGER NOT NULL, endpoint_id INTEGER NOT NULL, version_id INTEGER NOT NULL,
        namespace TEXT NOT NULL, pod TEXT NOT NULL, outcome TEXT NOT NULL, node TEXT NOT NULL,
        image TEXT NOT NULL, count INTEGER NOT NULL, bytes_out INTEGER NOT NULL,
        first_ns INTEGER NOT NULL, last_ns INTEGER NOT NULL,
        PRIMARY KEY (day, endpoint_id, version_id, namespace, pod, outcome)
    ) WITHOUT ROWID;
    INSERT INTO sent SELECT day, endpoint_id, version_id, namespace, pod, '', node, image, count,
        bytes_out, first_ns, last_ns FROM sender;
    DROP TABLE sender;
    ALTER TABLE sent RENAME TO sender;
    CREATE INDEX sender_group ON sender (endpoint_id, namespace, pod, day);
    CREATE TABLE sent (
        endpoint_id INTEGER NOT NULL, version_id INTEGER NOT NULL,
        namespace TEXT NOT NULL, pod TEXT NOT NULL, outcome TEXT NOT NULL, node TEXT NOT NULL,
        image TEXT NOT NULL, count INTEGER NOT NULL, bytes_out INTEGER NOT NULL,
        first_ns INTEGER NOT NULL, last_ns INTEGER NOT NULL,
        PRIMARY KEY (endpoint_id, namespace, pod, version_id, outcome)
    ) WITHOUT ROWID;
    INSERT INTO sent SELECT endpoint_id, version_id, namespace, pod, '', node, image, count,
        bytes_out, first_ns, last_ns FROM sender_total;
    DROP TABLE sender_total;
    ALTER TABLE sent RENAME TO sender_total;
    """,
    """
    CREATE TABLE event_name (
        id INTEGER PRIMARY KEY, endpoint_id INTEGER NOT NULL, name TEXT NOT NULL,
        UNIQUE (endpoint_id, name)
    );
    CREATE TABLE event (
        day INTEGER NOT NULL, event_id INTEGER NOT NULL, version_id INTEGER NOT NULL,
        count INTEGER NOT NULL, first_ns INTEGER NOT NULL, last_ns INTEGER NOT NULL,
        PRIMARY KEY (day, event_id, version_id)
    ) WITHOUT ROWID;
    CREATE INDEX event_group ON event (event_id, version_id, day);
    CREATE TABLE event_total (
        event_id INTEGER NOT NULL, version_id INTEGER NOT NULL,
        count INTEGER NOT NULL, first_ns INTEGER NOT NULL, last_ns INTEGER NOT NULL,
        PRIMARY KEY (event_id, version_id)
    ) WITHOUT ROWID;
    """,
    inbox.TABLES,
    sketches.TABLES,
    classes.TABLES,
    "ALTER TABLE boot ADD COLUMN unled TEXT NOT NULL DEFAULT '';",
)
VERSION = len(MIGRATIONS)
