"""Commands that run whole models with the kernels of a catalog."""
