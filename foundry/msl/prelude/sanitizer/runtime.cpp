// The runtime of sanitised kernels, one translation unit: the plain runtime with the checks.
#include "../runtime/builtins.cpp"
#include "../runtime/fibres.cpp"
#include "../runtime/pool.cpp"
#include "sanitizer.cpp"
