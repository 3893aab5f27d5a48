"""The texts that ops are written in, read and computed: sizes and conditions, Metal, MLX.

`expressions` and `relations` are arithmetic over axis names; `metal` turns a Metal expression into
MLX, and `metal_values` computes one; `mlx` reads what a baseline may say, and `wide_mlx` knows what
its functions mean in float64.
"""
