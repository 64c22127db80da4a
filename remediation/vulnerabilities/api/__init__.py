"""The API of vulnerability management."""
