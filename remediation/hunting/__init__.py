"""Hunting: queries to Microsoft (advanced hunting, the explorer of mail), and actions on the rows they find."""
