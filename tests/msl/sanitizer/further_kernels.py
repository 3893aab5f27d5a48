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
LOCALS = {
    "a sum without a start": Case(
        "float acc;\nfor (uint k = 0; k < 4; ++k)\n  acc += x[k];  //! uninitialised_read\n"
        "out[i] = acc;"
    ),
    "an integer": Case("uint count;\ncount += i;  //! uninitialised_read\nout[i] = count;"),
    "a flag": Case(
        "bool found;\nif (i > 100) found = true;\n"
        "if (found)  //! uninitialised_read\n  out[i] = 1;\nelse\n  out[i] = 2;"
    ),
    "an array of one": Case("float parts[1];\nout[i] = x[i] + parts[0];  //! uninitialised_read"),
    "the last of an array": Case(
        "float a[4];\nfor (uint k = 0; k < 3; ++k) a[k] = x[k];\n"
        "out[i] = a[0] + a[1] + a[2] + a[3];  //! uninitialised_read"
    ),
    "a large array": Case(
        "float a[500];\nfor (uint k = 0; k < 100; ++k) a[k] = x[k];\n"
        "out[i] = a[i];  //! uninitialised_read"
    ),
    "an array set by another index": Case(
        "half a[8];\na[n[2]] = h[i];\nout[i] = a[n[3]];  //! uninitialised_read"
    ),
    "a member": Case("pair p;\np.a = x[i];\nout[i] = p.a + p.b;  //! uninitialised_read", _PAIR),
    "a member of an array of structs": Case(
        "pair p[2];\np[0].a = p[0].b = p[1].a = x[i];\nout[i] = p[n[1]].b;  //! uninitialised_read",
        _PAIR,
    ),
    "a copy of a struct": Case(
        "pair p;\np.a = x[i];\npair q = p;\nout[i] = q.b;  //! uninitialised_read", _PAIR
    ),
    "set under a condition": Case(
        "float v;\nif (i < 30) v = x[i];\nout[i] = simd_sum(v);  //! uninitialised_read"
    ),
    "set in one case of a switch": Case(
        "float v;\nswitch (i % 3) { case 0: v = 1; break; case 1: v = 2; break; }\n"
        "out[i] = v * x[i];  //! uninitialised_read"
    ),
    "set in a loop that may not run": Case(
        "float v;\nfor (uint k = 0; k < n[i % 16]; ++k) v = x[k];\n"
        "out[i] = v + 1;  //! uninitialised_read"
    ),
    "a component": Case(
        "float4 v;\nv.x = x[i];\nv.yz = float2(1);\nout[i] = v.x + v.w;  //! uninitialised_read"
    ),
    "a vector that is used whole": Case(
        "float3 v;\nv.xy = float2(x[i]);\nout[i] = length(v);  //! uninitialised_read"
    ),
    "a vector that is stored whole": Case(
        "float4 v;\nv.xyz = float3(x[i]);\nif (i < 32)\n"
        "  ((device float4*)out)[i] = v;  //! uninitialised_read"
    ),
    "a column of a matrix": Case(
        "float2x2 m;\nm[0] = float2(x[i]);\nout[i] = m[0].x + m[1].y;  //! uninitialised_read"
    ),
    "a sum of SIMD-group matrices": Case(
        "simdgroup_float8x8 a, c;\nsimdgroup_load(a, x, 8);\n"
        "simdgroup_multiply_accumulate(c, a, a, c);  //! uninitialised_read\n"
        "out[i] = c.thread_elements()[0];"
    ),
    "in a helper": Case(
        "out[i] = clipped(x[i]);",
        "float clipped(float v) {\n  float r;\n  if (v > 5) r = 5;\n"
        "  return r + v;  //! uninitialised_read\n}\n",
    ),
    "through a reference": Case(
        "float acc;\nadd(acc, x[i]);\nout[i] = acc;",
        "void add(thread float& sum, float v) {\n  sum += v;  //! uninitialised_read\n}\n",
    ),
    "through a pointer": Case(
        "float a[2];\na[0] = x[i];\nout[i] = total(a);",
        "float total(thread const float* p) {\n  return p[0] + p[1];  //! uninitialised_read\n}\n",
    ),
    "handed to another lane": Case(
        "float v;\nif (lane > 0) v = x[i];\n"
        "out[i] = simd_shuffle_xor(v, ushort(1));  //! uninitialised_read"
    ),
    "an index": Case("uint k;\nif (i > 3) k = 0;\nout[i] = x[k];  //! uninitialised_read"),
    "again in every turn": Case(
        "float s = 0;\nfor (uint k = 0; k < 4; ++k) {\n  float v;\n  if (k == 0) v = x[i];\n"
        "  s += v;  //! uninitialised_read\n}\nout[i] = s;"
    ),
}
KINDS = {
    "local": LOCALS,
    "input": INPUT_WRITES,
    "component": COMPONENTS,
    "absent lane": ABSENT_LANES,
    "matrix": MATRICES,
    "hoisted": HOISTED,
}
FURTHER = {f"{kind}: {name}": case for kind, cases in KINDS.items() for name, case in cases.items()}
