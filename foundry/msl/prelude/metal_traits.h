// MSL 6.1, <metal_type_traits>: , <metal_limits>, <metal_utility> in part.
#pragma once
#pragma clang system_header

namespace metal {

template <typename T, T V>
struct integral_constant {
  static constexpr T value = V;
  using value_type = T;
  using type = integral_constant;
  constexpr operator value_type() const { return value; }
  constexpr value_type operator()() const { return value; }
};
template <bool B>
using bool_constant = integral_constant<bool, B>;
using true_type = bool_constant<true>;
using false_type = bool_constant<false>;

template <typename T, T... I>
struct integer_sequence {
  using value_type = T;
  static constexpr size_t size() { return sizeof...(I); }
};
template <typename T, T N>
using make_integer_sequence = __make_integer_seq<integer_sequence, T, N>;
template <size_t... I>
using index_sequence = integer_sequence<size_t, I...>;
template <size_t N>
using make_index_sequence = make_integer_sequence<size_t, N>;
template <typename... T>
using index_sequence_for = make_index_sequence<sizeof...(T)>;

template <bool B, typename T = void>
struct enable_if {};
template <typename T>
struct enable_if<true, T> {
  using type = T;
};
template <bool B, typename T = void>
using enable_if_t = typename enable_if<B, T>::type;

template <bool B, typename T, typename F>
struct conditional {
  using type = T;
};
template <typename T, typename F>
struct conditional<false, T, F> {
  using type = F;
};
template <bool B, typename T, typename F>
using conditional_t = typename conditional<B, T, F>::type;

template <typename T>
struct type_identity {
  using type = T;
};
template <typename T>
using type_identity_t = typename type_identity<T>::type;

#define MF_TYPE_TRANSFORM(name, builtin)  \
  template <typename T>                   \
  struct name {                           \
    using type = builtin(T);              \
  };                                      \
  template <typename T>                   \
  using name##_t = builtin(T);
MF_TYPE_TRANSFORM(remove_const, __remove_const)
MF_TYPE_TRANSFORM(remove_volatile, __remove_volatile)
MF_TYPE_TRANSFORM(remove_cv, __remove_cv)
MF_TYPE_TRANSFORM(remove_reference, __remove_reference_t)
MF_TYPE_TRANSFORM(remove_cvref, __remove_cvref)
MF_TYPE_TRANSFORM(remove_pointer, __remove_pointer)
MF_TYPE_TRANSFORM(remove_extent, __remove_extent)
MF_TYPE_TRANSFORM(remove_all_extents, __remove_all_extents)
MF_TYPE_TRANSFORM(decay, __decay)
MF_TYPE_TRANSFORM(underlying_type, __underlying_type)
MF_TYPE_TRANSFORM(add_lvalue_reference, __add_lvalue_reference)
MF_TYPE_TRANSFORM(add_rvalue_reference, __add_rvalue_reference)
MF_TYPE_TRANSFORM(add_pointer, __add_pointer)
// __make_signed rejects bool and floats, as the standard asks for.
MF_TYPE_TRANSFORM(make_signed, __make_signed)
MF_TYPE_TRANSFORM(make_unsigned, __make_unsigned)
#undef MF_TYPE_TRANSFORM

template <typename T>
struct add_const {
  using type = const T;
};
template <typename T>
using add_const_t = const T;
// One address space here: nothing to remove.
template <typename T>
struct remove_addrspace {
  using type = T;
};
template <typename T>
using remove_addrspace_t = T;
template <typename T>
struct add_volatile {
  using type = volatile T;
};
template <typename T>
using add_volatile_t = volatile T;
template <typename T>
struct add_cv {
  using type = const volatile T;
};
template <typename T>
using add_cv_t = const volatile T;

#define MF_UNARY_TRAIT(name, ...)                            \
  template <typename T>                                      \
  inline constexpr bool name##_v = __VA_ARGS__;              \
  template <typename T>                                      \
  struct name : bool_constant<name##_v<T>> {};
MF_UNARY_TRAIT(is_void, __is_void(T))
MF_UNARY_TRAIT(is_integral, __is_integral(T))
#define MF_IS_BFLOAT __is_same(__remove_cv(T), bfloat)
MF_UNARY_TRAIT(is_floating_point, __is_floating_point(T) || MF_IS_BFLOAT)
MF_UNARY_TRAIT(is_arithmetic, __is_arithmetic(T) || MF_IS_BFLOAT)
MF_UNARY_TRAIT(is_fundamental, __is_fundamental(T) || MF_IS_BFLOAT)
MF_UNARY_TRAIT(is_compound, __is_compound(T) && !MF_IS_BFLOAT)
MF_UNARY_TRAIT(is_scalar, __is_scalar(T) || MF_IS_BFLOAT)
MF_UNARY_TRAIT(is_object, __is_object(T))
MF_UNARY_TRAIT(is_signed, __is_signed(T) || MF_IS_BFLOAT)
MF_UNARY_TRAIT(is_unsigned, __is_unsigned(T))
MF_UNARY_TRAIT(is_const, __is_const(T))
MF_UNARY_TRAIT(is_volatile, __is_volatile(T))
MF_UNARY_TRAIT(is_pointer, __is_pointer(T))
MF_UNARY_TRAIT(is_reference, __is_reference(T))
MF_UNARY_TRAIT(is_lvalue_reference, __is_lvalue_reference(T))
MF_UNARY_TRAIT(is_rvalue_reference, __is_rvalue_reference(T))
MF_UNARY_TRAIT(is_array, __is_array(T))
MF_UNARY_TRAIT(is_function, __is_function(T))
MF_UNARY_TRAIT(is_enum, __is_enum(T))
MF_UNARY_TRAIT(is_union, __is_union(T))
MF_UNARY_TRAIT(is_class, __is_class(T) && !MF_IS_BFLOAT)
MF_UNARY_TRAIT(is_final, __is_final(T))
MF_UNARY_TRAIT(is_aggregate, __is_aggregate(T))
MF_UNARY_TRAIT(is_trivial, __is_trivially_constructible(T) && __is_trivially_copyable(T))
MF_UNARY_TRAIT(is_trivially_copyable, __is_trivially_copyable(T))
MF_UNARY_TRAIT(is_standard_layout, __is_standard_layout(T))
MF_UNARY_TRAIT(is_pod, __is_trivially_constructible(T) && __is_trivially_copyable(T) &&
                           __is_standard_layout(T))
MF_UNARY_TRAIT(is_default_constructible, __is_constructible(T))
MF_UNARY_TRAIT(is_copy_constructible, __is_constructible(T, const T&))
MF_UNARY_TRAIT(is_move_constructible, __is_constructible(T, T&&))
MF_UNARY_TRAIT(is_destructible, __is_destructible(T))
#undef MF_UNARY_TRAIT
#undef MF_IS_BFLOAT

#define MF_BINARY_TRAIT(name, ...)                \
  template <typename T, typename U>               \
  inline constexpr bool name##_v = __VA_ARGS__;   \
  template <typename T, typename U>               \
  struct name : bool_constant<name##_v<T, U>> {};
MF_BINARY_TRAIT(is_same, __is_same(T, U))
MF_BINARY_TRAIT(is_base_of, __is_base_of(T, U))
MF_BINARY_TRAIT(is_convertible, __is_convertible(T, U))
MF_BINARY_TRAIT(is_assignable, __is_assignable(T, U))
#undef MF_BINARY_TRAIT

template <typename T, typename... A>
inline constexpr bool is_constructible_v = __is_constructible(T, A...);
template <typename T, typename... A>
struct is_constructible : bool_constant<is_constructible_v<T, A...>> {};
template <typename T>
inline constexpr size_t rank_v = __array_rank(T);
template <typename T>
struct rank : integral_constant<size_t, rank_v<T>> {};
template <typename T, unsigned I = 0>
inline constexpr size_t extent_v = 0;
template <typename T, size_t N, unsigned I>
inline constexpr size_t extent_v<T[N], I> = I == 0 ? N : extent_v<T, I - 1>;
template <typename T, unsigned I = 0>
struct extent : integral_constant<size_t, extent_v<T, I>> {};
template <typename T>
struct alignment_of : integral_constant<size_t, alignof(T)> {};
template <typename T>
inline constexpr size_t alignment_of_v = alignof(T);

template <typename... B>
struct _disjunction : bool_constant<(B::value || ...)> {};
template <typename... B>
struct _conjunction : bool_constant<(B::value && ...)> {};
template <typename B>
struct _negation : bool_constant<!B::value> {};

// A value that all threads share.
template <typename T>
using uniform = T;
template <typename T>
constexpr T make_uniform(T v) {
  return v;
}

template <typename T>
add_rvalue_reference_t<T> declval();
template <typename T>
constexpr remove_reference_t<T>&& move(T&& v) {
  return static_cast<remove_reference_t<T>&&>(v);
}
#if !MF_WHOLE_FILE  // there a name of the file's own (MLX's rope.metal)
template <typename T>
constexpr T&& forward(remove_reference_t<T>& v) {
  return static_cast<T&&>(v);
}
template <typename T>
constexpr T&& forward(remove_reference_t<T>&& v) {
  return static_cast<T&&>(v);
}
#endif
template <typename T>
MF_FN constexpr void swap(T& a, T& b) {
  T kept = a;
  a = b;
  b = kept;
}
template <typename F, typename... A>
struct result_of;
template <typename F, typename... A>
struct invoke_result {
  using type = decltype(declval<F>()(declval<A>()...));
};
template <typename F, typename... A>
using invoke_result_t = typename invoke_result<F, A...>::type;
template <typename... T>
struct common_type;
template <typename T>
struct common_type<T> {
  using type = decay_t<T>;
};
template <typename T, typename U>
struct common_type<T, U> {
  using type = decay_t<decltype(false ? declval<T>() : declval<U>())>;
};
template <typename T, typename U, typename... R>
struct common_type<T, U, R...> : common_type<typename common_type<T, U>::type, R...> {};
template <typename... T>
using common_type_t = typename common_type<T...>::type;

enum float_round_style {
  round_indeterminate = -1,
  round_toward_zero = 0,
  round_to_nearest = 1,
};

// Under this name Apple's headers hold them, and published kernels add types of their own.
template <typename T>
struct _numeric_limits_impl {
  static constexpr bool is_specialized = false;
};
template <typename T>
struct numeric_limits : _numeric_limits_impl<T> {};
template <typename T>
struct numeric_limits<const T> : numeric_limits<T> {};

#define MF_INT_LIMITS(T, lowest_value, max_value, value_bits)         \
  template <>                                                         \
  struct _numeric_limits_impl<T> {                                    \
    static constexpr bool is_specialized = true;                      \
    static constexpr bool is_signed = __is_signed(T);                 \
    static constexpr bool is_integer = true, is_exact = true;         \
    static constexpr bool has_infinity = false;                       \
    static constexpr bool has_quiet_NaN = false;                      \
    static constexpr bool has_signaling_NaN = false;                  \
    static constexpr bool has_denorm = false;                         \
    static constexpr bool is_iec559 = false, is_bounded = true;       \
    static constexpr bool is_modulo = !__is_signed(T);                \
    static constexpr int digits = value_bits;                         \
    static constexpr int digits10 = value_bits * 30103 / 100000;      \
    static constexpr int max_digits10 = 0, radix = 2;                 \
    static constexpr int min_exponent = 0, min_exponent10 = 0;        \
    static constexpr int max_exponent = 0, max_exponent10 = 0;        \
    static constexpr float_round_style round_style = round_toward_zero; \
    static constexpr T(min)() { return lowest_value; }                \
    static constexpr T(max)() { return max_value; }                   \
    static constexpr T lowest() { return lowest_value; }              \
    static constexpr T epsilon() { return 0; }                        \
    static constexpr T round_error() { return 0; }                    \
    static constexpr T infinity() { return 0; }                       \
    static constexpr T quiet_NaN() { return 0; }                      \
    static constexpr T signaling_NaN() { return 0; }                  \
    static constexpr T denorm_min() { return 0; }                     \
  };
MF_INT_LIMITS(bool, false, true, 1)
MF_INT_LIMITS(char, CHAR_MIN, CHAR_MAX, 7)
MF_INT_LIMITS(signed char, SCHAR_MIN, SCHAR_MAX, 7)
MF_INT_LIMITS(uchar, 0, UCHAR_MAX, 8)
MF_INT_LIMITS(short, SHRT_MIN, SHRT_MAX, 15)
MF_INT_LIMITS(ushort, 0, USHRT_MAX, 16)
MF_INT_LIMITS(int, INT_MIN, INT_MAX, 31)
MF_INT_LIMITS(uint, 0, UINT_MAX, 32)
MF_INT_LIMITS(long, LONG_MIN, LONG_MAX, 63)
MF_INT_LIMITS(ulong, 0, ULONG_MAX, 64)
MF_INT_LIMITS(long long, LONG_MIN, LONG_MAX, 63)
MF_INT_LIMITS(unsigned long long, 0, ULONG_MAX, 64)
#undef MF_INT_LIMITS

#define MF_FLOAT_LIMITS(T, P)                                                  \
  template <>                                                                  \
  struct _numeric_limits_impl<T> {                                             \
    static constexpr bool is_specialized = true;                               \
    static constexpr bool is_signed = true;                                    \
    static constexpr bool is_integer = false, is_exact = false;                \
    static constexpr bool has_infinity = true;                                 \
    static constexpr bool has_quiet_NaN = true;                                \
    static constexpr bool has_signaling_NaN = true;                            \
    static constexpr bool has_denorm = true;                                   \
    static constexpr bool is_iec559 = true, is_bounded = true;                 \
    static constexpr bool is_modulo = false;                                   \
    static constexpr int digits = P##_MANT_DIG, digits10 = P##_DIG;            \
    static constexpr int max_digits10 = P##_DECIMAL_DIG, radix = 2;            \
    static constexpr int min_exponent = P##_MIN_EXP;                           \
    static constexpr int min_exponent10 = P##_MIN_10_EXP;                      \
    static constexpr int max_exponent = P##_MAX_EXP;                           \
    static constexpr int max_exponent10 = P##_MAX_10_EXP;                      \
    static constexpr float_round_style round_style = round_to_nearest;         \
    static constexpr T(min)() { return P##_MIN; }                              \
    static constexpr T(max)() { return P##_MAX; }                              \
    static constexpr T lowest() { return -P##_MAX; }                           \
    static constexpr T epsilon() { return P##_EPSILON; }                       \
    static constexpr T round_error() { return static_cast<T>(0.5f); }          \
    static constexpr T infinity() { return static_cast<T>(INFINITY); }         \
    static constexpr T quiet_NaN() { return static_cast<T>(NAN); }             \
    static constexpr T signaling_NaN() { return static_cast<T>(NAN); }         \
    static constexpr T denorm_min() { return P##_TRUE_MIN; }                   \
  };
MF_FLOAT_LIMITS(float, FLT)
MF_FLOAT_LIMITS(half, HALF)
MF_FLOAT_LIMITS(bfloat, BFLT)
#undef MF_FLOAT_LIMITS

}  // namespace metal
