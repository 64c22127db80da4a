"""Who may do what for which tenant: people, service accounts, roles and the middleware that opens the door."""
