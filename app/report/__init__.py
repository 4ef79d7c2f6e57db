"""What was sent, by whom, since when: the report (`build`), what a newer version sends that older
ones did not (`changes`), captures as they go out (`outgoing`) and as files (`export`).
"""
