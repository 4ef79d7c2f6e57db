"""Handles one request and its answer: the running exchange (`exchange`), the answer's source
(`routing`, `app_pool`), the answer (`reply`), and a client's requests in order (`conversation`).
"""
