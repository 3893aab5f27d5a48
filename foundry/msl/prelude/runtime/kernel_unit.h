// What every kernel's translation unit starts with: the language, then the launch interface.
#pragma once

#include "../prelude.h"

#if !MF_DECLARED
#include "attributes.h"
#endif

#ifndef device
#define device MF_DEVICE
#define thread
#define constant MF_CONSTANT
#define threadgroup MF_THREADGROUP
#define kernel
#endif
