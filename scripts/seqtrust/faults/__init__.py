"""Faults of a config that its schema cannot see, one text each, by what they are of."""
