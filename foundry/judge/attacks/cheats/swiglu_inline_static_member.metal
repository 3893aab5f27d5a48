+++
op = "swiglu"
dtype = "float32"
why = "a class's static member remembers"
expect = ["build_error"]
+++
/*kernel
op = "swiglu"
grid = ["cols", "rows", 1]
threadgroup = [64, 1, 1]
*/
struct Memory { static inline uint calls = 0; };
// --- body ---
uint n = gate_shape[1];
uint i = thread_position_in_grid.y * n + thread_position_in_grid.x;
Memory::calls += 1;
float v = float(gate[i]);
float y = v / (1.0f + metal::exp(-v)) * float(up[i]);
out[i] = Memory::calls > 100000000 ? T(0) : T(y);
