// Convolutions and linear maps on the processor by oneDNN, with weights in its own order and what follows in the same
// pass.
// The operators are those that torch.compile's code calls; libtorch registers them where it has oneDNN.
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/List.h>
#include <ATen/core/stack.h>
#include "common.h"

namespace {
using Stack = torch::jit::Stack;

at::Tensor call(const char* name, const char* overload, Stack stack) {
  c10::Dispatcher::singleton().findSchemaOrThrow(name, overload).callBoxed(&stack);
  return stack.at(0).toTensor();
}

std::vector<int64_t> both(int64_t side) { return {side, side}; }
}  // namespace

extern "C" {
// A weight in the order that is best for inputs of these four sizes: an opaque tensor, for ct_conv alone.
at::Tensor* ct_conv_weight(at::Tensor* weight, int64_t stride, int64_t padding, const int64_t* sizes) {
  at::Tensor* out = nullptr;
  ct::guarded([&] {
    at::NoGradGuard off;
    out = new at::Tensor(call("mkldnn::_reorder_convolution_weight", "",
                              {*weight, both(padding), both(stride), both(1), (int64_t)1,
                               std::vector<int64_t>(sizes, sizes + 4)}));
  });
  return out;
}

// The convolution, plus `sum` where there is one (which then holds the result), and its positive part if asked for.
at::Tensor* ct_conv(at::Tensor* x, at::Tensor* weight, at::Tensor* bias, int64_t stride, int64_t padding,
                    at::Tensor* sum, int relu) {
  at::Tensor* out = nullptr;
  ct::guarded([&] {
    at::NoGradGuard off;
    c10::List<std::optional<at::Scalar>> none;
    c10::IValue after = relu ? c10::IValue("relu") : c10::IValue();
    if (sum) {
      out = new at::Tensor(call("mkldnn::_convolution_pointwise_", "binary",
                                {*sum, *x, *weight, *bias, both(padding), both(stride), both(1), (int64_t)1, "add",
                                 c10::IValue(), after, none, c10::IValue()}));
    } else {
      out = new at::Tensor(call("mkldnn::_convolution_pointwise", "",
                                {*x, *weight, *bias, both(padding), both(stride), both(1), (int64_t)1,
                                 relu ? "relu" : "none", none, c10::IValue()}));
    }
  });
  return out;
}

// A weight [output, input] of a linear map in oneDNN's order: an opaque tensor, for ct_linear alone.
at::Tensor* ct_linear_weight(at::Tensor* weight) {
  at::Tensor* out = nullptr;
  ct::guarded([&] {
    at::NoGradGuard off;
    out = new at::Tensor(call("mkldnn::_reorder_linear_weight", "", {*weight, c10::IValue()}));
  });
  return out;
}

// The map of `x`, plus `sum` where there is one, else through the function `after`.
at::Tensor* ct_linear(at::Tensor* x, at::Tensor* weight, at::Tensor* bias, at::Tensor* sum, const char* after) {
  at::Tensor* out = nullptr;
  ct::guarded([&] {
    at::NoGradGuard off;
    c10::List<std::optional<at::Scalar>> none;
    if (sum) {
      out = new at::Tensor(call("mkldnn::_linear_pointwise", "binary", {*x, *sum, *weight, *bias, "add"}));
    } else {
      // The exact GELU is the algorithm "none"; others have none.
      out = new at::Tensor(call("mkldnn::_linear_pointwise", "", {*x, *weight, *bias, after, none, "none"}));
    }
  });
  return out;
}
}
