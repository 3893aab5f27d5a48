"""Modules copied into every catalog wheel: they import mlx and the standard library only."""
