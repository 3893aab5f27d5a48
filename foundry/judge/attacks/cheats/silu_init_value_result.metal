+++
op = "silu"
dtype = "float32"
why = "nothing is computed: init_value stands for the result"
expect = ["wrong_result", "sanitizer_error", "rejected"]
+++
/*kernel
op = "silu"
grid = ["cols", "rows", 1]
threadgroup = [64, 1, 1]
init_value = 0.25
*/
// --- body ---
if (false) out[0] = T(0);
