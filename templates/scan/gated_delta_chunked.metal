/*kernel
op = "gated_delta"
grid = ["THREADS", "ceildiv(value, COLUMNS)", "batch * heads"]
threadgroup = ["THREADS", 1, 1]
[constants]
THREADS = {{ threads }}
COLUMNS = "max(min({{ columns }}, 4096 // key), 1)"
KEY = "key"
CHUNK = "max(min({{ chunk }}, 1024 // key), 1)"
*/
// --- body ---
threadgroup float asked[CHUNK][KEY];
threadgroup float given[CHUNK][KEY];
threadgroup float change[CHUNK][COLUMNS];  // of the state at each step, times the key
threadgroup float kept[CHUNK][CHUNK];      // decay from after step j to step i
threadgroup float since[CHUNK];            // decay from before the chunk to step i
threadgroup float near[CHUNK][CHUNK];      // key i with key j, decayed
threadgroup float seen[CHUNK][CHUNK];      // query i with key j, decayed
threadgroup float held[KEY][COLUMNS];      // the state before the chunk
const uint me = thread_position_in_threadgroup.x;
const uint first = threadgroup_position_in_grid.y * COLUMNS;
const size_t head = threadgroup_position_in_grid.z;  // counted over the batch
const uint seq = q_shape[2];
const uint width = v_shape[3];
for (uint at = me; at < KEY * COLUMNS; at += THREADS) {
  const uint i = at / COLUMNS;
  const uint c = first + at % COLUMNS;
  held[i][at % COLUMNS] = c < width ? state[(head * KEY + i) * width + c] : 0.0f;
}
for (uint start = 0; start < seq; start += CHUNK) {
  const uint steps = min(uint(CHUNK), seq - start);
  const size_t row = head * seq + start;
  for (uint at = me; at < steps * KEY; at += THREADS) {
    asked[at / KEY][at % KEY] = float(q[row * KEY + at]);
    given[at / KEY][at % KEY] = float(k[row * KEY + at]);
  }
  for (uint j = me; j < steps; j += THREADS) {
    float product = 1.0f;
    for (uint i = j; i < steps; ++i) {
      product *= i == j ? 1.0f : float(decay[row + i]);
      kept[i][j] = product;
    }
  }
  if (me == 0) {
    float product = 1.0f;
    for (uint i = 0; i < steps; ++i) {
      product *= float(decay[row + i]);
      since[i] = product;
    }
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  for (uint at = me; at < steps * steps; at += THREADS) {
    const uint i = at / steps;
    const uint j = at % steps;
    if (j <= i) {
      float of_keys = 0.0f;
      float of_query = 0.0f;
      for (uint d = 0; d < KEY; ++d) {
        of_keys += given[i][d] * given[j][d];
        of_query += asked[i][d] * given[j][d];
      }
      near[i][j] = of_keys * kept[i][j];
      seen[i][j] = of_query * kept[i][j];
    }
  }
  for (uint at = me; at < steps * COLUMNS; at += THREADS) {
    const uint i = at / COLUMNS;
    float before = 0.0f;
    for (uint d = 0; d < KEY; ++d) {
      before += given[i][d] * held[d][at % COLUMNS];
    }
    const uint c = first + at % COLUMNS;
    const float value = c < width ? float(v[(row + i) * width + c]) : 0.0f;
    change[i][at % COLUMNS] = value - since[i] * before;
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  // Each step changes the state by what it misses after all steps before it.
  for (uint c = me; c < COLUMNS; c += THREADS) {
    for (uint i = 0; i < steps; ++i) {
      float missing = change[i][c];
      for (uint j = 0; j < i; ++j) {
        missing -= near[i][j] * change[j][c];
      }
      change[i][c] = float(beta[row + i]) * missing;
    }
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  for (uint at = me; at < steps * COLUMNS; at += THREADS) {
    const uint i = at / COLUMNS;
    const uint c = at % COLUMNS;
    float before = 0.0f;
    for (uint d = 0; d < KEY; ++d) {
      before += asked[i][d] * held[d][c];
    }
    float found = since[i] * before;
    for (uint j = 0; j <= i; ++j) {
      found += seen[i][j] * change[j][c];
    }
    if (first + c < width) {
      out[(row + i) * width + first + c] = T(found);
    }
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  for (uint at = me; at < KEY * COLUMNS; at += THREADS) {
    const uint d = at / COLUMNS;
    const uint c = at % COLUMNS;
    float sum = since[steps - 1] * held[d][c];
    for (uint j = 0; j < steps; ++j) {
      sum += kept[steps - 1][j] * given[j][d] * change[j][c];
    }
    held[d][c] = sum;
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
}
for (uint at = me; at < KEY * COLUMNS; at += THREADS) {
  const uint c = first + at % COLUMNS;
  if (c < width) {
    state_out[(head * KEY + at / COLUMNS) * width + c] = held[at / COLUMNS][at % COLUMNS];
  }
}
