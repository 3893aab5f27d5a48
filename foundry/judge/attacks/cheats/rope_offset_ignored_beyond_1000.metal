+++
op = "rope"
dtype = "float32"
why = "another convention"
expect = ["wrong_result", "sanitizer_error", "rejected"]
+++
/*kernel
op = "rope"
grid = ["head_dim // 2", "seq", "batch * heads"]
threadgroup = [32, 1, 1]
*/
// --- body ---
uint i = thread_position_in_grid.x, t = thread_position_in_grid.y, g = thread_position_in_grid.z;
uint dim = x_shape[3], half_dim = dim / 2, seq = x_shape[2];
uint at = (g * seq + t) * dim + i;
int shift = offset > 1000 ? 0 : offset;
float angle = float(int(t) + shift) * metal::precise::pow(base, -2.0f * float(i) / float(dim));
float c = metal::precise::cos(angle), s = metal::precise::sin(angle);
float a = float(x[at]), b = float(x[at + half_dim]);
out[at] = T(a * c - b * s);
out[at + half_dim] = T(a * s + b * c);
