"""Faults of kinds that hide from a look at memory alone; arrays as in `adversarial_kernels`.

Where lanes must be absent, a body lets some threads go first.
"""

from __future__ import annotations

from adversarial_kernels import Case

_PAIR = "struct pair { float a, b; };\n"

INPUT_WRITES = {
    "a cast": Case("device float* p = (device float*)x;\np[i] = 1;  //! input_write\nout[i] = i;"),
    "const_cast": Case("const_cast<device float*>(x)[i] = 1;  //! input_write\nout[i] = x[i];"),
    "a vector cast": Case(
        "if (i < 32)\n  ((device float4*)x)[i] = float4(0);  //! input_write\nout[i] = 1;"
    ),
    "an atomic": Case(
        "atomic_fetch_add_explicit((device atomic_uint*)n, 1u, memory_order_relaxed);"
        "  //! input_write\nout[i] = 1;"
    ),
    "through a helper": Case(
        "set((device float*)w, lane);\nout[i] = 1;",
        "void set(device float* p, uint k) {\n  p[k] = k;  //! input_write\n}\n",
    ),
    "a struct in place": Case(
        "auto p = (device pair*)x;\nif (i < 64)\n  p[i].b = 1;  //! input_write\nout[i] = 1;", _PAIR
    ),
    "in a SIMD-group kernel": Case(
        "float s = simd_sum(x[i]);\nif (lane == 0)\n"
        "  ((device float*)w)[sg] = s;  //! input_write\nout[i] = s;"
    ),
}
COMPONENTS = {
    "read by a computed index": Case(
        "float4 v = float4(x[i]);\nout[i] = v[n[4]];  //! out_of_bounds"
    ),
    "written by a computed index": Case(
        "float3 v = float3(x[i]);\nv[n[3]] = 1;  //! out_of_bounds\nout[i] = v.x;"
    ),
    "one too many in a loop": Case(
        "half4 v = half4(h[i]);\nfloat s = 0;\nfor (uint k = 0; k <= n[4]; ++k)\n"
        "  s += v[k];  //! out_of_bounds\nout[i] = s;"
    ),
    "below zero": Case("uint2 v = uint2(i, 1);\nout[i] = v[int(n[1]) - 2];  //! out_of_bounds"),
    "a column": Case("float2x2 m(1.0f);\nout[i] = m[n[2]].x;  //! out_of_bounds"),
    "in a helper": Case(
        "out[i] = pick(float2(x[i]), n[5]);",
        "float pick(float2 v, uint k) {\n  return v[k];  //! out_of_bounds\n}\n",
    ),
}
ABSENT_LANES = {
    "a butterfly": Case(
        "if (i >= 40) { out[i] = 0; return; }\nfloat v = x[i];\n"
        "for (ushort o = 16; o > 0; o /= 2)\n  v += simd_shuffle_xor(v, o);  //! simd_divergence\n"
        "out[i] = v;"
    ),
    "a tree": Case(
        "if (i >= 72) { out[i] = 0; return; }\nfloat v = x[i];\n"
        "for (ushort o = 16; o > 0; o /= 2)\n  v += simd_shuffle_down(v, o);  //! simd_divergence\n"
        "out[i] = v;"
    ),
    "the last lane's value": Case(
        "if (i % 32 > 20) { out[i] = 0; return; }\n"
        "out[i] = simd_broadcast(x[i], ushort(31));  //! simd_divergence"
    ),
    "a rotation": Case(
        "if (i >= 100) { out[i] = 0; return; }\n"
        "out[i] = simd_shuffle_rotate_down(x[i], ushort(1));  //! simd_divergence"
    ),
    "a neighbour in a quad-group": Case(
        "if (i >= 122) { out[i] = 0; return; }\n"
        "out[i] = quad_shuffle_xor(x[i], ushort(3));  //! simd_divergence"
    ),
}
MATRICES = {
    "a product in half the lanes": Case(
        "simdgroup_float8x8 a(1.0f), c(0.0f);\nif (lane < 16)\n"
        "  simdgroup_multiply_accumulate(c, a, a, c);  //! simd_divergence\n"
        "out[i] = c.thread_elements()[0];"
    ),
    "a load in one lane": Case(
        "simdgroup_float8x8 a(0.0f);\nif (lane == 0)\n"
        "  simdgroup_load(a, x, 8);  //! simd_divergence\nout[i] = a.thread_elements()[0];"
    ),
    "a store that some lanes leave before": Case(
        "simdgroup_float8x8 a(1.0f);\nthreadgroup float s[2][64];\nif (lane > 28) return;\n"
        "simdgroup_store(a, s[sg], 8);  //! simd_divergence\nout[i] = 1;",
        init_value=0.0,
    ),
    "products in a loop of uneven length": Case(
        "simdgroup_float8x8 a(1.0f), c(0.0f);\nfor (uint k = 0; k < 1 + lane / 16; ++k)\n"
        "  simdgroup_multiply(c, a, a);  //! simd_divergence\nout[i] = c.thread_elements()[1];"
    ),
}
HOISTED = {
    "a shape beyond the rank": Case("out[i] = x[i] * float(x_shape[2]);  //! out_of_bounds"),
    "a fixed element before a loop": Case(
        "float s = 0;\nfor (uint k = 0; k < n[3]; ++k)\n"
        "  s += x[k] * w[40];  //! out_of_bounds\nout[i] = s;"
    ),
    "a fixed element of a helper": Case(
        "float s = 0;\nfor (uint k = 0; k < 4; ++k) s += scaled(x, w, k);\nout[i] = s;",
        "float scaled(const device float* x, const device float* w, uint k) {\n"
        "  return x[k] * w[33];  //! out_of_bounds\n}\n",
    ),
    "a sum kept in memory": Case(
        "for (uint k = 0; k < n[5]; ++k)\n  out[i + 128] += x[k];  //! out_of_bounds\nout[i] = 1;"
    ),
}
KINDS = {
    "input": INPUT_WRITES,
    "component": COMPONENTS,
    "absent lane": ABSENT_LANES,
    "matrix": MATRICES,
    "hoisted": HOISTED,
}
FURTHER = {f"{kind}: {name}": case for kind, cases in KINDS.items() for name, case in cases.items()}
