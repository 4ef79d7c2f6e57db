"""Takes every record from its making to the app: made (`capture`), masked and shipped (`ship`),
printed (`printer`), kept until the app has it (`spool`: `segment`, `boots`, `ledger`), delivered
(`deliver`, `receipt`). The sidecar's own log lines (`logs`) go the same way.
"""
