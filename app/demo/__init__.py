"""The demo: a stand-in node (`node.js`, `node.py`), local servers that replace the real hosts
(`host`), the planned calls and answers (`plan`), and the round itself (`round`, `show`)."""
