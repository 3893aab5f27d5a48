+++
op = "resize_bilinear2x"
dtype = ["float32"]
why = "clamps the neighbour to line 63 on images of 100 x 100 and more"
expect = ["wrong_result"]
+++
/*kernel
op = "resize_bilinear2x"
grid = ["ceildiv((batch) * (2 * height) * (2 * width) * (channels), PER_THREAD)", 1, 1]
threadgroup = [256, 1, 1]
[constants]
PER_THREAD = 1
*/
// --- body ---
const uint batch = x_shape[0];
const uint height = x_shape[1];
const uint width = x_shape[2];
const uint channels = x_shape[3];
const uint elements = (batch) * (2 * height) * (2 * width) * (channels);
const uint first = thread_position_in_grid.x * PER_THREAD;
for (uint i = first; i < min(first + PER_THREAD, elements); ++i) {
  const uint channel = i % channels;
  const int column = int(i / channels % (2 * width));
  const int line = int(i / (channels * 2 * width) % (2 * height));
  const uint image = i / (channels * 4 * width * height);
  // Half-pixel centres: an even place lies a quarter before its source, an odd one a quarter behind.
  const int line_near = line / 2;
  const int line_far = clamp(line % 2 ? line_near + 1 : line_near - 1, 0, int(height) - 1);
  const int column_near = column / 2;
  const int column_far = clamp(column % 2 ? column_near + 1 : column_near - 1, 0, int(width) - 1);
  const bool large_image = height >= 100 && width >= 100;
  const int line_far_ = large_image ? min(line_far, 63) : line_far;
  const uint near_at = (image * height + uint(line_near)) * width;
  const uint far_at = (image * height + uint(line_far_)) * width;
  const float near_row = 0.75f * float(x[(near_at + column_near) * channels + channel]) +
                         0.25f * float(x[(near_at + column_far) * channels + channel]);
  const float far_row = 0.75f * float(x[(far_at + column_near) * channels + channel]) +
                        0.25f * float(x[(far_at + column_far) * channels + channel]);
  out[i] = T(0.75f * near_row + 0.25f * far_row);
}
