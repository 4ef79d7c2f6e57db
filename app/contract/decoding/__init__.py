"""Decoding: turns the bytes of a message into one tree of named values, which all readers read."""
