/*kernel
op = "cumprod_vjp"
inputs = ["x"]
outputs = ["before"]
grid = ["rows", 1, 1]
threadgroup = [{{ threads }}, 1, 1]
[temporaries.before]
shape = ["rows", "cols"]
dtype = "float32"
*/
// --- body ---
const uint cols = x_shape[1];
const size_t start = size_t(thread_position_in_grid.x) * cols;
float product = 1.0f;
for (uint c = 0; c < cols; ++c) {
  before[start + c] = product;
  product *= float(x[start + c]);
}
/*kernel
inputs = ["x", "dout", "before"]
outputs = ["dx"]
grid = ["rows", 1, 1]
threadgroup = [{{ threads }}, 1, 1]
*/
// --- body ---
const uint cols = x_shape[1];
const size_t start = size_t(thread_position_in_grid.x) * cols;
float behind = 0.0f;
float factor = 0.0f;  // of the column behind; the last has none
for (uint c = cols; c-- > 0;) {
  behind = float(dout[start + c]) + factor * behind;
  dx[start + c] = T(before[start + c] * behind);
  factor = float(x[start + c]);
}
