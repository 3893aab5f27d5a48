/*kernel
op = "rope"
grid = [32, "seq", "batch * heads"]
threadgroup = [32, {{ rows_per_group }}, 1]
*/
// --- body ---
const uint position = thread_position_in_grid.y;
const uint seq = x_shape[2];
const uint head_dim = x_shape[3];
const uint half_dim = head_dim / 2;
const float turn = float(int(position) + offset);
const float octaves = -log2(base) / float(half_dim);
const size_t start = (size_t(thread_position_in_grid.z) * seq + position) * head_dim;
for (uint pair = thread_index_in_simdgroup; pair < half_dim; pair += 32) {
  const float angle = turn * exp2(octaves * float(pair));
  const float cosine = cos(angle);
  const float sine = sin(angle);
  const float first = float(x[start + pair]);
  const float second = float(x[start + pair + half_dim]);
  out[start + pair] = T(first * cosine - second * sine);
  out[start + pair + half_dim] = T(first * sine + second * cosine);
}
