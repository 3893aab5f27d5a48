+++
op = "silu"
dtype = "float32"
why = "a grid expression that takes for ever"
expect = ["build_error", "invalid", "crash", "timeout", "sanitizer_error", "wrong_result", "rejected"]
+++
/*kernel
op = "silu"
grid = ["9 ** 9 ** 9 ** 9", 1, 1]
threadgroup = [64, 1, 1]
*/
// --- body ---
out[0] = T(0);
