"""Where connections arrive: accepted (`accept`, `loopback`; `proof` that they do), then answered on
the client's own socket (`direct`, in `turns`) or relayed unread (`splice`, `pipes`). `memory`
bounds what all of them hold, `endings` says how one ended that brought no request.
"""
