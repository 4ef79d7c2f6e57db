"""Whom a connection means: by its first bytes (`first_bytes`, `hello`), and where that host is
(`dns`,
`egress`).
"""
