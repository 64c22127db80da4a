"""The demo and the story: example tenants, people and alerts, and the processes that show Quell at work.

Installed in development only. Production code knows nothing of this room.
"""
