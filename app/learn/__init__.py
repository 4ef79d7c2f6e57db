"""Learning: drafts a profile from requests that were seen, in captures or in a HAR (har, draft,
yaml_text), and opens hosts of no profile for one run (opened)"""
