"""The fault run: Quell as in production, on servers of its own, while processes and servers are killed under it.

`python -m tests.chaos.fault_run --help` runs it. `plan` says from one seed what happens when, `work` orders actions,
`nemesis` breaks things, `history` writes both down, and `checker`, which knows none of them, says what came of it.
"""
