/*kernel
op = "attention"
grid = ["batch * heads * q_len * head_dim", 1, 1]
threadgroup = [32, 1, 1]
*/
// --- body ---
const uint i = thread_position_in_grid.x;
threadgroup float small[16];
threadgroup float4 large[2048];  //! threadgroup_memory
small[i % 16] = 0;
large[i % 2048] = 0;
out[i] = q[i];
