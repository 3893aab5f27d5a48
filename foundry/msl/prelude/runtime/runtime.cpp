// The runtime, one translation unit: built once per machine and loaded before any kernel.
#include "builtins.cpp"
#include "fibres.cpp"
#include "pool.cpp"
