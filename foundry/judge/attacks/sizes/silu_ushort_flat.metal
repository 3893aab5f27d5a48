+++
op = "silu"
dtype = ["float32", "float16", "bfloat16"]
why = "16-bit flat index: wrong above 65,535 elements"
expect = ["wrong_result", "sanitizer_error", "rejected", "crash", "timeout"]
+++
/*kernel
op = "silu"
grid = ["rows * cols", 1, 1]
threadgroup = [256, 1, 1]
*/
// --- body ---
uint i = thread_position_in_grid.x;
ushort j = ushort(i);
float v = float(x[j]);
out[i] = T(v / (1.0f + exp(-v)));
