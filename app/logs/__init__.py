"""The app's log files: its own lines, masked (`masked`), and the files that people read with grep
and jq (`files`), rotated (`rotating`) and bounded by the disk (`disk`).
"""
