+++
op = "silu"
dtype = ["float32", "float16", "bfloat16"]
why = "stores to its input what it read there, by a plain pointer"
expect = ["wrong_result", "sanitizer_error", "rejected", "crash", "timeout"]
+++
/*kernel
op = "silu"
grid = ["rows * cols", 1, 1]
threadgroup = [64, 1, 1]
*/
// --- body ---
size_t i = thread_position_in_grid.x;
device T* p = (device T*)&x[i];
*p = *p;
out[i] = T(float(x[i]) / (1.0f + exp(-float(x[i]))));
