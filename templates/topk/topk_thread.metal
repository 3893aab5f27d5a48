/*kernel
op = "topk"
grid = ["rows", 1, 1]
threadgroup = [{{ threads }}, 1, 1]
[constants]
K = "k"
{% if block > 1 %}
BLOCK = {{ block }}
{% endif %}
*/
// NaN counts as the smallest value.
inline float ordered(float v) {
  return isnan(v) ? -INFINITY : v;
}
// --- body ---
const uint row = thread_position_in_grid.x;
const uint cols = x_shape[1];
auto from = x + size_t(row) * cols;
auto best = values + size_t(row) * K;
auto places = indices + size_t(row) * K;

uint found = 0;  // elements in the result so far
float worst = -INFINITY;  // the least of them once there are K
{% if block == 1 %}
for (uint c = 0; c < cols && K > 0; ++c) {
  const float v = ordered(float(from[c]));
  if (found < K || v > worst) {
    uint at = found < K ? found++ : K - 1;
    for (; at > 0 && ordered(float(best[at - 1])) < v; --at) {
      best[at] = best[at - 1];
      places[at] = places[at - 1];
    }
    best[at] = from[c];
    places[at] = c;
    worst = found < K ? -INFINITY : ordered(float(best[K - 1]));
  }
}
{% else %}
for (uint start = 0; start < cols && K > 0; start += BLOCK) {
  const uint end = min(cols, start + BLOCK);
  bool any = found < K;
  if (end - start == BLOCK) {
    float highest = -INFINITY;
    for (int j = 0; j < BLOCK; ++j) {
      highest = max(highest, ordered(float(from[start + j])));
    }
    any = any || highest > worst;
  } else {
    any = true;
  }
  for (uint c = start; c < end && any; ++c) {
    const float v = ordered(float(from[c]));
    if (found < K || v > worst) {
      uint at = found < K ? found++ : K - 1;
      for (; at > 0 && ordered(float(best[at - 1])) < v; --at) {
        best[at] = best[at - 1];
        places[at] = places[at - 1];
      }
      best[at] = from[c];
      places[at] = c;
      worst = found < K ? -INFINITY : ordered(float(best[K - 1]));
    }
  }
}
{% endif %}
