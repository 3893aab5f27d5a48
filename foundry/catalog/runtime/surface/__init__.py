"""Functions with the signatures of MLX's own: what an op does not cover, MLX answers itself."""
