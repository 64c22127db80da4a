"""Microsoft's login, Defender for Endpoint and Graph endpoints as one small server with switchable faults.

It runs in its own process (``python -m connectors.simulator --data DIR``), keeps its data in memory, and is a peer,
not a mirror: it refuses what Microsoft refuses and never removes a double. It imports nothing else of Quell.
"""
