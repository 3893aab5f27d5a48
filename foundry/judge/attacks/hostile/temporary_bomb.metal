+++
op = "silu"
dtype = "float32"
why = "a temporary of a terabyte"
expect = ["build_error", "invalid", "crash", "timeout", "sanitizer_error", "wrong_result", "rejected"]
+++
/*kernel
op = "silu"
grid = ["cols", "rows", 1]
threadgroup = [64, 1, 1]
[temporaries.big]
shape = [1000000, 1000000]
dtype = "float32"
*/
// --- body ---
out[0] = T(0);
