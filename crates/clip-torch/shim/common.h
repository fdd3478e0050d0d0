// Shared by the files of the shim: errors to strings, lists of tensors.
#pragma once
#include <ATen/ATen.h>
#include <string>
#include <vector>

namespace ct {
extern thread_local std::string last_error;

// Runs `body`; a C++ exception becomes -1 and a text for ct_error().
template <typename F>
int guarded(F&& body) {
  try {
    body();
    return 0;
  } catch (const c10::Error& e) {
    last_error = e.what_without_backtrace();
  } catch (const std::exception& e) {
    last_error = e.what();
  } catch (...) {
    last_error = "unknown C++ exception";
  }
  return -1;
}

inline std::vector<at::Tensor> list(at::Tensor** tensors, int n) {
  std::vector<at::Tensor> out;
  out.reserve(n);
  for (int i = 0; i < n; ++i) out.push_back(*tensors[i]);
  return out;
}
}  // namespace ct
