"""Masking before the first write: what a profile calls sensitive leaves no trace in a record.

`masker` masks records, log lines and span attributes; `fields` finds sensitive names and their
values, `traces` the forms in which a value is repeated, `sweep` removes those from the record.
"""
