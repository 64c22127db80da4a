"""Security recommendations: reading them, keeping them, and what the known-exploited list says of them."""
