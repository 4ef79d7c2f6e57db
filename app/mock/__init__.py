"""The mock: reads a request (`request`), chooses the answer by its rule (`mock`, `websocket`),
sends it (`respond`), and reports both as metrics and spans (`spans`).
"""
