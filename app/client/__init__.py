"""What the command line asks: a running app's API (`running` finds it), or the store on disk
(`source` chooses).
"""
