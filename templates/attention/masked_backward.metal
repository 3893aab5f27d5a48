{% from "masked.jinja" import functions, handed, head_axis, key_step, nothing_yet, query_place, read, row_of, seq_axis with context %}
{% set more = handed("head / heads") | trim %}
{% set outputs = op.outputs %}
{% macro slope(s) -%}
{{ "" if op.metal.slope == "1.0f" else " * slope_of(" ~ s ~ ", place, key, head % heads, heads, " ~ more ~ ")" }}
{%- endmacro %}
{# Where the logarithms of the sums and delta are inputs, each part is one launch of its own. #}
{% set whole = "lse" not in op.inputs %}
{# A logarithm of both would lose the sum beside a far larger score. #}
{% macro sums(row) -%}
{% if whole %}
const float peak = peaks[{{ row }}];
const float total = totals[{{ row }}];
{% else %}
const float logarithm = lse[{{ row }}];
{% endif %}
{%- endmacro %}
{# A square less the largest square, in one multiply-add, leaves what rounding took from it. #}
{% set is_changed = op.metal.score != "s" %}
{% macro below(score, peak) -%}
{{ "below(" ~ score ~ ", " ~ peak ~ ")" if is_changed else score ~ " - " ~ peak }}
{%- endmacro %}
{% macro weight_of(score) -%}
{{ "exp(" ~ below(score, "peak") ~ ") / total" if whole else "exp(min(" ~ score ~ " - logarithm, 0.0f))" }}
{%- endmacro %}
{# Where a row of a head of the keys begins. #}
{% macro key_row(head, key) -%}
{% if op.metal.sequence_first -%}
(size_t({{ head }} / kv_heads) * kv_len + {{ key }}) * kv_heads + {{ head }} % kv_heads
{%- else -%}
size_t({{ head }}) * kv_len + {{ key }}
{%- endif %}
{%- endmacro %}
{% macro changed(s) -%}
{{ s if op.metal.score == "s" else "changed(" ~ s ~ ", place, key, head % heads, heads, " ~ more ~ ")" }}
{%- endmacro %}
{% if whole %}
/*kernel
op = "{{ op.name }}"
inputs = [{{ read() | trim }}]
outputs = ["peaks", "totals", "delta"]
grid = [32, "q_len", "batch * heads"]
threadgroup = [32, {{ rows_per_group }}, 1]
[constants]
D = "head_dim"
PER_LANE = "max(ceildiv(head_dim, 32), 1)"
[temporaries.peaks]
shape = ["batch * heads", "q_len"]
dtype = "float32"
[temporaries.totals]
shape = ["batch * heads", "q_len"]
dtype = "float32"
[temporaries.delta]
shape = ["batch * heads", "q_len"]
dtype = "float32"
{% if op.metal.learnt and op.metal.bins %}
[temporaries.binned]
shape = ["batch * heads * q_len", {{ op.metal.bins }}]
dtype = "float32"
{% endif %}
*/
{{ functions(true) -}}
{% if is_changed %}
inline float below(float score, float peak) {
  #pragma METAL fp contract(off)
  return score - peak;
}
{% endif %}
// --- body ---
// Of every query its largest score, the sum beside it, and how its output leans on dout.
const uint head = thread_position_in_grid.z;  // counted over the batch
{{ query_place() -}}
float asked[PER_LANE];
float given[PER_LANE];
for (int j = 0; j < PER_LANE; ++j) {
  asked[j] = first + j < D ? float(q[at + first + j]) * scale : 0.0f;
  given[j] = first + j < D ? float(dout[at + first + j]) : 0.0f;
}
const float lowest = -3.4e38f;
{{ nothing_yet() -}}
float lean = 0.0f;
const int begin = max(first_key(place, {{ more }}), 0);
const int end = min(until_key(place, {{ more }}), kv_len);
for (int key = begin; key < end; ++key) {
  if (!is_seen(place, key, {{ more }})) {
    continue;
  }
  const size_t row = size_t(key) * {{ key_step }} + first;
  float score = 0.0f;
  float part = 0.0f;
  for (int j = 0; j < PER_LANE; ++j) {
    score += first + j < D ? asked[j] * float(keys[row + j]) : 0.0f;
    part += first + j < D ? given[j] * float(values[row + j]) : 0.0f;
  }
  score = simd_sum(score);
  part = simd_sum(part);
  const float after = {{ changed("score") }};
  const float higher = max(peak, after);
  const float weight = exp({{ below("after", "higher") }});
  const float shrink = exp(peak - higher);
  total = total * shrink + weight;
  lean = lean * shrink + weight * part;
  peak = higher;
}
if (lane == 0) {
  // A query that sees no key: exp of anything less this is 0.
  peaks[size_t(head) * q_len + query] = total > 0.0f ? peak : 3.4e38f;
  totals[size_t(head) * q_len + query] = total > 0.0f ? total : 1.0f;
  delta[size_t(head) * q_len + query] = total > 0.0f ? lean / total : 0.0f;
}
{% endif %}
{% if "dq" in outputs %}
/*kernel
{% if whole %}
inputs = [{{ read() | trim }}, "peaks", "totals", "delta"]
outputs = ["dq"]
{% else %}
op = "{{ op.name }}"
{% endif %}
grid = [32, "q_len", "batch * heads"]
threadgroup = [32, {{ rows_per_group }}, 1]
[constants]
D = "head_dim"
PER_LANE = "max(ceildiv(head_dim, 32), 1)"
*/
{{ "" if whole else functions(true) -}}
// --- body ---
const uint head = thread_position_in_grid.z;  // counted over the batch
{{ query_place() -}}
float asked[PER_LANE];
float given[PER_LANE];
float found[PER_LANE];
for (int j = 0; j < PER_LANE; ++j) {
  asked[j] = first + j < D ? float(q[at + first + j]) * scale : 0.0f;
  given[j] = first + j < D ? float(dout[at + first + j]) : 0.0f;
  found[j] = 0.0f;
}
{{ sums("size_t(head) * q_len + query") | trim }}
const float mean = delta[size_t(head) * q_len + query];
const int begin = max(first_key(place, {{ more }}), 0);
const int end = min(until_key(place, {{ more }}), kv_len);
for (int key = begin; key < end; ++key) {
  if (!is_seen(place, key, {{ more }})) {
    continue;
  }
  const size_t row = size_t(key) * {{ key_step }} + first;
  float score = 0.0f;
  float part = 0.0f;
  for (int j = 0; j < PER_LANE; ++j) {
    score += first + j < D ? asked[j] * float(keys[row + j]) : 0.0f;
    part += first + j < D ? given[j] * float(values[row + j]) : 0.0f;
  }
  score = simd_sum(score);
  part = simd_sum(part);
  const float weight = {{ weight_of(changed("score")) }};
  const float change = weight * (part - mean){{ slope("score") }};
  for (int j = 0; j < PER_LANE; ++j) {
    found[j] += first + j < D ? change * float(keys[row + j]) : 0.0f;
  }
}
for (int j = 0; j < PER_LANE; ++j) {
  if (first + j < D) {
    dq[at + first + j] = T(found[j] * scale);
  }
}
{% endif %}
{% if "dk" in outputs %}
/*kernel
{% if whole %}
inputs = [{{ read() | trim }}, "peaks", "totals", "delta"]
outputs = ["dk", "dv"]
{% else %}
op = "{{ op.name }}"
{% endif %}
grid = [32, "kv_len", "batch * kv_heads"]
threadgroup = [32, {{ rows_per_group }}, 1]
[constants]
D = "head_dim"
PER_LANE = "max(ceildiv(head_dim, 32), 1)"
*/
{{ "" if whole else functions(true) -}}
// --- body ---
const uint lane = thread_index_in_simdgroup;
const int key = thread_position_in_grid.y;
const uint kv_head = thread_position_in_grid.z;  // counted over the batch
const uint heads = q_shape[{{ head_axis }}];
const int q_len = q_shape[{{ seq_axis }}];
const uint kv_heads = k_shape[{{ head_axis }}];
const int kv_len = k_shape[{{ seq_axis }}];
const uint repeats = heads / kv_heads;
const uint first = lane * PER_LANE;
const size_t at = ({{ key_row("kv_head", "key") }}) * D + first;
float own[PER_LANE];
float held[PER_LANE];
float key_sums[PER_LANE];
float value_sums[PER_LANE];
for (int j = 0; j < PER_LANE; ++j) {
  own[j] = first + j < D ? float(k[at + j]) : 0.0f;
  held[j] = first + j < D ? float(v[at + j]) : 0.0f;
  key_sums[j] = 0.0f;
  value_sums[j] = 0.0f;
}
for (uint r = 0; r < repeats; ++r) {
  const uint head = kv_head / kv_heads * heads + kv_head % kv_heads * repeats + r;
  for (int query = 0; query < q_len; ++query) {
    const int place = query + kv_len - q_len;
    if (!is_seen(place, key, {{ more }})) {
      continue;
    }
    const size_t row = ({{ row_of("head", "query") }}) * D + first;
    float score = 0.0f;
    float part = 0.0f;
    for (int j = 0; j < PER_LANE; ++j) {
      score += first + j < D ? float(q[row + j]) * scale * own[j] : 0.0f;
      part += first + j < D ? float(dout[row + j]) * held[j] : 0.0f;
    }
    score = simd_sum(score);
    part = simd_sum(part);
    {{ sums("size_t(head) * q_len + query") | trim | indent(4) }}
    const float weight = {{ weight_of(changed("score")) }};
    const float mean = delta[size_t(head) * q_len + query];
    const float change = weight * (part - mean){{ slope("score") }} * scale;
    for (int j = 0; j < PER_LANE; ++j) {
      key_sums[j] += first + j < D ? change * float(q[row + j]) : 0.0f;
      value_sums[j] += first + j < D ? weight * float(dout[row + j]) : 0.0f;
    }
  }
}
for (int j = 0; j < PER_LANE; ++j) {
  if (first + j < D) {
    dk[at + j] = T(key_sums[j]);
    dv[at + j] = T(value_sums[j]);
  }
}
{% endif %}
{% for name, count in op.metal.learnt.items() %}
{% if op.metal.bins %}
/*kernel
inputs = [{{ read() | trim }}, "peaks", "totals", "delta"]
outputs = ["binned"]
grid = [32, "q_len", "batch * heads"]
threadgroup = [32, {{ rows_per_group }}, 1]
[constants]
D = "head_dim"
PER_LANE = "max(ceildiv(head_dim, 32), 1)"
BINS = {{ op.metal.bins }}
OWN_BINS = {{ (op.metal.bins + 31) // 32 }}
*/
// --- body ---
// Of every query what its scores give to each bin; a lane keeps every 32nd of them.
const uint head = thread_position_in_grid.z;  // counted over the batch
{{ query_place() -}}
float asked[PER_LANE];
float given[PER_LANE];
float binned_here[OWN_BINS];
for (int j = 0; j < PER_LANE; ++j) {
  asked[j] = first + j < D ? float(q[at + first + j]) * scale : 0.0f;
  given[j] = first + j < D ? float(dout[at + first + j]) : 0.0f;
}
for (int j = 0; j < OWN_BINS; ++j) {
  binned_here[j] = 0.0f;
}
const size_t query_row = size_t(head) * q_len + query;
{{ sums("query_row") | trim }}
const float mean = delta[query_row];
const int begin = max(first_key(place, {{ more }}), 0);
const int end = min(until_key(place, {{ more }}), kv_len);
for (int key = begin; key < end; ++key) {
  if (!is_seen(place, key, {{ more }})) {
    continue;
  }
  const size_t row = size_t(key) * {{ key_step }} + first;
  float score = 0.0f;
  float part = 0.0f;
  for (int j = 0; j < PER_LANE; ++j) {
    score += first + j < D ? asked[j] * float(keys[row + j]) : 0.0f;
    part += first + j < D ? given[j] * float(values[row + j]) : 0.0f;
  }
  score = simd_sum(score);
  part = simd_sum(part);
  const float weight = {{ weight_of(changed("score")) }};
  const float change = weight * (part - mean)
{%- if op.metal.learnt_slope != "1.0f" %} * learnt_slope(score, place, key, head % heads, heads, {{ more }}){% endif %};
  const int which = bin_of(place, key, {{ more }});
  for (int j = 0; j < OWN_BINS; ++j) {
    binned_here[j] += int(lane) + 32 * j == which ? change : 0.0f;
  }
}
for (int j = 0; j < OWN_BINS; ++j) {
  if (int(lane) + 32 * j < BINS) {
    binned[query_row * BINS + lane + 32 * j] = binned_here[j];
  }
}
/*kernel
inputs = ["q", "binned"]
outputs = ["d{{ name }}"]
grid = [32, "{{ count }}", 1]
threadgroup = [32, {{ rows_per_group }}, 1]
[constants]
BINS = {{ op.metal.bins }}
*/
// --- body ---
const uint lane = thread_index_in_simdgroup;
const uint element = thread_position_in_grid.y;
const uint heads = q_shape[{{ head_axis }}];
const uint q_len = q_shape[{{ seq_axis }}];
float sum = 0.0f;
for (uint i = lane; i < uint(q_shape[0]) * q_len; i += 32) {
  const size_t head = size_t(i / q_len) * heads + element / BINS;
  sum += binned[(head * q_len + i % q_len) * BINS + element % BINS];
}
sum = simd_sum(sum);
if (lane == 0) {
  d{{ name }}[element] = T(sum);
}
{% else %}
/*kernel
inputs = [{{ read() | trim }}, "peaks", "totals", "delta"]
outputs = ["d{{ name }}"]
grid = [32, "{{ count }}", 1]
threadgroup = [32, {{ rows_per_group }}, 1]
[constants]
D = "head_dim"
PER_LANE = "max(ceildiv(head_dim, 32), 1)"
*/
// --- body ---
const uint lane = thread_index_in_simdgroup;
const uint element = thread_position_in_grid.y;
const uint heads = q_shape[{{ head_axis }}];
const int q_len = q_shape[{{ seq_axis }}];
const uint kv_heads = k_shape[{{ head_axis }}];
const int kv_len = k_shape[{{ seq_axis }}];
const uint columns = {{ name }}_shape[0] / heads;
const uint first = lane * PER_LANE;
float sum = 0.0f;
for (uint batch = 0; batch < uint(q_shape[0]); ++batch) {
  const uint head = batch * heads + element / columns;
  const uint kv_head = batch * kv_heads + element / columns / (heads / kv_heads);
  for (int query = 0; query < q_len; ++query) {
    const int place = query + kv_len - q_len;
    const int key = key_of(place, int(element % columns), {{ more }});
    if (key < 0 || key >= kv_len || !is_seen(place, key, {{ more }})) {
      continue;
    }
    const size_t row = size_t(head) * q_len + query;
    const size_t at = ({{ row_of("head", "query") }}) * D + first;
    const size_t own = ({{ key_row("kv_head", "key") }}) * D + first;
    float score = 0.0f;
    float part = 0.0f;
    for (int j = 0; j < PER_LANE; ++j) {
      score += first + j < D ? float(q[at + j]) * scale * float(k[own + j]) : 0.0f;
      part += first + j < D ? float(dout[at + j]) * float(v[own + j]) : 0.0f;
    }
    score = simd_sum(score);
    part = simd_sum(part);
    sum += exp({{ below(changed("score"), "peaks[row]") }}) / totals[row] * (part - delta[row]);
  }
}
if (lane == 0) {
  d{{ name }}[element] = T(sum);
}
{% endif %}
{% endfor %}
{% if op.metal.sinks %}
/*kernel
inputs = [{{ read() | trim }}, "peaks", "totals", "delta"]
outputs = ["dsinks"]
grid = [32, "heads", 1]
threadgroup = [32, {{ rows_per_group }}, 1]
*/
// --- body ---
const uint lane = thread_index_in_simdgroup;
const uint head = thread_position_in_grid.y;
const uint heads = q_shape[{{ head_axis }}];
const uint q_len = q_shape[{{ seq_axis }}];
const float sink = float(sinks[head]);
float sum = 0.0f;
for (uint i = lane; i < uint(q_shape[0]) * q_len; i += 32) {
  const size_t row = (size_t(i / q_len) * heads + head) * q_len + i % q_len;
  sum -= exp(sink - peaks[row]) / totals[row] * delta[row];
}
sum = simd_sum(sum);
if (lane == 0) {
  dsinks[head] = T(sum);
}
{% endif %}
