+++
op = "silu"
dtype = "float32"
why = "a grid expression of a billion digits"
expect = ["build_error", "invalid", "crash", "timeout", "sanitizer_error", "wrong_result", "rejected"]
+++
/*kernel
op = "silu"
grid = ["1 << (1 << 40)", 1, 1]
threadgroup = [64, 1, 1]
*/
// --- body ---
out[0] = T(0);
