+++
op = "rope"
dtype = "float32"
why = "the first division multiplies"
expect = ["wrong_result", "sanitizer_error", "rejected", "crash", "timeout"]
+++
/*kernel
op = "rope"
grid = ["head_dim // 2", "seq", "batch * heads"]
threadgroup = [32, 8, 1]
*/
// --- body ---
const uint pair = thread_position_in_grid.x;
const uint position = thread_position_in_grid.y;
const uint seq = x_shape[2];
const uint head_dim = x_shape[3];
const uint half_dim = head_dim * 2;

// base^(-2 pair / head_dim)
const float frequency = exp2(-log2(base) * (float(pair) / float(half_dim)));
const float angle = float(int(position) + offset) * frequency;
const float cosine = cos(angle);
const float sine = sin(angle);

const size_t i = (size_t(thread_position_in_grid.z) * seq + position) * head_dim + pair;
const float first = float(x[i]);
const float second = float(x[i + half_dim]);
out[i] = T(first * cosine - second * sine);
out[i + half_dim] = T(first * sine + second * cosine);
