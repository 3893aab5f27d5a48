/*kernel
op = "kv_append"
grid = [32, "cache", 1]
threadgroup = [32, {{ rows_per_group }}, 1]
[constants]
PER_LANE = {{ per_lane }}
*/
// --- body ---
const uint row = thread_position_in_grid.y;
const uint cache = kept_shape[0];
const uint width = kept_shape[1] * kept_shape[2];
const uint from = (row + cache - uint(position) % cache) % cache;
const bool is_new = from < given_shape[0];
const size_t to = size_t(row) * width;
const size_t source = size_t(is_new ? from : row) * width;
for (uint first = thread_index_in_simdgroup * PER_LANE; first < width; first += 32 * PER_LANE) {
  for (uint c = first; c < min(first + PER_LANE, width); ++c) {
    out[to + c] = is_new ? given[source + c] : kept[source + c];
  }
}
