"""All that knows mitmproxy's insides: what of it is imported (`imports`, `hooks`), the connection
it
reads (`handler`), which layer takes it (`next_layer`), and the layers in place of its own.
"""
