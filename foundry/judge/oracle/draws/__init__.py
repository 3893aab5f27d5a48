"""Values of inputs, drawn: one file for each kind of distribution."""
