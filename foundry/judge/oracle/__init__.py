"""What should come out: inputs, the oracle's values, and how far from them is still right."""
