"""Kernels that could be blamed without fault, over the arrays of `adversarial_kernels`."""

from __future__ import annotations

from adversarial_kernels import TABLE, Case

INNOCENT = {
    "SIMD-groups with work of their own": Case("""
        threadgroup float s[64];
        if (sg == 0) {
          s[lane] = x[i];
          simdgroup_barrier(mem_flags::mem_threadgroup);
          s[32 + lane] = s[31 - lane];
        }
        threadgroup_barrier(mem_flags::mem_threadgroup);
        out[i] = s[63 - t];
    """),
    "a guarded tail around a barrier": Case("""
        threadgroup float s[64];
        bool live = i < 100;
        if (live) s[t] = x[i];
        threadgroup_barrier(mem_flags::mem_threadgroup);
        float v = live ? s[t] : 0;
        out[i] = v;
    """),
    "the same value from all": Case("""
        threadgroup uint found;
        if (t == 0) found = 0;
        threadgroup_barrier(mem_flags::mem_threadgroup);
        if (x[i] > 3) found = 1;
        threadgroup_barrier(mem_flags::mem_threadgroup);
        out[i] = found;
    """),
    "packed types": Case("""
        const device packed_float3* p = (const device packed_float3*)x;
        float3 v = float3(p[i % 42]);
        packed_half2 q = ((const device packed_half2*)(h + 1))[i % 60];
        out[i] = v.x + v.z + float(q[0]);
    """),
    "bits as another type": Case("""
        uint bits = as_type<uint>(x[i]);
        half2 q = as_type<half2>(bits);
        out[i] = as_type<float>(as_type<uint>(q)) + as_type<float>(bits ^ 1u);
    """),
    "half4 in threadgroup memory": Case("""
        threadgroup half4 s[16];
        if (t < 16) s[t] = *(const device half4*)(h + 4 * t);
        threadgroup_barrier(mem_flags::mem_threadgroup);
        threadgroup half* p = (threadgroup half*)s;
        out[i] = float(p[63 - t]) + float(s[t / 4].y);
    """),
    "one threadgroup array as two types": Case("""
        threadgroup float s[64];
        threadgroup uint* u = (threadgroup uint*)s;
        s[t] = x[i];
        threadgroup_barrier(mem_flags::mem_threadgroup);
        float v = s[63 - t];
        threadgroup_barrier(mem_flags::mem_threadgroup);
        u[t] = i;
        threadgroup_barrier(mem_flags::mem_threadgroup);
        threadgroup half* p = (threadgroup half*)s;
        threadgroup_barrier(mem_flags::mem_threadgroup);
        p[2 * t] = half(v);
        p[2 * t + 1] = half(t);
        threadgroup_barrier(mem_flags::mem_threadgroup);
        out[i] = float(p[(t * 3) % 128]);
    """),
    "double buffering with its barriers": Case("""
        threadgroup float s[2][64];
        float a = 0;
        for (uint k = 0; k < 8; ++k) {
          s[k & 1][t] = x[i] + k;
          threadgroup_barrier(mem_flags::mem_threadgroup);
          a += s[k & 1][63 - t];
        }
        out[i] = a;
    """),
    "partial sums and one barrier": Case("""
        threadgroup float s[2];
        float v = simd_sum(x[i]);
        if (lane == 0) s[sg] = v;
        threadgroup_barrier(mem_flags::mem_threadgroup);
        out[i] = s[0] + s[1];
    """),
    "tiles in a loop": Case("""
        threadgroup float a[8][8 + 1];
        float total = 0;
        for (uint k = 0; k < 2; ++k) {
          a[t / 8][t % 8] = x[k * 64 + t];
          threadgroup_barrier(mem_flags::mem_threadgroup);
          for (uint j = 0; j < 8; ++j) total += a[j][t % 8] * a[t / 8][j];
          threadgroup_barrier(mem_flags::mem_threadgroup);
        }
        out[i] = total;
    """),
    "a transposed write, read back as rows": Case("""
        threadgroup float a[8][8];
        a[t % 8][t / 8] = x[i];
        threadgroup_barrier(mem_flags::mem_threadgroup);
        float4 v = *(threadgroup float4*)&a[t / 8][4 * (t % 2)];
        out[i] = v.x + v.w;
    """),
    "vectors over floats and back": Case("""
        if (i < 32) ((device float4*)out)[i] = ((const device float4*)x)[i];
    """),
    "halves and quarters of one's own element": Case(
        """
        device uchar* p = (device uchar*)(out + i);
        for (uint k = 0; k < 4; ++k) p[k] = uchar(i + k);
        device ushort* q = (device ushort*)(out + i);
        q[1] = q[0];
        out[i] += 1;
    """,
        dtype="uint32",
    ),
    "a histogram in threadgroup memory": Case(
        """
        threadgroup atomic_uint bins[16];
        if (t < 16) atomic_store_explicit(&bins[t], 0, memory_order_relaxed);
        threadgroup_barrier(mem_flags::mem_threadgroup);
        atomic_fetch_add_explicit(&bins[n[i % 16]], 1u, memory_order_relaxed);
        threadgroup_barrier(mem_flags::mem_threadgroup);
        if (t < 16) atomic_fetch_add_explicit(&out[t],
            atomic_load_explicit(&bins[t], memory_order_relaxed), memory_order_relaxed);
    """,
        dtype="uint32",
        init_value=0,
        atomic=True,
    ),
    "atomics of a kernel that waits for nothing": Case(
        """
        atomic_fetch_max_explicit(&out[i % 7], i, memory_order_relaxed);
    """,
        dtype="uint32",
        init_value=0,
        atomic=True,
    ),
    "a struct in threadgroup memory": Case("""
        struct pair { float v; ushort at; };
        threadgroup pair s[64];
        s[t].v = x[i];
        s[t].at = ushort(t);
        threadgroup_barrier(mem_flags::mem_threadgroup);
        pair best = s[0];
        for (uint k = 1; k < 64; ++k) if (s[k].v > best.v) best = s[k];
        out[i] = best.v + best.at;
    """),
    "an array of its own": Case("""
        float s[12];
        for (uint k = 0; k < 12; ++k) s[k] = x[(i + k) % 128];
        for (uint k = 1; k < 12; ++k) for (uint j = k; j > 0 && s[j] > s[j - 1]; --j) {
          float a = s[j]; s[j] = s[j - 1]; s[j - 1] = a;
        }
        out[i] = s[0] + s[n[i % 12]];
    """),
    "shuffles of all lanes": Case("""
        float v = x[i];
        for (ushort d = 16; d > 0; d /= 2) v += simd_shuffle_xor(v, d);
        float p = simd_prefix_inclusive_sum(x[i]);
        out[i] = v + p + quad_broadcast(v, 2);
    """),
    "a shuffle in a loop that all leave together": Case("""
        float v = x[i];
        for (uint k = 0; k < 2 + sg; ++k) v += simd_shuffle_down(v, 1);
        out[i] = v;
    """),
    "threads that return early without a barrier after": Case("""
        if (i >= 120) { out[i] = 0; return; }
        out[i] = simd_max(x[i]);
    """),
    "rows of a matrix and a vector cast": Case("""
        float4x4 m = float4x4(float4(1), float4(2), float4(3), float4(4));
        float4 v = m * ((const device float4*)x)[i / 4];
        out[i] = v[i % 4];
    """),
    "a look ahead that is guarded": Case("""
        float next = i + 1 < 128 ? x[i + 1] : 0;
        float before = i > 0 ? x[i - 1] : 0;
        out[i] = next - before;
    """),
    "short circuits": Case("""
        uint k = i;
        while (k < 128 && x[k] < 100) ++k;
        out[i] = k;
    """),
    "out used as scratch by its own thread": Case("""
        out[i] = x[i];
        for (uint k = 0; k < 3; ++k) out[i] = out[i] * 2 + 1;
    """),
    "device memory of one threadgroup after its barrier": Case("""
        out[i] = x[i];
        threadgroup_barrier(mem_flags::mem_device);
        float v = out[i ^ 63];
        threadgroup_barrier(mem_flags::mem_device);
        out[i] = v + 1;
    """),
    "both kinds of memory and one barrier": Case("""
        threadgroup float s[64];
        s[t] = x[i];
        out[i] = 0;
        threadgroup_barrier(mem_flags::mem_device | mem_flags::mem_threadgroup);
        out[i ^ 1] = s[t];
    """),
    "lanes through their own barriers, many times": Case("""
        threadgroup float s[64];
        float v = x[i];
        for (uint k = 0; k < 40; ++k) {
          s[t] = v;
          simdgroup_barrier(mem_flags::mem_threadgroup);
          v = s[t ^ 1] + 1;
          simdgroup_barrier(mem_flags::mem_threadgroup);
        }
        out[i] = v;
    """),
    "a switch over kinds": Case("""
        switch (i % 4) {
          case 0: out[i] = x[i]; break;
          case 1: out[i] = x[127 - i]; break;
          case 2: out[i] = float(h[i]);  break;
          default: out[i] = w[i % 32];
        }
    """),
    "helpers with pointers": Case(
        """
        threadgroup float s[64];
        copy(s + t, x + i, 1);
        threadgroup_barrier(mem_flags::mem_threadgroup);
        out[i] = total(s, 64);
    """,
        header="""
    void copy(threadgroup float* to, const device float* from, uint count) {
      for (uint k = 0; k < count; ++k) to[k] = from[k];
    }
    float total(const threadgroup float* s, uint count) {
      float v = 0;
      for (uint k = 0; k < count; ++k) v += s[k];
      return v;
    }
""",
    ),
    "simdgroup matrices over a tile": Case("""
        threadgroup float tile[2][64];
        tile[sg][lane] = x[i];
        tile[sg][lane + 32] = x[127 - i];
        simdgroup_barrier(mem_flags::mem_threadgroup);
        simdgroup_matrix<float, 8, 8> a, b, c(0.0f);
        simdgroup_load(a, &tile[sg][0], 8);
        simdgroup_load(b, x, 8);
        simdgroup_multiply_accumulate(c, a, b, c);
        simdgroup_barrier(mem_flags::mem_threadgroup);
        simdgroup_store(c, &tile[sg][0], 8);
        simdgroup_barrier(mem_flags::mem_threadgroup);
        out[i] = tile[sg][lane];
    """),
    "a constant table": Case(
        """
        out[i] = table[n[i % 16]];
    """,
        header=TABLE,
    ),
    "bfloat and half in one buffer": Case("""
        threadgroup bfloat b[64];
        threadgroup half c[64];
        b[t] = bfloat(x[i]);
        c[t] = h[i];
        threadgroup_barrier(mem_flags::mem_threadgroup);
        out[i] = float(b[63 - t]) + float(c[63 - t]);
    """),
    "rows of three in steps of four": Case("""
        if (i < 32) {
          float3 v = ((const device float3*)x)[i];
          ((device float3*)out)[i] = v * 2;
          out[4 * i + 3] = v.x;
        }
    """),
    "packed rows of three": Case("""
        if (i < 42) ((device packed_float3*)out)[i] = packed_float3(x[3 * i], x[3 * i + 1], 0);
        if (i < 2) out[126 + i] = x[i];
    """),
    "one element twice by its own thread": Case("""
        out[i] = 0;
        if (x[i] > 5) out[i] = x[i];
    """),
    "one element by two threads, the same value": Case("""
        out[i / 2 * 2] = x[i / 2];
        out[i / 2 * 2 + 1] = x[i / 2];
    """),
    "a reversed copy over strides": Case("""
        for (uint k = i; k < 128; k += 128) out[127 - k] = x[k];
    """),
    "elements in an order of their own": Case("""
        out[(i * 77) % 128] = x[(i * 31) % 128];
    """),
    "a condition for every element": Case("""
        if (x[i] > 10) out[i] = w[i % 32]; else out[i] = float(h[i]);
    """),
    "a reduction a thread": Case("""
        float best = -INFINITY;
        for (uint k = 0; k <= i; ++k) best = max(best, x[k]);
        out[i] = best;
    """),
    "bytes of a word each": Case(
        """
        device uchar* p = (device uchar*)out;
        for (uint k = 0; k < 4; ++k) p[4 * i + k] = uchar(k);
    """,
        dtype="uint32",
    ),
    "a variable set and used under one condition": Case("""
        float v;
        if (i < 30) v = x[i];
        out[i] = i < 30 ? v : 0.0f;
    """),
    "a list that fills as it is used": Case("""
        float best[4];
        uint count = 0;
        for (uint k = 0; k < 16; ++k) {
          if (x[k] < float(i % 9)) continue;
          uint at = min(count, 3u);
          if (count < 4) ++count;
          while (at > 0 && best[at - 1] < x[k]) { best[at] = best[at - 1]; --at; }
          if (at < 4) best[at] = x[k];
        }
        float s = 0;
        for (uint k = 0; k < count; ++k) s += best[k];
        out[i] = s;
    """),
    "components set one by one": Case("""
        float4 v;
        for (int k = 0; k < 4; ++k) v[k] = x[i] + k;
        float3 p;
        p.x = v.w;
        p.yz = v.xy;
        half4 q;
        q.xy = half2(1);
        q.zw = half2(v.zw);
        out[i] = dot(p, float3(1)) + float(q.w);
    """),
    "a struct with room between its members": Case(
        """
        item a = make(x[i]), b = a, c[2];
        c[n[1]] = b;
        c[n[0]] = a;
        out[i] = c[i % 2].value + float(c[1].tag);
    """,
        "struct item { char tag; float value; bool last; };\n"
        "item make(float v) { item r; r.tag = 1; r.value = v; r.last = false; return r; }\n",
    ),
    "half of a struct handed on and never used": Case(
        """
        pair p = first(x[i]);
        pair q;
        if (i > 3) q = p; else q.a = 1;
        out[i] = q.a;
    """,
        "struct pair { float a, b; };\npair first(float v) { pair r; r.a = v; return r; }\n",
    ),
    "values set by a helper": Case(
        """
        float low, high;
        split(x[i], low, high);
        float parts[8];
        fill(parts, low);
        out[i] = high + parts[i % 8];
    """,
        "void split(float v, thread float& a, thread float& b) { a = v / 2; b = v - a; }\n"
        "void fill(thread float* p, float v) { for (int k = 0; k < 8; ++k) p[k] = v + k; }\n",
    ),
    "the same stack used again": Case(
        """
        float s = 0;
        for (uint k = 0; k < 5; ++k) {
          float a[20];
          for (uint j = 0; j < n[3 + k]; ++j) a[j] = x[j];
          s += a[k] + tail(x[i], n[k + 4]);
        }
        out[i] = s;
    """,
        "float tail(float v, uint m) {\n  float b[24];\n"
        "  for (uint j = 0; j < 24; ++j) b[j] = v + j;\n  return b[m];\n}\n",
    ),
    "matrices of a SIMD-group set in a loop": Case("""
        simdgroup_float8x8 a[2], c[2];
        for (int k = 0; k < 2; ++k) {
          c[k] = make_filled_simdgroup_matrix<float, 8, 8>(0.0f);
          simdgroup_load(a[k], x + 8 * k, 8);
        }
        for (int k = 0; k < 2; ++k) simdgroup_multiply_accumulate(c[k], a[k], a[1 - k], c[k]);
        out[i] = c[0].thread_elements()[0] + c[1].thread_elements()[1];
    """),
    "a switch that sets in every case": Case("""
        float v;
        switch (i % 3) {
          case 0: v = 1; break;
          case 1: v = x[i]; break;
          default: v = -1;
        }
        out[i] = v;
    """),
}
