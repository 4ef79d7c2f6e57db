"""Reports on captures: what was sent, by whom, since when (`build`, `show`), what a newer version
added (`changes`), captures for readers (`outgoing`, `decoded`) and as files (`export`, `har`,
`rows`).
"""
