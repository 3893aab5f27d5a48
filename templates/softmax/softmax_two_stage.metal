{% from "rows.jinja" import group_reduce %}
{% set wide = threads > 32 %}
{% macro over(value, kind) %}
{% if wide %}group_{{ kind }}({{ value }}, shared, simd_lane, simd, simds){% else %}simd_{{ kind }}({{ value }}){% endif %}
{% endmacro %}
{% macro place() %}
const uint chunk = threadgroup_position_in_grid.y;
const uint row = threadgroup_position_in_grid.z;
const uint lane = thread_position_in_threadgroup.x;
{% if wide %}
const uint simd_lane = thread_index_in_simdgroup;
const uint simd = simdgroup_index_in_threadgroup;
const uint simds = simdgroups_per_threadgroup;
threadgroup float shared[32];
{% endif %}
const uint cols = x_shape[1];
const uint begin = chunk * CHUNK;
const uint end = min(cols, begin + CHUNK);
{% if vec > 1 %}
const uint full = end - (end - begin) % VEC;
const uint rest = full + lane;  // left over by the steps of VEC columns: one a thread
{% endif %}
auto from = x + size_t(row) * cols;
{% endmacro %}
{% macro columns() %}
{% if vec == 1 %}
for (uint c = begin + lane; c < end; c += THREADS) {
  {{ caller("c", "") | trim | indent(2) }}
}
{% else %}
for (uint c = begin + lane * VEC; c < full; c += THREADS * VEC) {
  for (int j = 0; j < VEC; ++j) {
    {{ caller("c + j", "[j]") | trim | indent(4) }}
  }
}
if (rest < end) {
  {{ caller("rest", "[0]") | trim | indent(2) }}
}
{% endif %}
{% endmacro %}
{% from "rows.jinja" import accumulator, merged %}
{% set first = "[0]" if vec > 1 else "" %}
/*kernel
op = "softmax"
inputs = ["x"]
outputs = ["peaks", "totals"]
grid = ["THREADS", "ceildiv(cols, CHUNK)", "rows"]
threadgroup = ["THREADS", 1, 1]
[temporaries.peaks]
shape = ["rows", "ceildiv(cols, {{ chunk }})"]
dtype = "float32"
[temporaries.totals]
shape = ["rows", "ceildiv(cols, {{ chunk }})"]
dtype = "float32"
[constants]
CHUNK = {{ chunk }}
THREADS = {{ threads }}
{% if vec > 1 %}
VEC = {{ vec }}
{% endif %}
*/
{% if wide %}
{{ group_reduce("group_max", "simd_max", "-INFINITY") }}
{{ group_reduce("group_sum", "simd_sum", "0.0f") -}}
{% endif %}
// --- body ---
{{ place() }}
{{ accumulator("peak", "-FLT_MAX", vec) -}}
{% call(c, slot) columns() %}
peak{{ slot }} = max(peak{{ slot }}, float(from[{{ c }}]));
{% endcall %}
{{ merged("peak", vec, "max") -}}
const float chunk_peak = {{ over("peak" ~ first, "max") | trim }};

{{ accumulator("total", "0.0f", vec) -}}
{% call(c, slot) columns() %}
total{{ slot }} += exp(float(from[{{ c }}]) - chunk_peak);
{% endcall %}
{{ merged("total", vec, "sum") -}}
const float chunk_total = {{ over("total" ~ first, "sum") | trim }};
if (lane == 0) {
  const size_t i = size_t(row) * threadgroups_per_grid.y + chunk;
  peaks[i] = chunk_peak;
  totals[i] = chunk_total;
}

/*kernel
inputs = ["x", "peaks", "totals"]
outputs = ["out"]
grid = ["THREADS", "ceildiv(cols, CHUNK)", "rows"]
threadgroup = ["THREADS", 1, 1]
[constants]
CHUNK = {{ chunk }}
THREADS = {{ threads }}
{% if vec > 1 %}
VEC = {{ vec }}
{% endif %}
*/
// --- body ---
{{ place() -}}
auto to = out + size_t(row) * cols;
const uint chunks = threadgroups_per_grid.y;
auto row_peaks = peaks + size_t(row) * chunks;
auto row_totals = totals + size_t(row) * chunks;

float peak = -FLT_MAX;
for (uint i = lane; i < chunks; i += THREADS) {
  peak = max(peak, row_peaks[i]);
}
peak = {{ over("peak", "max") | trim }};
float total = 0.0f;
for (uint i = lane; i < chunks; i += THREADS) {
  total += row_totals[i] * exp(row_peaks[i] - peak);
}
total = {{ over("total", "sum") | trim }};

const float scale = 1.0f / total;
{% call(c, slot) columns() %}
to[{{ c }}] = T(exp(float(from[{{ c }}]) - peak) * scale);
{% endcall %}
