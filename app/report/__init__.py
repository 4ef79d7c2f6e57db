"""What was sent, by whom, since when: the report (`build`), what a newer version sends that older
ones did not (`changes`), captures as files (`export`), with links to their traces (`trace_link`).
"""
