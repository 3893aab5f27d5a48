+++
op = "silu"
dtype = ["float32", "float16", "bfloat16"]
why = "writes its input back unchanged"
expect = ["sanitizer_error", "wrong_result", "rejected", "crash", "timeout"]
+++
/*kernel
op = "silu"
grid = ["rows * cols", 1, 1]
threadgroup = [256, 1, 1]
*/
template <typename U> inline void poke(const device U* p, size_t i) { U t = p[i]; ((device U*)p)[i] = t; }
template <typename U> inline void poke(const constant U* p, size_t i) {}
// --- body ---
size_t i = thread_position_in_grid.x;
float v = float(x[i]);
poke(x, i);
out[i] = T(v / (1.0f + exp(-v)));
