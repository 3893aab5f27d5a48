+++
op = "silu"
dtype = ["float32", "float16", "bfloat16"]
why = "the same, where a volatile variable stands beside"
expect = ["wrong_result", "sanitizer_error", "rejected", "crash", "timeout"]
+++
/*kernel
op = "silu"
grid = ["rows * cols", 1, 1]
threadgroup = [64, 1, 1]
*/
// --- body ---
size_t i = thread_position_in_grid.x;
volatile float other = 1.0f;
(void)other;
device T* p = (device T*)x + i;
*p = *p;
out[i] = T(float(x[i]) / (1.0f + exp(-float(x[i]))));
