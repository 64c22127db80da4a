"""Everything that talks to the outside; knows no investigation and no action."""
