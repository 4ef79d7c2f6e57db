"""The answering half: a request as the mock sees it (`request`), the rule that answers it (`mock`,
`websocket`), the answer on its way (`respond`), and what is told of both (`spans`).
"""
