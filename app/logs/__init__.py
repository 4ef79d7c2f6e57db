"""The log files of the app: its own lines, masked (`masked`), and the files people read with grep
and
jq (`files`), rotated (`rotating`) while the disk takes them (`disk`).
"""
