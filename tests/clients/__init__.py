"""Real senders of telemetry, as they ship in registries: what they send, and through the sidecar.

`python/` and `node/` hold one program a client: it sends three events with the version and the
secrets of SENT (JSON in its environment), and fails if the vendor's answer does not please it.
`sent/` holds the bytes of each, as `capture` wrote them. Their profiles ship with
telemock; `profiles/` holds those that need a host of the product's own.
"""
