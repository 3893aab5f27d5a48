"""The search of one op in one dtype."""
