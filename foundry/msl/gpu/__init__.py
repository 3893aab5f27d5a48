"""Kernels as a GPU's compiler sees them, on a machine without a GPU."""
