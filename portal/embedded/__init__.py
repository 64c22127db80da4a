"""PostgreSQL and Valkey from wheels, one pair per clone: for the demo, the tests and the benches only.

Production sets DATABASE_URL and BROKER_URL, and then nothing in this room is imported.
"""
