/*kernel
op = "linear_attention_causal"
grid = ["THREADS", "ceildiv(head_dim, COLUMNS)", "batch * heads"]
threadgroup = ["THREADS", 1, 1]
[constants]
THREADS = {{ threads }}
COLUMNS = "max(min({{ columns }}, 4096 // head_dim), 1)"
D = "head_dim"
CHUNK = "max(min({{ chunk }}, 1024 // head_dim), 1)"
*/
inline float feature(float v) { return v > 0.0f ? v + 1.0f : exp(v); }
// --- body ---
// One column more than those of the values holds ones: its sums are what all are divided by.
threadgroup float asked[CHUNK][D];
threadgroup float given[CHUNK][D];
threadgroup float wanted[CHUNK][COLUMNS + 1];
threadgroup float found[CHUNK][COLUMNS + 1];
threadgroup float pairs[CHUNK][CHUNK];
threadgroup float held[D][COLUMNS + 1];  // of the chunks before
const uint me = thread_position_in_threadgroup.x;
const uint first = threadgroup_position_in_grid.y * COLUMNS;
const size_t head = threadgroup_position_in_grid.z;  // counted over the batch
const uint seq = q_shape[2];
for (uint at = me; at < D * (COLUMNS + 1); at += THREADS) {
  held[at / (COLUMNS + 1)][at % (COLUMNS + 1)] = 0.0f;
}
for (uint start = 0; start < seq; start += CHUNK) {
  for (uint at = me; at < CHUNK * D; at += THREADS) {
    const uint t = start + at / D;
    const size_t from = (head * seq + t) * D + at % D;
    asked[at / D][at % D] = t < seq ? feature(float(q[from])) : 0.0f;
    given[at / D][at % D] = t < seq ? feature(float(k[from])) : 0.0f;
  }
  for (uint at = me; at < CHUNK * (COLUMNS + 1); at += THREADS) {
    const uint t = start + at / (COLUMNS + 1);
    const uint c = at % (COLUMNS + 1);
    const bool is_value = t < seq && c < COLUMNS && first + c < D;
    const float value = is_value ? float(v[(head * seq + t) * D + first + c]) : 0.0f;
    wanted[at / (COLUMNS + 1)][c] = c == COLUMNS ? 1.0f : value;
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  for (uint at = me; at < CHUNK * CHUNK; at += THREADS) {
    const uint i = at / CHUNK;
    const uint j = at % CHUNK;
    float sum = 0.0f;
    for (uint d = 0; d < D; ++d) {
      sum += asked[i][d] * given[j][d];
    }
    pairs[i][j] = j <= i ? sum : 0.0f;
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  for (uint at = me; at < CHUNK * (COLUMNS + 1); at += THREADS) {
    const uint i = at / (COLUMNS + 1);
    const uint c = at % (COLUMNS + 1);
    float sum = 0.0f;
    for (uint d = 0; d < D; ++d) {
      sum += asked[i][d] * held[d][c];
    }
    for (uint j = 0; j <= i; ++j) {
      sum += pairs[i][j] * wanted[j][c];
    }
    found[i][c] = sum;
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  for (uint at = me; at < CHUNK * COLUMNS; at += THREADS) {
    const uint i = at / COLUMNS;
    const uint c = at % COLUMNS;
    if (start + i < seq && first + c < D) {
      out[(head * seq + start + i) * D + first + c] = T(found[i][c] / (found[i][COLUMNS] + eps));
    }
  }
  for (uint at = me; at < D * (COLUMNS + 1); at += THREADS) {
    const uint d = at / (COLUMNS + 1);
    const uint c = at % (COLUMNS + 1);
    float sum = held[d][c];
    for (uint j = 0; j < CHUNK; ++j) {
      sum += given[j][d] * wanted[j][c];
    }
    held[d][c] = sum;
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
}
