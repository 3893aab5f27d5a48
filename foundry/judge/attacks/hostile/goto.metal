+++
op = "silu"
dtype = ["float32", "float16", "bfloat16"]
why = "language feature Metal lacks: goto"
expect = ["invalid", "build_error"]
+++
/*kernel
op = "silu"
grid = ["rows * cols", 1, 1]
threadgroup = [256, 1, 1]
*/

// --- body ---
size_t i = thread_position_in_grid.x;
float v = float(x[i]);
size_t zz = 0; again: if (zz++ < 1) goto again;
out[i] = T(v / (1.0f + exp(-v)));
