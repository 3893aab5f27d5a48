"""Commands that search: one op, or many of a recipe or a model."""
