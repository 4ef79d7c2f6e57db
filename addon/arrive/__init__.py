"""Accepts clients' connections (`accept`, `loopback`; `proof` that they come), then answers them on
the client's own socket (`direct`, in `turns`) or relays them unread (`splice`, `pipes`).
`memory` bounds what all of them hold, `send_buffer` keeps what a client did not read,
`endings` says how one without a request ended.
"""
