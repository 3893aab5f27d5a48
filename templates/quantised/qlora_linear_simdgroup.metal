/*kernel
op = "qlora_linear"
inputs = ["x", "down"]
outputs = ["small"]
grid = [32, "rank", "m"]
threadgroup = [32, {{ groups }}, 1]
[temporaries.small]
shape = ["m", "rank"]
dtype = "float32"
*/
// --- body ---
const uint lane = thread_index_in_simdgroup;
const uint row = thread_position_in_grid.z;
const uint direction = thread_position_in_grid.y;
const uint depth = x_shape[1];
float sum = 0.0f;
for (uint i = lane; i < depth; i += 32) {
  sum += float(x[size_t(row) * depth + i]) * float(down[size_t(direction) * depth + i]);
}
sum = simd_sum(sum);
if (lane == 0) {
  small[row * down_shape[0] + direction] = sum;
}
/*kernel
inputs = ["x", "w", "w_scales", "w_biases", "up", "small", "scale"]
outputs = ["out"]
grid = [32, "ceildiv(n, COLUMNS)", "m"]
threadgroup = [32, {{ groups }}, 1]
[constants]
COLUMNS = {{ columns }}
GROUP = "group"
RANK = "rank"
*/
// --- body ---
const uint lane = thread_index_in_simdgroup;
const uint row = thread_position_in_grid.z;
const uint depth = x_shape[1];
const uint n = w_shape[0];
const uint first = thread_position_in_grid.y * COLUMNS;
auto from = x + size_t(row) * depth;

float sums[COLUMNS] = {};
for (uint at = lane; at < depth / 8; at += 32) {
  float left[8];
  float total = 0.0f;
  for (int j = 0; j < 8; ++j) {
    left[j] = float(from[at * 8 + j]);
    total += left[j];
  }
  for (int c = 0; c < COLUMNS; ++c) {
    // Columns beyond the edge read the last one again, and are not written.
    const size_t column = min(first + c, n - 1);
    const size_t group = column * (depth / GROUP) + at * 8 / GROUP;
    uint word = w[column * (depth / 8) + at];
    float dot = 0.0f;
    for (int j = 0; j < 8; ++j) {
      dot += float(word & 15u) * left[j];
      word >>= 4;
    }
    sums[c] += float(w_scales[group]) * dot + float(w_biases[group]) * total;
  }
}
for (int c = 0; c < COLUMNS; ++c) {
  const size_t column = min(first + c, n - 1);
  float part = 0.0f;
  for (uint r = lane; r < RANK; r += 32) {
    part += small[row * RANK + r] * float(up[column * RANK + r]);
  }
  const float found = simd_sum(sums[c] + scale * part);
  if (lane == 0 && first + c < n) {
    out[size_t(row) * n + column] = T(found);
  }
}
