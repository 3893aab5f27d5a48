{%- from "rows.jinja" import group_reduce -%}
{% set q_of = "asked[i]" if staged else "float(xq[row * WIDTH + i])" %}
{% set k_of = "keys[i]" if staged else "float(xk[row * WIDTH + i])" %}
/*kernel
op = "ttt_linear_decode"
grid = ["max(width, 32)", "batch", 1]
threadgroup = ["max(width, 32)", 1, 1]
[constants]
WIDTH = "width"
*/
{{ group_reduce("group_sum", "simd_sum", "0.0f") -}}
// --- body ---
const uint column = thread_position_in_threadgroup.x;
const size_t row = threadgroup_position_in_grid.y;
const uint lane = thread_index_in_simdgroup;
const uint simd = simdgroup_index_in_threadgroup;
const uint simds = simdgroups_per_threadgroup;
const bool mine = column < WIDTH;  // threads beyond a narrow model only take part
const uint at = mine ? column : 0;
threadgroup float shared[32];
{% if staged %}
threadgroup float asked[WIDTH];
threadgroup float keys[WIDTH];
if (mine) {
  asked[column] = float(xq[row * WIDTH + column]);
  keys[column] = float(xk[row * WIDTH + column]);
}
threadgroup_barrier(mem_flags::mem_threadgroup);
{% endif %}
auto model = w + row * WIDTH * WIDTH;
const float first_bias = b[row * WIDTH + at];

float before = first_bias;
for (uint i = 0; i < WIDTH; ++i) {
  before += {{ k_of }} * model[i * WIDTH + at];
}
float mean = group_sum(mine ? before : 0.0f, shared, lane, simd, simds) / float(WIDTH);
float centred = before - mean;
float variance = group_sum(mine ? centred * centred : 0.0f, shared, lane, simd, simds) / float(WIDTH);
const float inverse = rsqrt(variance + eps);
const float hat = centred * inverse;
const float scale = float(gain[at]);
const float target = float(xv[row * WIDTH + at]) - float(xk[row * WIDTH + at]);
const float away = (scale * hat + float(shift[at]) - target) * scale;
const float away_mean = group_sum(mine ? away : 0.0f, shared, lane, simd, simds) / float(WIDTH);
const float lean = group_sum(mine ? away * hat : 0.0f, shared, lane, simd, simds) / float(WIDTH);
const float slope = (away - away_mean - hat * lean) * inverse;

const float new_bias = first_bias - rate * slope;
float after = new_bias;
for (uint i = 0; i < WIDTH; ++i) {
  const float moved = model[i * WIDTH + at] - rate * {{ k_of }} * slope;
  after += {{ q_of }} * moved;
  if (mine) {
    w_out[(row * WIDTH + i) * WIDTH + column] = moved;
  }
}
mean = group_sum(mine ? after : 0.0f, shared, lane, simd, simds) / float(WIDTH);
centred = after - mean;
variance = group_sum(mine ? centred * centred : 0.0f, shared, lane, simd, simds) / float(WIDTH);
if (mine) {
  b_out[row * WIDTH + column] = new_bias;
  const float found = centred * rsqrt(variance + eps) * scale + float(shift[column]);
  out[row * WIDTH + column] = T(float(xq[row * WIDTH + column]) + found);
}
