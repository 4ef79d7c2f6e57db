"""Contains all code that depends on mitmproxy's internals: its imports (`imports`, `hooks`), the
connections it reads (`handler`), the choice of their layers (`next_layer`), and our own layers.
"""
