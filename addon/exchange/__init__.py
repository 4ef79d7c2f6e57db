"""One request and its answer: what is known of it (`exchange`), who answers (`routing`,
`app_pool`),
the answer (`reply`), and a client's requests one after the other (`conversation`).
"""
