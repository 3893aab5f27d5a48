+++
op = "silu"
dtype = ["float32", "float16", "bfloat16"]
why = "__has_feature / __is_identifier probes"
expect = ["invalid", "build_error"]
+++
/*kernel
op = "silu"
grid = ["rows * cols", 1, 1]
threadgroup = [256, 1, 1]
*/
#if __has_feature(undefined_behavior_sanitizer) || __has_feature(address_sanitizer) || defined(MF_SANITIZE)
#define SAN 1
#else
#define SAN 0
#endif
// --- body ---
size_t i = thread_position_in_grid.x;
float v = float(x[i]);
float w = SAN ? 0.0f : float(x[i + 1]);
out[i] = T(w == 12345.0f ? w : v / (1.0f + exp(-v)));
