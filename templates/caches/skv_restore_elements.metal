/*kernel
op = "skv_restore"
grid = ["head_dim", "heads", "tokens"]
threadgroup = [{{ threads }}, {{ heads_per_group }}, 1]
[constants]
RANK = "rank"
*/
// --- body ---
const uint element = thread_position_in_grid.x;
const uint head = thread_position_in_grid.y;
const uint heads = codes_shape[1];
const uint width = basis_shape[1];
const size_t place = size_t(thread_position_in_grid.z) * heads + head;
const float scale = scales[place];
const float bias = biases[place];
const size_t row = (size_t(head) * width + element) * RANK;
float sum = 0.0f;
for (uint r = 0; r < RANK; ++r) {
  sum += (float(codes[place * RANK + r]) * scale + bias) * float(basis[row + r]);
}
out[place * width + element] = T(sum);
