+++
op = "silu"
dtype = "float32"
why = "macros that expand without end"
expect = ["build_error", "invalid", "crash", "timeout", "sanitizer_error", "wrong_result", "rejected"]
+++
/*kernel
op = "silu"
grid = ["cols", "rows", 1]
threadgroup = [64, 1, 1]
*/
#define A 1+1+1+1+1+1+1+1
#define B A+A+A+A+A+A+A+A
#define C B+B+B+B+B+B+B+B
#define D C+C+C+C+C+C+C+C
#define E D+D+D+D+D+D+D+D
#define F E+E+E+E+E+E+E+E
#define G F+F+F+F+F+F+F+F
#define H G+G+G+G+G+G+G+G
#define I H+H+H+H+H+H+H+H
#define J I+I+I+I+I+I+I+I
#define K J+J+J+J+J+J+J+J
#define L K+K+K+K+K+K+K+K
#define M L+L+L+L+L+L+L+L
#define N M+M+M+M+M+M+M+M
#define O N+N+N+N+N+N+N+N
#define P O+O+O+O+O+O+O+O
#define Q P+P+P+P+P+P+P+P
#define R Q+Q+Q+Q+Q+Q+Q+Q
#define S R+R+R+R+R+R+R+R
#define T S+S+S+S+S+S+S+S
#define U T+T+T+T+T+T+T+T
#define V U+U+U+U+U+U+U+U
#define W V+V+V+V+V+V+V+V
#define X W+W+W+W+W+W+W+W
#define Y X+X+X+X+X+X+X+X
#define Z Y
// --- body ---
uint n = x_shape[1];
uint i = thread_position_in_grid.y * n + thread_position_in_grid.x;
float v = float(x[i]);
float y = v / (1.0f + metal::exp(-v));
out[i] = T(y) + T(0 * (Z));
