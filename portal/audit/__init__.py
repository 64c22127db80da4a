"""What happened, by whom, to what: one append-only history per tenant, written in the transaction it tells of."""
