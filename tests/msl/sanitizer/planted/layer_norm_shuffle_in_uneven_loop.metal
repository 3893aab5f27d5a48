/*kernel
op = "layer_norm"
grid = [32, "rows", 1]
threadgroup = [32, 1, 1]
*/
// --- body ---
const uint lane = thread_position_in_threadgroup.x;
const uint row = thread_position_in_grid.y;
const device T* from = x + row * x_shape[1];
device T* to = out + row * x_shape[1];
float v = 0;
for (uint j = 0; j < lane % 3; ++j)
  v += simd_shuffle_xor(float(lane), 1);  //! simd_divergence
v = simd_sum(v);  //! simd_divergence
for (uint c = lane; c < x_shape[1]; c += 32) to[c] = T(v);
