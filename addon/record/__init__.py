"""Every record's way out: made (`capture`), masked and shipped (`ship`), printed (`printer`), kept
until the app has it (`spool`: `segment`, `boots`, `ledger`), and delivered (`deliver`, `receipt`).
The sidecar's own log lines (`logs`) go the same way.
"""
