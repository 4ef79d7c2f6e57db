"""Finds the host that a connection means, from its first bytes (`first_bytes`, `hello`), and the
way to that host (`dns`, `egress`).
"""
