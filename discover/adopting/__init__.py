"""A user's own `metal_kernel` call, adopted: an op file and a kernel file to search from."""
