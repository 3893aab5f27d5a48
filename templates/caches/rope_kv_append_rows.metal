/*kernel
op = "rope_kv_append"
grid = [32, "batch * (kv_heads * cache + heads)", 1]
threadgroup = [32, {{ rows_per_group }}, 1]
*/
inline float angle_of(uint pair, uint pairs, int position, float base) {
  return float(position) * exp2(-log2(base) * (float(pair) / float(pairs)));
}
// --- body ---
const uint lane = thread_index_in_simdgroup;
const uint row = thread_position_in_grid.y;
const uint cache = keys_shape[2];
const uint head_dim = keys_shape[3];
const uint pairs = head_dim / 2;
const uint cached = keys_shape[0] * keys_shape[1] * cache;
const bool is_query = row >= cached;
const bool is_new = !is_query && row % cache == uint(offset) % cache;
if (is_query || is_new) {
  const size_t from = size_t(is_query ? row - cached : row / cache) * head_dim;
  const size_t at = size_t(row) * head_dim;
  for (uint pair = lane; pair < pairs; pair += 32) {
    const float angle = angle_of(pair, pairs, offset, base);
    const float first = is_query ? float(q[from + pair]) : float(k[from + pair]);
    const float second = is_query ? float(q[from + pair + pairs]) : float(k[from + pair + pairs]);
    const T turned = T(first * cos(angle) - second * sin(angle));
    const T turned_second = T(first * sin(angle) + second * cos(angle));
    if (is_query) {
      q_out[from + pair] = turned;
      q_out[from + pair + pairs] = turned_second;
    } else {
      keys_out[at + pair] = turned;
      keys_out[at + pair + pairs] = turned_second;
      values_out[at + pair] = v[from + pair];
      values_out[at + pair + pairs] = v[from + pair + pairs];
    }
  }
} else {
  const size_t at = size_t(row) * head_dim;
  for (uint c = lane; c < head_dim; c += 32) {
    keys_out[at + c] = keys[at + c];
    values_out[at + c] = values_seen[at + c];
  }
}
