{% macro declared() %}
{% for row in op.metal.rows %}, Rows{{ loop.index }} {{ row }}{% endfor %}
{% for p, type in op.params.items() %}{% if p != "scale" %}, {{ type }} {{ p }}{% endif %}{% endfor %}
{% endmacro %}
{% macro handed() %}
{% for row in op.metal.rows %}, {{ row }}
{%- if row in op.metal.per_batch %} + size_t(head / heads) * {{ row }}_shape[1]{% endif %}
{% endfor %}
{% for p in op.params %}{% if p != "scale" %}, {{ p }}{% endif %}{% endfor %}
{% endmacro %}
{% macro function(type, name, before, value) %}
{% if op.metal.rows %}
template <{% for row in op.metal.rows %}{{ ", " if not loop.first }}typename Rows{{ loop.index }}{% endfor %}>
{% endif %}
inline {{ type }} {{ name }}({{ before }}, int q_len, int kv_len{{ declared() | replace("\n", "") }}) {
  return {{ value }};
}
{% endmacro %}
{% set more = "q_len, kv_len" ~ (handed() | replace("\n", "")) %}
/*kernel
op = "{{ op.name }}"
grid = [32, "q_len", "batch * heads"]
threadgroup = [32, {{ queries_per_group }}, 1]
[constants]
D = "head_dim"
PER_LANE = "max(ceildiv(head_dim, 32), 1)"
KEYS = {{ keys }}
*/
{{ function("bool", "is_seen", "int q, int k", op.metal.mask) -}}
{{ function("int", "first_key", "int q", op.metal.first) -}}
{{ function("int", "until_key", "int q", op.metal.until) -}}
{% if op.metal.score != "s" %}
{{ function("float", "changed", "float s, int q, int k, int h, int heads", op.metal.score) -}}
{% endif %}
// --- body ---
const float lowest = -3.4e38f;  // of a key that is not seen; its weight is 0 all the same
const uint lane = thread_index_in_simdgroup;
const uint query = thread_position_in_grid.y;
const uint head = thread_position_in_grid.z;  // counted over the batch
const uint heads = q_shape[1];
const int q_len = q_shape[2];
const uint kv_heads = k_shape[1];
const int kv_len = k_shape[2];
const uint kv_head = head / heads * kv_heads + head % heads / (heads / kv_heads);
const int place = int(query) + kv_len - q_len;  // of the query among the keys
const uint first = lane * PER_LANE;             // of the head, this lane's elements
auto keys = k + size_t(kv_head) * kv_len * D;
auto values = v + size_t(kv_head) * kv_len * D;
const size_t at = (size_t(head) * q_len + query) * D;

float asked[PER_LANE];
float sums[PER_LANE];
for (int j = 0; j < PER_LANE; ++j) {
  asked[j] = first + j < D ? float(q[at + first + j]) * scale : 0.0f;
  sums[j] = 0.0f;
}
float peak = lowest;
float total = 0.0f;
const int begin = max(first_key(place, {{ more }}), 0);
const int end = min(until_key(place, {{ more }}), kv_len);
for (int start = begin; start < end; start += KEYS) {
  float weights[KEYS];
  bool seen[KEYS];
  float higher = peak;
  for (int i = 0; i < KEYS; ++i) {
    const int key = min(start + i, end - 1);
    seen[i] = start + i < end && is_seen(place, key, {{ more }});
    weights[i] = lowest;
    if (seen[i]) {
      const size_t row = size_t(key) * D + first;
      float score = 0.0f;
      for (int j = 0; j < PER_LANE; ++j) {
        score += first + j < D ? asked[j] * float(keys[row + j]) : 0.0f;
      }
      score = simd_sum(score);
{% if op.metal.score == "s" %}
      weights[i] = score;
{% else %}
      weights[i] = changed(score, place, key, head % heads, heads, {{ more }});
{% endif %}
    }
    higher = max(higher, weights[i]);
  }
  const float shrink = exp(peak - higher);
  total *= shrink;
  for (int j = 0; j < PER_LANE; ++j) {
    sums[j] *= shrink;
  }
  for (int i = 0; i < KEYS; ++i) {
    const size_t row = size_t(min(start + i, end - 1)) * D + first;
    const float weight = seen[i] ? exp(weights[i] - higher) : 0.0f;
    total += weight;
    for (int j = 0; j < PER_LANE; ++j) {
      sums[j] += first + j < D ? weight * float(values[row + j]) : 0.0f;
    }
  }
  peak = higher;
}
for (int j = 0; j < PER_LANE; ++j) {
  if (first + j < D) {
    out[at + first + j] = T(total > 0.0f ? sums[j] / total : 0.0f);
  }
}
