// What the compiler makes of braces: the class it looks for by this name. Metal has no other std.
#pragma once
#pragma clang system_header

namespace std {
template <typename E>
class initializer_list {
 public:
  constexpr initializer_list() = default;
  constexpr decltype(sizeof(0)) size() const { return count_; }
  constexpr const E* begin() const { return first_; }

 private:
  const E* first_ = nullptr;
  decltype(sizeof(0)) count_ = 0;
};
}  // namespace std
