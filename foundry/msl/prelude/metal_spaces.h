// MSL 4: address spaces, as attributes of clang where a text is read as Metal would (MF_DECLARED);
// where it runs all memory is one. A pointer without a space is one to `thread`.
#pragma once

#if MF_DECLARED
#define MF_DEVICE __attribute__((address_space(1)))
#define MF_THREADGROUP __attribute__((address_space(3)))
#define MF_CONSTANT __attribute__((address_space(4))) const
#else
#define MF_DEVICE
#define MF_THREADGROUP
#define MF_CONSTANT const
#endif

namespace mf {
// A pointee in an address space, in the arguments of a class that is specialised by space
// (frontend/rewriting/overloads.py).
template <int space, typename T>
struct in_space;
}  // namespace mf

#if MF_DECLARED

namespace mf {

template <typename T>
struct space_of {
  static constexpr int value = -1;
};
template <typename T>
struct space_of<T*> {
  static constexpr int value = 0;
};
template <typename T>
struct space_of<MF_DEVICE T*> {
  static constexpr int value = 1;
};
template <typename T>
struct space_of<MF_THREADGROUP T*> {
  static constexpr int value = 3;
};
template <typename T>
struct space_of<__attribute__((address_space(4))) T*> {
  static constexpr int value = 4;
};

// `(device T*)p` is read as `cast<device T*>() ->* p`: clang lets a cast change the space, Metal not.
template <typename To>
struct cast {};
template <typename To>
struct read_cast {};
template <typename To>
constexpr read_cast<To> operator*(cast<To>) {
  return {};
}
template <typename To, typename From>
constexpr void check_space() {
  constexpr int from = space_of<From>::value, to = space_of<To>::value;
  static_assert(from < 0 || to < 0 || from == to,
                "casting a pointer must not change its address space");
}
template <typename To, typename From>
constexpr To operator->*(cast<To>, From from) {
  check_space<To, From>();
  return (To)from;
}
template <typename To, typename From>
constexpr auto operator->*(read_cast<To>, From from) -> decltype(*(To)from) {
  check_space<To, From>();
  return *(To)from;
}

// `thread auto& r = v` is read as `auto& r = of_thread() ->* v`, and `thread auto* p` likewise.
struct of_thread {};
struct leads_to_thread {};
template <typename T>
constexpr T&& operator->*(of_thread, T&& place) {
  static_assert(space_of<__remove_reference_t(T)*>::value <= 0,
                "a reference to 'thread' cannot bind to an object in another address space");
  return static_cast<T&&>(place);
}
template <typename T>
constexpr T operator->*(leads_to_thread, T pointer) {
  static_assert(space_of<T>::value <= 0,
                "a pointer to 'thread' cannot lead to another address space");
  return pointer;
}

}  // namespace mf

#endif
