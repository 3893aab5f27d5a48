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
const uint half_dim = head_dim / 2;

// base^(-2 pair / head_dim)
const float frequency = precise::exp2(-precise::log2(base) * (float(pair) / float(half_dim)));
const float angle = float(int(position) + offset) * frequency;
const float cosine = precise::cos(angle);
const float sine = precise::sin(angle);

const size_t i = (size_t(thread_position_in_grid.z) * seq + position) * head_dim + pair;
const float first = float(x[i]);
const float second = float(x[i + half_dim]);
out[i] = T(first * cosine - second * sine);
out[i + half_dim] = T(first * sine + second * cosine);
