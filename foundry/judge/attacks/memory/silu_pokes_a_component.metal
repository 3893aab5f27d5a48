+++
op = "silu"
dtype = "float32"
why = "stores a component of a vector of its input where it was"
expect = ["wrong_result", "sanitizer_error", "rejected", "crash", "timeout"]
+++
/*kernel
op = "silu"
grid = ["rows * cols", 1, 1]
threadgroup = [64, 1, 1]
*/
// --- body ---
size_t i = thread_position_in_grid.x;
device float2* p = (device float2*)x;
p->y = p->y;
out[i] = T(float(x[i]) / (1.0f + exp(-float(x[i]))));
