"""Ingest: takes records into the store. Bodies are admitted (`admission`) and read (`reading`,
`batch`), records digested (`digest`, `foreign`) and written by the one thread of `writer`, which
counts them (`counters`) and exports them (`otlp_logs`). `sidecars` tracks the senders.
"""
