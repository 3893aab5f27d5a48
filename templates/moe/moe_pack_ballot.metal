/*kernel
op = "moe_pack"
inputs = ["index"]
outputs = ["counts"]
grid = [32, "experts", 1]
threadgroup = [32, {{ experts_per_group }}, 1]
*/
// --- body ---
const uint lane = thread_index_in_simdgroup;
const uint expert = thread_position_in_grid.y;
const uint entries = index_shape[0] * index_shape[1];
uint found = 0;
for (uint i = lane; i < entries; i += 32) {
  found += index[i] == expert ? 1u : 0u;
}
found = simd_sum(found);
if (lane == 0) {
  counts[expert] = found;
}
/*kernel
inputs = ["index", "counts"]
outputs = ["order"]
grid = [32, "experts", 1]
threadgroup = [32, {{ experts_per_group }}, 1]
*/
// --- body ---
const uint lane = thread_index_in_simdgroup;
const uint expert = thread_position_in_grid.y;
const uint entries = index_shape[0] * index_shape[1];
uint before = 0;  // entries of the experts before this one
for (uint e = lane; e < expert; e += 32) {
  before += counts[e];
}
uint next = simd_sum(before);
for (uint start = 0; start < entries; start += 32) {
  const uint i = start + lane;
  const uint mine = i < entries && index[i] == expert ? 1u : 0u;
  const uint place = simd_prefix_exclusive_sum(mine);
  if (mine) {
    order[next + place] = i;
  }
  next += simd_sum(mine);
}
