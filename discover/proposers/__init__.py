"""WHO suggests kernels: one file per proposer, found by name through `registry`."""
