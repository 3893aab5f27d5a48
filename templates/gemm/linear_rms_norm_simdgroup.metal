/*kernel
op = "linear_rms_norm"
inputs = ["x", "w"]
outputs = ["hidden"]
grid = [32, "ceildiv(n, COLUMNS)", "m"]
threadgroup = [32, {{ groups }}, 1]
[constants]
COLUMNS = {{ columns }}
[temporaries.hidden]
shape = ["m", "n"]
dtype = "float32"
*/
// --- body ---
const uint lane = thread_index_in_simdgroup;
const uint row = thread_position_in_grid.z;
const uint depth = x_shape[1];
const uint n = w_shape[0];
const uint first = thread_position_in_grid.y * COLUMNS;
float sums[COLUMNS] = {};
for (uint i = lane; i < depth; i += 32) {
  const float left = float(x[size_t(row) * depth + i]);
  for (int c = 0; c < COLUMNS; ++c) {
    // Columns beyond the edge read the last one again, and are not written.
    sums[c] += left * float(w[size_t(min(first + c, n - 1)) * depth + i]);
  }
}
for (int c = 0; c < COLUMNS; ++c) {
  const float sum = simd_sum(sums[c]);
  if (lane == 0 && first + c < n) {
    hidden[size_t(row) * n + first + c] = sum;
  }
}
/*kernel
inputs = ["hidden", "weight", "eps"]
outputs = ["out"]
grid = [32, "m", 1]
threadgroup = [32, {{ groups }}, 1]
*/
// --- body ---
const uint lane = thread_index_in_simdgroup;
const uint row = thread_position_in_grid.y;
const uint n = hidden_shape[1];
const size_t start = size_t(row) * n;
float squares = 0.0f;
for (uint c = lane; c < n; c += 32) {
  squares += hidden[start + c] * hidden[start + c];
}
const float scale = rsqrt(simd_sum(squares) / float(n) + eps);
for (uint c = lane; c < n; c += 32) {
  out[start + c] = T(hidden[start + c] * scale * float(weight[c]));
}
