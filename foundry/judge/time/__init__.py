"""How long it takes: pairs of times, their statistics, and whether they can be true."""
