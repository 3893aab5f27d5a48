{% from "masked.jinja" import asked_and_sums, exp, functions, handed, head_axis, query_place, read, row_of, seq_axis, walk with context %}
{% set more = handed("head / heads") | trim %}
/*kernel
op = "{{ op.name }}"
inputs = [{{ read() | trim }}]
outputs = ["part_sums", "part_peaks", "part_totals"]
grid = [32, "q_len", "batch * heads * SPLITS"]
threadgroup = [32, {{ queries_per_group }}, 1]
[constants]
D = "head_dim"
PER_LANE = "max(ceildiv(head_dim, 32), 1)"
KEYS = {{ keys }}
SPLITS = {{ splits }}
[temporaries.part_sums]
shape = ["batch * heads * {{ splits }}", "q_len", "head_dim"]
dtype = "float32"
[temporaries.part_peaks]
shape = ["batch * heads * {{ splits }}", "q_len"]
dtype = "float32"
[temporaries.part_totals]
shape = ["batch * heads * {{ splits }}", "q_len"]
dtype = "float32"
*/
{{ functions(false) -}}
// --- body ---
const float lowest = -3.4e38f;  // of a key that is not seen; its weight is 0 all the same
const uint head = thread_position_in_grid.z / SPLITS;  // counted over the batch
const int share = thread_position_in_grid.z % SPLITS;
{{ query_place() }}
{{ asked_and_sums() -}}
float peak = lowest;
float total = 0.0f;
const int lower = max(first_key(place, {{ more }}), 0);
const int upper = min(until_key(place, {{ more }}), kv_len);
const int each = (max(upper - lower, 0) + SPLITS - 1) / SPLITS;
const int begin = lower + share * each;
const int end = min(begin + each, upper);
{{ walk("is_seen(place, key, " ~ more ~ ")", more) -}}
const size_t part = size_t(thread_position_in_grid.z) * q_len + query;
for (int j = 0; j < PER_LANE; ++j) {
  if (first + j < D) {
    part_sums[part * D + first + j] = sums[j];
  }
}
if (lane == 0) {
  part_peaks[part] = peak;
  part_totals[part] = total;
}
/*kernel
inputs = ["q", {{ '"sinks", ' if op.metal.sinks }}"part_sums", "part_peaks", "part_totals"]
outputs = ["out"{{ ', "lse"' if op.metal.lse }}]
grid = [32, "q_len", "batch * heads"]
threadgroup = [32, {{ queries_per_group }}, 1]
[constants]
SPLITS = {{ splits }}
*/
// --- body ---
const uint lane = thread_index_in_simdgroup;
const uint query = thread_position_in_grid.y;
const uint head = thread_position_in_grid.z;
const uint q_len = q_shape[{{ seq_axis }}];
{% if op.metal.sequence_first %}
const uint heads = q_shape[{{ head_axis }}];
{% endif %}
const uint width = q_shape[3];
{% if op.metal.sinks %}
float peak = float(sinks[head % q_shape[{{ head_axis }}]]);
{% else %}
float peak = -3.4e38f;
{% endif %}
for (uint share = 0; share < SPLITS; ++share) {
  peak = max(peak, part_peaks[(size_t(head) * SPLITS + share) * q_len + query]);
}
float total = {{ exp ~ "(float(sinks[head % q_shape[" ~ head_axis ~ "]]) - peak)" if op.metal.sinks else "0.0f" }};
for (uint share = 0; share < SPLITS; ++share) {
  const size_t part = (size_t(head) * SPLITS + share) * q_len + query;
  total += part_totals[part] * {{ exp }}(part_peaks[part] - peak);
}
for (uint c = lane; c < width; c += 32) {
  float sum = 0.0f;
  for (uint share = 0; share < SPLITS; ++share) {
    const size_t part = (size_t(head) * SPLITS + share) * q_len + query;
    sum += part_sums[part * width + c] * {{ exp }}(part_peaks[part] - peak);
  }
  out[({{ row_of("head", "query") }}) * width + c] = T(total > 0.0f ? sum / total : 0.0f);
}
{% if op.metal.lse %}
if (lane == 0) {
  lse[size_t(head) * q_len + query] = {{ op.metal.lse }};
}
{% endif %}
