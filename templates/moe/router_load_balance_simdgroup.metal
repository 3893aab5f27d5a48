/*kernel
op = "router_load_balance"
inputs = ["x"]
outputs = ["peaks", "totals"]
grid = [32, "rows", 1]
threadgroup = [32, {{ per_group }}, 1]
[temporaries.peaks]
shape = ["rows"]
dtype = "float32"
[temporaries.totals]
shape = ["rows"]
dtype = "float32"
[temporaries.parts]
shape = ["experts"]
dtype = "float32"
*/
// --- body ---
const uint lane = thread_index_in_simdgroup;
const uint row = thread_position_in_grid.y;
const uint experts = x_shape[1];
auto from = x + size_t(row) * experts;
float peak = -INFINITY;
for (uint e = lane; e < experts; e += 32) {
  peak = max(peak, float(from[e]));
}
peak = simd_max(peak);
float total = 0.0f;
for (uint e = lane; e < experts; e += 32) {
  total += exp(float(from[e]) - peak);
}
total = simd_sum(total);
if (lane == 0) {
  peaks[row] = peak;
  totals[row] = total;
}
/*kernel
inputs = ["x", "index", "peaks", "totals"]
outputs = ["parts"]
grid = [32, "experts", 1]
threadgroup = [32, {{ per_group }}, 1]
*/
// --- body ---
const uint lane = thread_index_in_simdgroup;
const uint expert = thread_position_in_grid.y;
const uint rows = x_shape[0];
const uint experts = x_shape[1];
const uint entries = rows * index_shape[1];
float wanted = 0.0f;
for (uint r = lane; r < rows; r += 32) {
  wanted += exp(float(x[size_t(r) * experts + expert]) - peaks[r]) / totals[r];
}
uint count = 0;
for (uint i = lane; i < entries; i += 32) {
  count += index[i] == expert ? 1u : 0u;
}
wanted = simd_sum(wanted) / float(rows);
count = simd_sum(count);
if (lane == 0) {
  parts[expert] = wanted * (float(count) / float(max(entries, 1u)));
}
/*kernel
inputs = ["parts"]
outputs = ["out"]
grid = [32, 1, 1]
threadgroup = [32, 1, 1]
*/
// --- body ---
const uint lane = thread_index_in_simdgroup;
const uint experts = parts_shape[0];
float total = 0.0f;
for (uint e = lane; e < experts; e += 32) {
  total += parts[e];
}
total = simd_sum(total);
if (lane == 0) {
  out[0] = T(float(experts) * total);
}
