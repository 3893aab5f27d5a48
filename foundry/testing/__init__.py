"""Contracts as pytest classes, for what this package and others plug in."""
