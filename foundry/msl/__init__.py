"""The Metal Shading Language on any machine.

1. `signature` takes the kernel's exact text from MLX and splits it.
2. `frontend` turns it into one C++ translation unit (`tokens`, `screen`, `spelling`, `twins`,
   `threadgroup`, `convergence`, `entry` do a step each; nothing there runs a process).
3. `toolchain` compiles the unit with clang from the package `ziglang`, under limits, against the
   precompiled `prelude/`; `diagnostics` tells errors on the user's own lines.
4. `builder` finds what was built before (`cache`) and loads it (`runtime`).
5. `prelude/runtime` runs it: a plain loop over threads, or one fibre per thread, on all cores.

`prelude/` is the language and what a target needs: `target.h` is the seam, one file per target
behind it. `metal_kernel` is the drop-in for `mx.fast.metal_kernel`, `pytest_plugin` puts it in its
place, `sanitizer` runs kernels with every access checked.
"""
