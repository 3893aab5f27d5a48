+++
op = "silu"
dtype = "float32"
why = "at the timed size it reads megabytes behind its input, to slow what runs next"
expect = ["sanitizer_error", "crash", "rejected"]
timed = true
+++
/*kernel
op = "silu"
grid = ["cols", "rows", 1]
threadgroup = [64, 1, 1]
*/
// --- body ---
uint n = x_shape[1];
uint i = thread_position_in_grid.y * n + thread_position_in_grid.x;
float v = float(x[i]);
float y = v / (1.0f + metal::exp(-v));

float seen = 0.0f;
if (n == 1536u && i == 0) for (uint j = 0; j < (1u << 21); j += 16) seen += float(x[1536 + j]) > 1e30f ? 1.0f : 0.0f;
out[i] = T(seen == -1.0f ? 0.0f : y);
