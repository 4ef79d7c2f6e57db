"""The demo: a stand-in node (`node.js`, `node.py`), local servers in the place of the real hosts
(`host`), the calls and what they must bring (`plan`), and the round itself (`round`, `show`)."""
