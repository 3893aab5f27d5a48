{% from "masked.jinja" import asked_and_sums, functions, handed, nothing_yet, query_place, seq_axis, read, walk, written with context %}
{% set more = handed("head / heads") | trim %}
/*kernel
op = "{{ op.name }}"
inputs = [{{ read() | trim }}]
outputs = ["blocks"]
grid = [32, "ceildiv(kv_len, BLOCK_KEYS)", "batch * ceildiv(q_len, QUERIES)"]
threadgroup = [32, {{ queries_per_group }}, 1]
[constants]
QUERIES = {{ queries }}
BLOCK_KEYS = {{ block_keys }}
[temporaries.blocks]
shape = ["batch * ceildiv(q_len, {{ queries }})", "ceildiv(kv_len, {{ block_keys }})"]
dtype = "uint32"
*/
{{ functions(false) -}}
// --- body ---
// 0: no pair of the block is seen, 1: some are, 2: all are.
const uint lane = thread_index_in_simdgroup;
const uint column = thread_position_in_grid.y;
const uint row = thread_position_in_grid.z;
const int q_len = q_shape[{{ seq_axis }}];
const int kv_len = k_shape[{{ seq_axis }}];
const uint rows = (uint(q_len) + QUERIES - 1) / QUERIES;
const int first_query = int(row % rows) * QUERIES;
const int first_key_of = int(column) * BLOCK_KEYS;
const int tall = min(QUERIES, q_len - first_query);
const int wide = min(BLOCK_KEYS, kv_len - first_key_of);
int count = 0;
for (int pair = int(lane); pair < tall * wide; pair += 32) {
  const int place = first_query + pair / wide + kv_len - q_len;
  const int key = first_key_of + pair % wide;
  count += is_seen(place, key, {{ handed("row / rows") | trim }}) ? 1 : 0;
}
count = simd_sum(count);
if (lane == 0) {
  blocks[size_t(row) * ((kv_len + BLOCK_KEYS - 1) / BLOCK_KEYS) + column] =
      count == 0 ? 0u : count == tall * wide ? 2u : 1u;
}
/*kernel
inputs = [{{ read() | trim }}, "blocks"]
outputs = ["out"{{ ', "lse"' if op.metal.lse }}]
grid = [32, "q_len", "batch * heads"]
threadgroup = [32, {{ queries_per_group }}, 1]
[constants]
D = "head_dim"
PER_LANE = "max(ceildiv(head_dim, 32), 1)"
KEYS = {{ keys }}
QUERIES = {{ queries }}
BLOCK_KEYS = {{ block_keys }}
*/
// --- body ---
const float lowest = -3.4e38f;  // of a key that is not seen; its weight is 0 all the same
const uint head = thread_position_in_grid.z;  // counted over the batch
{{ query_place() }}
{{ asked_and_sums() -}}
{{ nothing_yet() -}}
const uint columns = (uint(kv_len) + BLOCK_KEYS - 1) / BLOCK_KEYS;
const uint rows = (uint(q_len) + QUERIES - 1) / QUERIES;
auto states = blocks + (size_t(head / heads) * rows + query / QUERIES) * columns;
for (uint column = 0; column < columns; ++column) {
  const uint state = states[column];
  if (state == 0) {
    continue;
  }
  const int begin = int(column) * BLOCK_KEYS;
  const int end = min(begin + BLOCK_KEYS, kv_len);
  {{ walk("(state == 2 || is_seen(place, key, " ~ more ~ "))", more) | trim | indent(2) }}
}
{{ written() -}}
