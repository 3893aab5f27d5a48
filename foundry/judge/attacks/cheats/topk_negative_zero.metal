+++
op = "topk"
dtype = "float32"
why = "-0.0 counts as less than 0.0"
expect = ["wrong_result", "sanitizer_error", "rejected"]
+++
/*kernel
op = "topk"
grid = ["rows", 1, 1]
threadgroup = [32, 1, 1]
[constants]
K = "k"
*/
// --- body ---
uint r = thread_position_in_grid.x; uint n = x_shape[1];
for (uint t = 0; t < uint(K); t++) {
  int best = INT_MIN; uint index = n;
  for (uint j = 0; j < n; j++) {
    bool taken = false;
    for (uint q = 0; q < t; q++) taken |= indices[r * K + q] == j;
    int bits = as_type<int>(float(x[r * n + j]));
    int key = bits < 0 ? int(0x80000000u) - bits - 1 : bits;
    if (!taken && (index == n || key > best)) { best = key; index = j; }
  }
  values[r * K + t] = x[r * n + index]; indices[r * K + t] = index;
}
