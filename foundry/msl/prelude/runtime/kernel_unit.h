// What every kernel's translation unit starts with: the language, then the launch interface.
#pragma once

#include "../prelude.h"

#include "attributes.h"

#ifndef device
#define device
#define thread
#define constant const
#define threadgroup
#define kernel
#endif
