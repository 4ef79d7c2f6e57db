"""The app's HTTP API: sidecars send records (`intake`) and fetch profiles (`profiles`), people read
(`read`), health needs no token (`health`), and OpenAPI describes it all (`openapi`, `common`).
"""
