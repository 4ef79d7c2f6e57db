"""The app's HTTP API: sidecars send (`intake`) and fetch profiles (`profiles`), people read
(`read`), health needs no token (`health`). `openapi` describes it, `common` is shared.
"""
