"""The page: what left, by whom, and what was not seen, for people with a browser.

Each view is a module, which reads what the API reads; `page` renders and refuses, `entrance` lets
people in, `sessions` keeps them in, `assets` serves the files. No view needs a script.
"""
