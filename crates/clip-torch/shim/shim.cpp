// What tch 0.24 lacks for training CLIP, as a C interface over libtorch 2.11.
// Every function catches C++ exceptions; on failure it returns -1 and ct_error() tells why.
#include <ATen/ATen.h>
#include <ATen/autocast_mode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/version.h>
#include <string>
#include <vector>

namespace {
thread_local std::string last_error;

template <typename F>
int guarded(F&& body) {
  try {
    body();
    return 0;
  } catch (const std::exception& e) {
    last_error = e.what();
  } catch (...) {
    last_error = "unknown C++ exception";
  }
  return -1;
}

std::vector<at::Tensor> list(at::Tensor** tensors, int n) {
  std::vector<at::Tensor> out;
  out.reserve(n);
  for (int i = 0; i < n; ++i) out.push_back(*tensors[i]);
  return out;
}

// A segment of the graph, as a Rust closure sees it: returns a new tensor, or null after a failure.
typedef at::Tensor* (*Segment)(void* context, at::Tensor* input);

// Recomputes its segment in the backward pass instead of keeping the activations (Chen et al. 2016).
struct Checkpoint : torch::autograd::Function<Checkpoint> {
  static at::Tensor forward(torch::autograd::AutogradContext* c, at::Tensor x, int64_t segment, int64_t context,
                            at::Tensor anchor) {
    c->save_for_backward({x});
    c->saved_data["segment"] = segment;
    c->saved_data["context"] = context;
    at::AutoGradMode off(false);
    std::unique_ptr<at::Tensor> y(((Segment)segment)((void*)context, &x));
    TORCH_CHECK(y, "the checkpointed segment failed");
    return *y;
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* c,
                                                 torch::autograd::variable_list gradients) {
    auto x = c->get_saved_variables()[0].detach().requires_grad_(true);
    at::AutoGradMode on(true);
    auto segment = (Segment)c->saved_data["segment"].toInt();
    std::unique_ptr<at::Tensor> y(segment((void*)c->saved_data["context"].toInt(), &x));
    TORCH_CHECK(y, "the checkpointed segment failed");
    torch::autograd::backward({*y}, {gradients[0]});
    return {x.grad(), at::Tensor(), at::Tensor(), at::Tensor()};
  }
};
}  // namespace

extern "C" {
const char* ct_error() { return last_error.c_str(); }

const char* ct_version() { return TORCH_VERSION; }

// Autocast on a device ("cpu" = 0, "cuda" = 1) to a dtype (bfloat16 = 0, float16 = 1); ct_autocast_end undoes it.
int ct_autocast_begin(int device, int dtype) {
  return guarded([&] {
    auto kind = device ? at::kCUDA : at::kCPU;
    at::autocast::set_autocast_enabled(kind, true);
    at::autocast::set_autocast_dtype(kind, dtype ? at::kHalf : at::kBFloat16);
    at::autocast::increment_nesting();
  });
}

int ct_autocast_end(int device) {
  return guarded([&] {
    if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
    at::autocast::set_autocast_enabled(device ? at::kCUDA : at::kCPU, false);
  });
}

// One AdamW step over n tensors in one kernel: decoupled weight decay, steps are 0-dim f32 and are advanced.
int ct_adamw(at::Tensor** params, at::Tensor** grads, at::Tensor** m, at::Tensor** v, at::Tensor** steps, int n,
             double lr, double beta1, double beta2, double weight_decay, double eps) {
  return guarded([&] {
    at::NoGradGuard off;
    auto step = list(steps, n);
    for (auto& s : step) s.add_(1);
    at::_fused_adamw_(list(params, n), list(grads, n), list(m, n), list(v, n), {}, step, lr, beta1, beta2,
                      weight_decay, eps, false, false);
  });
}

// Backward from n outputs with given gradients: the vector-Jacobian product.
int ct_backward(at::Tensor** outputs, at::Tensor** gradients, int n) {
  return guarded([&] { torch::autograd::backward(list(outputs, n), list(gradients, n)); });
}

// Runs a segment without keeping its activations. The context must outlive the backward pass.
at::Tensor* ct_checkpoint(at::Tensor* x, Segment segment, void* context) {
  at::Tensor* out = nullptr;
  guarded([&] {
    // A leaf that requires gradients makes autograd call backward even where x is an input.
    auto anchor = at::zeros({1}).requires_grad_(true);
    out = new at::Tensor(Checkpoint::apply(*x, (int64_t)segment, (int64_t)context, anchor));
  });
  return out;
}

// A tensor over memory that stays another's until libtorch calls release(owner) with the last view gone.
// The dtype is c10::ScalarType's number; the tensor is on the CPU and contiguous.
at::Tensor* ct_over(void* data, const int64_t* sizes, int dimensions, int dtype, void (*release)(void*), void* owner) {
  at::Tensor* out = nullptr;
  guarded([&] {
    auto options = at::TensorOptions().dtype((at::ScalarType)dtype);
    auto deleter = [release, owner](void*) { release(owner); };
    out = new at::Tensor(at::from_blob(data, at::IntArrayRef(sizes, dimensions), deleter, options));
  });
  return out;
}
}
