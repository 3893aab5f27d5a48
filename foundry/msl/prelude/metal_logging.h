// MSL 6.17, <metal_logging>: what a kernel logs goes nowhere.
#pragma once
#pragma clang system_header

#include "metal_scalar.h"

namespace metal {
struct os_log {
  constexpr os_log(MF_CONSTANT char*, MF_CONSTANT char*) {}
  template <typename... A>
  void log(const char*, A...) const {}
  template <typename... A>
  void log_debug(const char*, A...) const {}
  template <typename... A>
  void log_info(const char*, A...) const {}
  template <typename... A>
  void log_error(const char*, A...) const {}
  template <typename... A>
  void log_fault(const char*, A...) const {}
};
inline constexpr os_log os_log_default{nullptr, nullptr};
}  // namespace metal
