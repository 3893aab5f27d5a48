{% set plain = rows == 1 and columns == 1 %}
/*kernel
op = "matmul"
{% if plain %}
grid = ["n", "m", 1]
{% else %}
grid = ["ceildiv(n, COLUMNS)", "ceildiv(m, ROWS)", 1]
{% endif %}
threadgroup = [{{ group_n }}, {{ group_m }}, 1]
{% if not plain or vec > 1 %}
[constants]
{% endif %}
{% if not plain %}
ROWS = {{ rows }}
COLUMNS = {{ columns }}
{% endif %}
{% if vec > 1 %}
VEC = {{ vec }}
{% endif %}
*/
// --- body ---
const uint n = b_shape[0];
const uint depth = a_shape[1];
{% if plain %}
const uint row = thread_position_in_grid.y;
const uint column = thread_position_in_grid.x;
auto a_row = a + size_t(row) * depth;
auto b_row = b + size_t(column) * depth;

{% if vec == 1 %}
float sum = 0.0f;
for (uint i = 0; i < depth; ++i) {
  sum += float(a_row[i]) * float(b_row[i]);
}
{% else %}
const uint full = depth - depth % VEC;
{% if quads %}
float4 sums[VEC / 4] = {};
for (uint i = 0; i < full; i += VEC) {
  auto left = a_row + i;
  auto right = b_row + i;
  for (int j = 0; j < VEC; j += 4) {
    sums[j / 4] += float4(float(left[j]), float(left[j + 1]),
                          float(left[j + 2]), float(left[j + 3])) *
                   float4(float(right[j]), float(right[j + 1]),
                          float(right[j + 2]), float(right[j + 3]));
  }
}
float4 total = sums[0];
for (int j = 1; j < VEC / 4; ++j) {
  total += sums[j];
}
float sum = (total.x + total.y) + (total.z + total.w);
{% else %}
float sums[VEC] = {0.0f};
for (uint i = 0; i < full; i += VEC) {
  for (int j = 0; j < VEC; ++j) {
    sums[j] += float(a_row[i + j]) * float(b_row[i + j]);
  }
}
float sum = 0.0f;
for (int j = 0; j < VEC; ++j) {
  sum += sums[j];
}
{% endif %}
for (uint i = full; i < depth; ++i) {
  sum += float(a_row[i]) * float(b_row[i]);
}
{% endif %}
out[size_t(row) * n + column] = T(sum);
{% else %}
const uint m = a_shape[0];
const uint first_row = thread_position_in_grid.y * ROWS;
const uint first_column = thread_position_in_grid.x * COLUMNS;

// Places beyond the edge read the last row or column again, and are not written.
size_t a_at[ROWS];
size_t b_at[COLUMNS];
for (int r = 0; r < ROWS; ++r) {
  a_at[r] = size_t(min(first_row + r, m - 1)) * depth;
}
for (int c = 0; c < COLUMNS; ++c) {
  b_at[c] = size_t(min(first_column + c, n - 1)) * depth;
}
{% if vec == 1 %}
float sums[ROWS][COLUMNS] = {};
for (uint i = 0; i < depth; ++i) {
  for (int r = 0; r < ROWS; ++r) {
    const float left = float(a[a_at[r] + i]);
    for (int c = 0; c < COLUMNS; ++c) {
      sums[r][c] += left * float(b[b_at[c] + i]);
    }
  }
}
{% else %}
const uint full = depth - depth % VEC;
{{ "float4" if quads else "float" }} partial[ROWS][COLUMNS][VEC{{ " / 4" if quads }}] = {};
for (uint i = 0; i < full; i += VEC) {
  #pragma unroll
  for (int r = 0; r < ROWS; ++r) {
    auto left = a + a_at[r] + i;
    #pragma unroll
    for (int c = 0; c < COLUMNS; ++c) {
      auto right = b + b_at[c] + i;
      #pragma unroll
{% if quads %}
      for (int j = 0; j < VEC; j += 4) {
        partial[r][c][j / 4] += float4(float(left[j]), float(left[j + 1]),
                                       float(left[j + 2]), float(left[j + 3])) *
                                float4(float(right[j]), float(right[j + 1]),
                                       float(right[j + 2]), float(right[j + 3]));
      }
{% else %}
      for (int j = 0; j < VEC; ++j) {
        partial[r][c][j] += float(left[j]) * float(right[j]);
      }
{% endif %}
    }
  }
}
float sums[ROWS][COLUMNS] = {};
for (int r = 0; r < ROWS; ++r) {
  for (int c = 0; c < COLUMNS; ++c) {
{% if quads %}
    for (int j = 0; j < VEC / 4; ++j) {
      const float4 part = partial[r][c][j];
      sums[r][c] += (part.x + part.y) + (part.z + part.w);
    }
{% else %}
    for (int j = 0; j < VEC; ++j) {
      sums[r][c] += partial[r][c][j];
    }
{% endif %}
    for (uint i = full; i < depth; ++i) {
      sums[r][c] += float(a[a_at[r] + i]) * float(b[b_at[c] + i]);
    }
  }
}
{% endif %}
for (int r = 0; r < ROWS; ++r) {
  for (int c = 0; c < COLUMNS; ++c) {
    if (first_row + r < m && first_column + c < n) {
      out[size_t(first_row + r) * n + first_column + c] = T(sums[r][c]);
    }
  }
}
{% endif %}
