"""Measurements, one command each: our figure and the bare part's limit beside it in the same run, and their ratio."""
