/*kernel
op = "rope"
{% if heads_per_thread == 1 %}
grid = ["head_dim // 2", "seq", "batch * heads"]
{% else %}
grid = ["head_dim // 2", "seq", "ceildiv(batch * heads, HEADS)"]
{% endif %}
threadgroup = [{{ group_pairs }}, {{ group_positions }}, 1]
{% if heads_per_thread > 1 %}
[constants]
HEADS = {{ heads_per_thread }}
{% endif %}
*/
// --- body ---
const uint pair = thread_position_in_grid.x;
const uint position = thread_position_in_grid.y;
const uint seq = x_shape[2];
const uint head_dim = x_shape[3];
const uint half_dim = head_dim / 2;

// base^(-2 pair / head_dim)
const float frequency = exp2(-log2(base) * (float(pair) / float(half_dim)));
const float angle = float(int(position) + offset) * frequency;
const float cosine = cos(angle);
const float sine = sin(angle);

{% if heads_per_thread == 1 %}
const size_t i = (size_t(thread_position_in_grid.z) * seq + position) * head_dim + pair;
const float first = float(x[i]);
const float second = float(x[i + half_dim]);
out[i] = T(first * cosine - second * sine);
out[i + half_dim] = T(first * sine + second * cosine);
{% else %}
const uint heads = x_shape[0] * x_shape[1];  // of all sequences of the batch
const uint from = thread_position_in_grid.z * HEADS;
const uint to = min(from + HEADS, heads);
for (uint head = from; head < to; ++head) {
  const size_t i = (size_t(head) * seq + position) * head_dim + pair;
  const float first = float(x[i]);
  const float second = float(x[i + half_dim]);
  out[i] = T(first * cosine - second * sine);
  out[i + half_dim] = T(first * sine + second * cosine);
}
{% endif %}
