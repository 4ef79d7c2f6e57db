"""Reports on captures: what was sent, by whom, since when (`build`, `show`), what a newer version
added
(`changes`), captures as files (`export`), with links to their traces (`trace_link`).
"""
