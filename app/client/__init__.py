"""Data access of the command line: a running app's API (`running` finds it), or the store on disk
(`source` chooses).
"""
