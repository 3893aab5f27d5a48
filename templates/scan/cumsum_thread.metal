/*kernel
op = "cumsum"
grid = ["rows", 1, 1]
threadgroup = [{{ threads }}, 1, 1]
{% if block > 1 %}
[constants]
BLOCK = {{ block }}
{% endif %}
*/
// --- body ---
const uint row = thread_position_in_grid.x;
const uint cols = x_shape[1];
auto from = x + size_t(row) * cols;
auto to = out + size_t(row) * cols;

{% if block == 1 %}
float sum = 0.0f;
for (uint c = 0; c < cols; ++c) {
  sum += float(from[c]);
  to[c] = T(sum);
}
{% else %}
// Doubling steps inside a block are independent of the carry and of each other.
const uint full = cols - cols % BLOCK;
float carry = 0.0f;
for (uint c = 0; c < full; c += BLOCK) {
  float sums[BLOCK];
  for (int j = 0; j < BLOCK; ++j) {
    sums[j] = float(from[c + j]);
  }
  for (int step = 1; step < BLOCK; step *= 2) {
    float shifted[BLOCK];
    for (int j = 0; j < BLOCK; ++j) {
      shifted[j] = j >= step ? sums[j - step] : 0.0f;
    }
    for (int j = 0; j < BLOCK; ++j) {
      sums[j] += shifted[j];
    }
  }
  for (int j = 0; j < BLOCK; ++j) {
    to[c + j] = T(carry + sums[j]);
  }
  carry += sums[BLOCK - 1];
}
for (uint c = full; c < cols; ++c) {
  carry += float(from[c]);
  to[c] = T(carry);
}
{% endif %}
