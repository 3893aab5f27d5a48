"""The Metal Shading Language on any machine.

1. `frontend/` takes the kernel's exact text from MLX (`signature`) and turns it into one C++
   translation unit (`unit`): tokens, refusal, rewriting. Nothing there runs a process.
2. `build/` compiles the unit with clang from the package `ziglang`, under limits, against the
   precompiled `prelude/`, and keeps it (`cache`); `diagnostics` tells errors on the user's lines.
3. `run/` finds or builds a kernel (`builder`), loads it and runs it on arrays. `prelude/runtime`
   is a plain loop over threads, or one fibre per thread, on all cores.
4. `sanitizer/` runs kernels with every access checked, `counters/` counts what SIMD-groups do.
5. `stand_in/` is MLX with Metal in it: `metal_kernel` takes the place of `mx.fast.metal_kernel`,
   `pytest_plugin` puts it there for a package's tests.

`prelude/` is the language and what a target needs: `target.h` is the seam, one file per target
behind it.
"""
