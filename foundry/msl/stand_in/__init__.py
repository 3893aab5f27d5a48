"""MLX as it is on a Mac, for code that asks for Metal on a machine without it."""
