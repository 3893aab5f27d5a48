"""How families declare their ops, and what holds a declaration to the rules."""
