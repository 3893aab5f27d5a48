+++
op = "rope"
dtype = ["float32", "float16", "bfloat16"]
why = "fast::cos/sin: Apple documents them for |x| small only"
expect = ["wrong_result", "sanitizer_error", "rejected", "crash", "timeout"]
+++
/*kernel
op = "rope"
grid = ["head_dim // 2", "seq", "batch * heads"]
threadgroup = [32, 1, 1]
*/
// --- body ---
const uint pair = thread_position_in_grid.x, position = thread_position_in_grid.y;
const uint seq = x_shape[2], head_dim = x_shape[3], h = head_dim / 2;
const float frequency = exp2(-log2(base) * (float(pair) / float(h)));
const float angle = float(int(position) + offset) * frequency;
const float cosine = fast::cos(angle), sine = fast::sin(angle);
const size_t i = (size_t(thread_position_in_grid.z) * seq + position) * head_dim + pair;
const float first = float(x[i]), second = float(x[i + h]);
out[i] = T(first * cosine - second * sine);
out[i + h] = T(first * sine + second * cosine);
