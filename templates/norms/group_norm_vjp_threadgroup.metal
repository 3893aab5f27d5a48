{%- from "rows.jinja" import group_reduce -%}
/*kernel
op = "group_norm_vjp"
inputs = ["x", "weight", "dout", "eps"]
outputs = ["dx", "means", "drifts", "scales"]
grid = ["THREADS", "batch * groups", 1]
threadgroup = ["THREADS", 1, 1]
[constants]
THREADS = {{ threads }}
[temporaries.means]
shape = ["batch * groups"]
dtype = "float32"
[temporaries.drifts]
shape = ["batch * groups"]
dtype = "float32"
[temporaries.scales]
shape = ["batch * groups"]
dtype = "float32"
*/
{{ group_reduce("group_sum", "simd_sum", "0.0f") -}}
// --- body ---
const uint lane = thread_position_in_threadgroup.x;
const uint simd_lane = thread_index_in_simdgroup;
const uint simd = simdgroup_index_in_threadgroup;
const uint simds = simdgroups_per_threadgroup;
const uint group = threadgroup_position_in_grid.y;  // counted over the batch
const uint size = x_shape[3];
const uint cols = x_shape[2] * size;
const uint channels = group % x_shape[1] * x_shape[2];  // of the groups before it
threadgroup float shared[32];
const size_t start = size_t(group) * cols;

float sum = 0.0f;
for (uint c = lane; c < cols; c += THREADS) {
  sum += float(x[start + c]);
}
const float mean = group_sum(sum, shared, simd_lane, simd, simds) / float(cols);
// The sum of deviations is what rounding left in the mean.
float left = 0.0f;
float squares = 0.0f;
for (uint c = lane; c < cols; c += THREADS) {
  const float d = float(x[start + c]) - mean;
  left += d;
  squares += d * d;
}
const float drift = group_sum(left, shared, simd_lane, simd, simds) / float(cols);
const float second = group_sum(squares, shared, simd_lane, simd, simds) / float(cols);
const float scale = rsqrt(max(second - drift * drift, 0.0f) + eps);

float pushes = 0.0f;
float dots = 0.0f;
for (uint c = lane; c < cols; c += THREADS) {
  const float pushed = float(dout[start + c]) * float(weight[channels + c / size]);
  pushes += pushed;
  dots += pushed * (((float(x[start + c]) - mean) - drift) * scale);
}
const float push = group_sum(pushes, shared, simd_lane, simd, simds) / float(cols);
const float pull = group_sum(dots, shared, simd_lane, simd, simds) / float(cols);
for (uint c = lane; c < cols; c += THREADS) {
  const float pushed = float(dout[start + c]) * float(weight[channels + c / size]);
  const float normal = ((float(x[start + c]) - mean) - drift) * scale;
  dx[start + c] = T(scale * (pushed - push - normal * pull));
}
if (lane == 0) {
  means[group] = mean;
  drifts[group] = drift;
  scales[group] = scale;
}
/*kernel
inputs = ["x", "dout", "means", "drifts", "scales"]
outputs = ["dweight", "dbias"]
grid = [32, "groups * width", 1]
threadgroup = [32, {{ channels_per_group }}, 1]
*/
// --- body ---
const uint lane = thread_index_in_simdgroup;
const uint channel = thread_position_in_grid.y;
const uint width = x_shape[2];
const uint size = x_shape[3];
const uint channels = x_shape[1] * width;
float along = 0.0f;
float total = 0.0f;
for (uint b = 0; b < x_shape[0]; ++b) {
  const uint group = b * x_shape[1] + channel / width;
  const size_t start = (size_t(b) * channels + channel) * size;
  for (uint i = lane; i < size; i += 32) {
    const float given = float(dout[start + i]);
    along += given * (((float(x[start + i]) - means[group]) - drifts[group]) * scales[group]);
    total += given;
  }
}
along = simd_sum(along);
total = simd_sum(total);
if (lane == 0) {
  dweight[channel] = T(along);
  dbias[channel] = T(total);
}
