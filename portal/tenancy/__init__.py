"""The ground floor: tenants, the scope every query runs in, and the two walls between customers."""
