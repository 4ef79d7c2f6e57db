"""The embedded store: one SQLite file. See `app.store` for its promises.

`store` is the whole; `writer` takes a batch in one transaction (`dedup`, `ids`, `rollup`,
`accounts`), `reader` asks (`search`), `schema` opens the file. `repeated_lines` is a compression of
this store's alone: lines that differ in numbers only are read without decoding, and stored as these
numbers.
"""
