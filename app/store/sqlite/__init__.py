"""The embedded store: one SQLite file. See `app.store` for its promises.

`store` is the whole; `writer` takes a batch in one transaction (`dedup`, `ids`, `rollup`,
`accounts`), `reader` asks (`search`), `schema` opens the file, `repeated_lines` knows a line by its
form.
"""
