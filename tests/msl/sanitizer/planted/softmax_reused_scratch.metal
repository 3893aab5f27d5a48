/*kernel
op = "softmax"
grid = [64, "rows", 1]
threadgroup = [64, 1, 1]
*/
// --- body ---
const uint lane = thread_position_in_threadgroup.x;
const uint row = thread_position_in_grid.y;
const device T* from = x + row * x_shape[1];
device T* to = out + row * x_shape[1];
threadgroup float s[2];
const uint group = lane / 32;
float v = simd_max(float(lane));
if (lane % 32 == 0) s[group] = v;
threadgroup_barrier(mem_flags::mem_threadgroup);
const float peak = max(s[0], s[1]);  //! data_race
v = simd_sum(v - peak);
if (lane % 32 == 0) s[group] = v;  //! data_race
threadgroup_barrier(mem_flags::mem_threadgroup);
for (uint c = lane; c < x_shape[1]; c += 64) to[c] = T(s[0]);
