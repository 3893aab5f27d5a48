// MSL 2.2.1, accessing vector components:
// Component names (x y z w, r g b a) and every swizzle of them, as properties.
//
// A property takes no storage: `v.zx` calls g20(), `v.zx = u` calls p20(u). So a swizzle is a real
// `vec` wherever it is read, works in templates, and cannot be bound to a reference (as in Metal).
// The class that expands MF_SWIZZLES_N provides `take<I...>()` and `give<I...>(vec)`.
#pragma once
#pragma clang system_header

// clang-format off
#define MF_A2(M) M(x,r,0) M(y,g,1)
#define MF_A3(M) MF_A2(M) M(z,b,2)
#define MF_A4(M) MF_A3(M) M(w,a,3)
#define MF_B2(M,...) M(__VA_ARGS__,x,r,0) M(__VA_ARGS__,y,g,1)
#define MF_B3(M,...) MF_B2(M,__VA_ARGS__) M(__VA_ARGS__,z,b,2)
#define MF_B4(M,...) MF_B3(M,__VA_ARGS__) M(__VA_ARGS__,w,a,3)
#define MF_C2(M,...) M(__VA_ARGS__,x,r,0) M(__VA_ARGS__,y,g,1)
#define MF_C3(M,...) MF_C2(M,__VA_ARGS__) M(__VA_ARGS__,z,b,2)
#define MF_C4(M,...) MF_C3(M,__VA_ARGS__) M(__VA_ARGS__,w,a,3)
#define MF_D2(M,...) M(__VA_ARGS__,x,r,0) M(__VA_ARGS__,y,g,1)
#define MF_D3(M,...) MF_D2(M,__VA_ARGS__) M(__VA_ARGS__,z,b,2)
#define MF_D4(M,...) MF_D3(M,__VA_ARGS__) M(__VA_ARGS__,w,a,3)

#define MF_PROPERTY(type, name, index) \
  __declspec(property(get = g##index, put = p##index)) type name;

#define MF_LANE(n1, c1, i1)                                         \
  MF_FN constexpr T g##i1() const { return (*this).template lane<i1>(); } \
  MF_FN T p##i1(T v) { (*this).template set_lane<i1>(v); return v; } \
  MF_PROPERTY(T, n1, i1) MF_PROPERTY(T, c1, i1)

#define MF_SWZ(N, index, names, colours, ...)                                            \
  MF_FN constexpr vec<T, N> g##index() const { return (*this).template take<__VA_ARGS__>(); } \
  MF_FN vec<T, N> p##index(vec<T, N> v) { (*this).template give<__VA_ARGS__>(v); return v; } \
  MF_PROPERTY(MF_VEC##N, names, index) MF_PROPERTY(MF_VEC##N, colours, index)

#define MF_SWZ2(n1,c1,i1, n2,c2,i2) MF_SWZ(2, i1##i2, n1##n2, c1##c2, i1, i2)
#define MF_SWZ3(n1,c1,i1, n2,c2,i2, n3,c3,i3) \
  MF_SWZ(3, i1##i2##i3, n1##n2##n3, c1##c2##c3, i1, i2, i3)
#define MF_SWZ4(n1,c1,i1, n2,c2,i2, n3,c3,i3, n4,c4,i4) \
  MF_SWZ(4, i1##i2##i3##i4, n1##n2##n3##n4, c1##c2##c3##c4, i1, i2, i3, i4)

#define MF_P2_2(...) MF_B2(MF_SWZ2, __VA_ARGS__)
#define MF_P2_3(...) MF_B3(MF_SWZ2, __VA_ARGS__)
#define MF_P2_4(...) MF_B4(MF_SWZ2, __VA_ARGS__)
#define MF_Q3_2(...) MF_C2(MF_SWZ3, __VA_ARGS__)
#define MF_Q3_3(...) MF_C3(MF_SWZ3, __VA_ARGS__)
#define MF_Q3_4(...) MF_C4(MF_SWZ3, __VA_ARGS__)
#define MF_P3_2(...) MF_B2(MF_Q3_2, __VA_ARGS__)
#define MF_P3_3(...) MF_B3(MF_Q3_3, __VA_ARGS__)
#define MF_P3_4(...) MF_B4(MF_Q3_4, __VA_ARGS__)
#define MF_R4_2(...) MF_D2(MF_SWZ4, __VA_ARGS__)
#define MF_R4_3(...) MF_D3(MF_SWZ4, __VA_ARGS__)
#define MF_R4_4(...) MF_D4(MF_SWZ4, __VA_ARGS__)
#define MF_Q4_2(...) MF_C2(MF_R4_2, __VA_ARGS__)
#define MF_Q4_3(...) MF_C3(MF_R4_3, __VA_ARGS__)
#define MF_Q4_4(...) MF_C4(MF_R4_4, __VA_ARGS__)
#define MF_P4_2(...) MF_B2(MF_Q4_2, __VA_ARGS__)
#define MF_P4_3(...) MF_B3(MF_Q4_3, __VA_ARGS__)
#define MF_P4_4(...) MF_B4(MF_Q4_4, __VA_ARGS__)

#define MF_SWIZZLES_2 MF_A2(MF_LANE) MF_A2(MF_P2_2) MF_A2(MF_P3_2) MF_A2(MF_P4_2)
#define MF_SWIZZLES_3 MF_A3(MF_LANE) MF_A3(MF_P2_3) MF_A3(MF_P3_3) MF_A3(MF_P4_3)
#define MF_SWIZZLES_4 MF_A4(MF_LANE) MF_A4(MF_P2_4) MF_A4(MF_P3_4) MF_A4(MF_P4_4)
// clang-format on

// Property declarations cannot hold a comma in their type.
#define MF_VEC2 mf_vec2
#define MF_VEC3 mf_vec3
#define MF_VEC4 mf_vec4
