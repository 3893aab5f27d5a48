/*kernel
op = "moe_expert_full"
inputs = ["x", "gate", "up", "index"]
outputs = ["hidden"]
grid = [32, "ceildiv(n, COLUMNS)", "experts"]
threadgroup = [32, {{ groups }}, 1]
[constants]
COLUMNS = {{ columns }}
[temporaries.hidden]
shape = ["rows * slots", "n"]
dtype = "float32"
[temporaries.each]
shape = ["rows * slots", "k"]
dtype = "float32"
*/
// exp(-|v|) never overflows, so that what is far below 0 keeps its size.
inline float silu(float v) {
  const float decay = exp(-abs(v));
  return v * (v < 0.0f ? decay : 1.0f) / (1.0f + decay);
}
// --- body ---
const uint lane = thread_index_in_simdgroup;
const uint expert = thread_position_in_grid.z;
const uint depth = x_shape[1];
const uint n = gate_shape[1];
const uint slots = index_shape[1];
const uint first = thread_position_in_grid.y * COLUMNS;

for (uint slot = 0; slot < x_shape[0] * slots; ++slot) {
  if (index[slot] != expert) {
    continue;
  }
  auto row = x + size_t(slot / slots) * depth;
  float gates[COLUMNS] = {};
  float ups[COLUMNS] = {};
  for (uint i = lane; i < depth; i += 32) {
    const float left = float(row[i]);
    for (int c = 0; c < COLUMNS; ++c) {
      // Columns beyond the edge read the last one again, and are not written.
      const size_t at = (size_t(expert) * n + min(first + c, n - 1)) * depth + i;
      gates[c] += left * float(gate[at]);
      ups[c] += left * float(up[at]);
    }
  }
  for (int c = 0; c < COLUMNS; ++c) {
    const float g = simd_sum(gates[c]);
    const float u = simd_sum(ups[c]);
    if (lane == 0 && first + c < n) {
      hidden[size_t(slot) * n + first + c] = silu(g) * u;
    }
  }
}
/*kernel
inputs = ["hidden", "down", "index"]
outputs = ["each"]
grid = [32, "ceildiv(k, COLUMNS)", "experts"]
threadgroup = [32, {{ groups }}, 1]
[constants]
COLUMNS = {{ columns }}
*/
// --- body ---
const uint lane = thread_index_in_simdgroup;
const uint expert = thread_position_in_grid.z;
const uint entries = index_shape[0] * index_shape[1];
const uint width = down_shape[1];
const uint n = down_shape[2];
const uint first = thread_position_in_grid.y * COLUMNS;

for (uint slot = 0; slot < entries; ++slot) {
  if (index[slot] != expert) {
    continue;
  }
  float dots[COLUMNS] = {};
  for (uint i = lane; i < n; i += 32) {
    const float left = hidden[size_t(slot) * n + i];
    for (int c = 0; c < COLUMNS; ++c) {
      dots[c] += left * float(down[(size_t(expert) * width + min(first + c, width - 1)) * n + i]);
    }
  }
  for (int c = 0; c < COLUMNS; ++c) {
    const float dot = simd_sum(dots[c]);
    if (lane == 0 && first + c < width) {
      each[size_t(slot) * width + first + c] = dot;
    }
  }
}
/*kernel
inputs = ["each", "share"]
outputs = ["out"]
grid = ["k", "rows", 1]
threadgroup = [{{ 32 * groups }}, 1, 1]
*/
// --- body ---
const uint column = thread_position_in_grid.x;
const uint row = thread_position_in_grid.y;
const uint slots = share_shape[1];
const uint width = each_shape[1];
float sum = 0.0f;
for (uint s = 0; s < slots; ++s) {
  const size_t slot = size_t(row) * slots + s;
  sum += float(share[slot]) * each[slot * width + column];
}
out[size_t(row) * width + column] = T(sum);
