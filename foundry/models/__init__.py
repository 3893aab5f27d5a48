"""Language models with kernels and without: the same tokens, and how fast."""
