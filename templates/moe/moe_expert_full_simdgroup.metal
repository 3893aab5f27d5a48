/*kernel
op = "moe_expert_full"
inputs = ["x", "gate", "up", "index"]
outputs = ["hidden"]
grid = [32, "ceildiv(n, COLUMNS)", "rows * slots"]
threadgroup = [32, {{ groups }}, 1]
[constants]
COLUMNS = {{ columns }}
[temporaries.hidden]
shape = ["rows * slots", "n"]
dtype = "float32"
*/
// exp(-|v|) never overflows, so that what is far below 0 keeps its size.
inline float silu(float v) {
  const float decay = exp(-abs(v));
  return v * (v < 0.0f ? decay : 1.0f) / (1.0f + decay);
}
// --- body ---
const uint lane = thread_index_in_simdgroup;
const uint slot = thread_position_in_grid.z;
const uint depth = x_shape[1];
const uint n = gate_shape[1];
const uint first = thread_position_in_grid.y * COLUMNS;
const size_t expert = size_t(index[slot]) * n;
auto row = x + size_t(slot / index_shape[1]) * depth;

float gates[COLUMNS] = {};
float ups[COLUMNS] = {};
for (uint i = lane; i < depth; i += 32) {
  const float left = float(row[i]);
  for (int c = 0; c < COLUMNS; ++c) {
    // Columns beyond the edge read the last one again, and are not written.
    const size_t at = (expert + min(first + c, n - 1)) * depth + i;
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
/*kernel
inputs = ["hidden", "down", "index", "share"]
outputs = ["out"]
grid = [32, "ceildiv(k, COLUMNS)", "rows"]
threadgroup = [32, {{ groups }}, 1]
[constants]
COLUMNS = {{ columns }}
*/
// --- body ---
const uint lane = thread_index_in_simdgroup;
const uint row = thread_position_in_grid.z;
const uint slots = index_shape[1];
const uint width = down_shape[1];
const uint n = down_shape[2];
const uint first = thread_position_in_grid.y * COLUMNS;

float sums[COLUMNS] = {};
for (uint s = 0; s < slots; ++s) {
  const uint slot = row * slots + s;
  const size_t expert = size_t(index[slot]) * width;
  const float part = float(share[slot]);
  float dots[COLUMNS] = {};
  for (uint i = lane; i < n; i += 32) {
    const float left = hidden[size_t(slot) * n + i];
    for (int c = 0; c < COLUMNS; ++c) {
      dots[c] += left * float(down[(expert + min(first + c, width - 1)) * n + i]);
    }
  }
  for (int c = 0; c < COLUMNS; ++c) {
    sums[c] += part * simd_sum(dots[c]);
  }
}
for (int c = 0; c < COLUMNS; ++c) {
  if (lane == 0 && first + c < width) {
    out[size_t(row) * width + first + c] = T(sums[c]);
  }
}
