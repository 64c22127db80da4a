"""The story `make demo ONCE=1` plays: each line over HTTP as a named person, each promise checked from outside."""
