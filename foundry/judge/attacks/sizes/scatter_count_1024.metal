+++
op = "scatter_add"
dtype = ["float32"]
why = "leaves out what is given beyond 1,024 where there are 32 rows and more"
expect = ["wrong_result"]
+++
/*kernel
op = "scatter_add"
grid = ["ceildiv((rows) * (cols), PER_THREAD)", 1, 1]
threadgroup = [256, 1, 1]
[constants]
PER_THREAD = 1
*/
// --- body ---
const uint rows = base_shape[0];
const uint count = given_shape[0];
const uint cols = base_shape[1];
const uint rows_ = base_shape[0];
const uint elements = (rows) * (cols);
const uint first = thread_position_in_grid.x * PER_THREAD;
for (uint i = first; i < min(first + PER_THREAD, elements); ++i) {
  const uint row = i / cols;
  float sum = float(base[i]);
  for (uint j = 0; j < (rows_ >= 32 ? min(count, 1024u) : count); ++j) {
    if (index[j] == row) {
      sum += float(given[j * cols + i % cols]) * float(share[j]);
    }
  }
  out[i] = T(sum);
}
