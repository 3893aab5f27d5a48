/*kernel
op = "cumsum"
grid = [32, "rows", 1]
threadgroup = [32, {{ rows_per_group }}, 1]
{% if vec > 1 %}
[constants]
VEC = {{ vec }}
{% endif %}
*/
// --- body ---
const uint row = thread_position_in_grid.y;
const uint lane = thread_index_in_simdgroup;
const uint cols = x_shape[1];
auto from = x + size_t(row) * cols;
auto to = out + size_t(row) * cols;

float carry = 0.0f;  // sum of all steps before this one
{% if vec == 1 %}
for (uint start = 0; start < cols; start += 32) {
  const uint c = start + lane;
  const float v = c < cols ? float(from[c]) : 0.0f;
  const float sum = carry + simd_prefix_inclusive_sum(v);
  if (c < cols) {
    to[c] = T(sum);
  }
  carry = simd_broadcast(sum, 31);
}
{% else %}
for (uint start = 0; start < cols; start += 32 * VEC) {
  const uint c = start + lane * VEC;
  float sums[VEC];  // running sums of this lane's elements
  float sum = 0.0f;
  if (c + VEC <= cols) {
    for (int j = 0; j < VEC; ++j) {
      sum += float(from[c + j]);
      sums[j] = sum;
    }
  } else {
    for (int j = 0; j < VEC; ++j) {
      sum += c + j < cols ? float(from[c + j]) : 0.0f;
      sums[j] = sum;
    }
  }
  const float before = carry + simd_prefix_exclusive_sum(sum);
  if (c + VEC <= cols) {
    for (int j = 0; j < VEC; ++j) {
      to[c + j] = T(before + sums[j]);
    }
  } else {
    for (int j = 0; j < VEC && c + j < cols; ++j) {
      to[c + j] = T(before + sums[j]);
    }
  }
  carry = simd_broadcast(before + sum, 31);
}
{% endif %}
