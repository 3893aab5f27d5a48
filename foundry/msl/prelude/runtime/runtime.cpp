// The runtime, one translation unit: built once per machine and loaded before any kernel.
#define MF_RUNTIME 1
#include "fibres.cpp"
#include "pool.cpp"
