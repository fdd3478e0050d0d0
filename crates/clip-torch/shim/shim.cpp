// What tch 0.24 lacks for training CLIP, as a C interface over libtorch 2.11.
// Every function catches C++ exceptions; on failure it returns -1 (or null) and ct_error() tells why.
#include <ATen/Context.h>
#include <ATen/DeviceAccelerator.h>
#include <ATen/autocast_mode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/custom_class.h>
#include <torch/version.h>
#include <cstring>
#include "common.h"

thread_local std::string ct::last_error;

namespace {
using ct::guarded;
using ct::list;

// A segment of the graph, as a Rust closure sees it: returns a new tensor, or null after a failure.
typedef at::Tensor* (*Segment)(void* context, at::Tensor* input, int replay);
typedef void (*Drop)(void* context);

// Owns the closure for as long as the graph may ask for it.
struct Held : torch::CustomClassHolder {
  Segment segment;
  void* context;
  Drop drop;
  Held(Segment s, void* c, Drop d) : segment(s), context(c), drop(d) {}
  ~Held() override { drop(context); }
  at::Tensor run(at::Tensor& x, bool replay) const {
    std::unique_ptr<at::Tensor> y(segment(context, &x, replay));
    TORCH_CHECK(y, ct::last_error);
    return *y;
  }
};

// Autocast as it was when the segment ran first, so that its replay has the same arithmetic.
struct Autocast {
  static constexpr at::DeviceType kinds[2] = {at::kCPU, at::kCUDA};
  bool enabled[2];
  at::ScalarType dtype[2];
  static Autocast now() {
    Autocast a;
    for (int i = 0; i < 2; ++i) {
      a.enabled[i] = at::autocast::is_autocast_enabled(kinds[i]);
      a.dtype[i] = at::autocast::get_autocast_dtype(kinds[i]);
    }
    return a;
  }
  void set() const {
    for (int i = 0; i < 2; ++i) {
      at::autocast::set_autocast_enabled(kinds[i], enabled[i]);
      at::autocast::set_autocast_dtype(kinds[i], dtype[i]);
    }
  }
};

struct Replay {
  Autocast before = Autocast::now();
  explicit Replay(const Autocast& then) {
    then.set();
    at::autocast::increment_nesting();
  }
  ~Replay() {
    // Casts that were cached here belong to this segment's graph alone.
    at::autocast::decrement_nesting();
    at::autocast::clear_cache();
    before.set();
  }
};

// Recomputes its segment in the backward pass instead of keeping the activations (Chen et al. 2016).
struct Checkpoint : torch::autograd::Function<Checkpoint> {
  static at::Tensor forward(torch::autograd::AutogradContext* c, at::Tensor x, c10::intrusive_ptr<Held> held,
                            at::Tensor anchor) {
    c->save_for_backward({x});
    c->saved_data["held"] = c10::IValue::make_capsule(held);
    auto cast = Autocast::now();
    c->saved_data["enabled"] = std::vector<int64_t>{cast.enabled[0], cast.enabled[1]};
    c->saved_data["dtype"] = std::vector<int64_t>{(int64_t)cast.dtype[0], (int64_t)cast.dtype[1]};
    at::AutoGradMode off(false);
    // A cast made here has no graph; it must not serve, nor be served by, what has one.
    at::autocast::clear_cache();
    auto y = held->run(x, false);
    at::autocast::clear_cache();
    return y;
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* c,
                                                 torch::autograd::variable_list gradients) {
    auto x = c->get_saved_variables()[0].detach().requires_grad_(true);
    Autocast cast;
    auto enabled = c->saved_data["enabled"].toIntVector(), dtype = c->saved_data["dtype"].toIntVector();
    for (int i = 0; i < 2; ++i) {
      cast.enabled[i] = enabled[i];
      cast.dtype[i] = (at::ScalarType)dtype[i];
    }
    auto held = c10::static_intrusive_pointer_cast<Held>(c->saved_data["held"].toCapsule());
    at::AutoGradMode on(true);
    at::Tensor y;
    {
      Replay replay(cast);
      y = held->run(x, true);
    }
    torch::autograd::backward({y}, {gradients[0]});
    return {x.grad(), at::Tensor(), at::Tensor()};
  }
};
}  // namespace

extern "C" {
const char* ct_error() { return ct::last_error.c_str(); }

// Why a segment that was called from here gives no tensor.
void ct_fail(const char* reason) { ct::last_error = reason; }

const char* ct_version() { return TORCH_VERSION; }

int ct_set_device(int index) {
  return guarded([&] { at::accelerator::setDeviceIndex((c10::DeviceIndex)index); });
}

int ct_synchronize(int index) {
  return guarded([&] { at::accelerator::synchronizeDevice((c10::DeviceIndex)index); });
}

// The most bytes that tensors have had on a GPU at a time; -1 after a failure.
int64_t ct_peak_memory(int index) {
  int64_t peak = -1;
  guarded([&] { peak = at::accelerator::getDeviceStats((c10::DeviceIndex)index).allocated_bytes[0].peak; });
  return peak;
}

// Whether products of 32-bit matrices, and convolutions, may round their inputs to TF32.
int ct_tf32(int allow) {
  return guarded([&] {
    at::globalContext().setAllowTF32CuBLAS(allow != 0);
    at::globalContext().setAllowTF32CuDNN(allow != 0);
  });
}

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

// One AdamW step over n tensors in one kernel: decoupled weight decay, steps are 0-dim f32 on the
// parameters' device and are advanced.
int ct_adamw(at::Tensor** params, at::Tensor** grads, at::Tensor** m, at::Tensor** v, at::Tensor** steps, int n,
             double lr, double beta1, double beta2, double weight_decay, double eps) {
  return guarded([&] {
    if (n == 0) return;
    at::NoGradGuard off;
    auto step = list(steps, n);
    at::_foreach_add_(step, 1);
    at::_fused_adamw_(list(params, n), list(grads, n), list(m, n), list(v, n), {}, step, lr, beta1, beta2,
                      weight_decay, eps, false, false);
  });
}

// Divides n gradients by the loss scale in place; found_inf (a 0-dim f32) becomes 1 where one is not finite.
int ct_unscale(at::Tensor** grads, int n, at::Tensor* found_inf, double inverse_scale) {
  return guarded([&] {
    if (n == 0) return;
    at::NoGradGuard off;
    auto inverse = at::full({}, inverse_scale, found_inf->options());
    at::_amp_foreach_non_finite_check_and_unscale_(list(grads, n), *found_inf, inverse);
  });
}

// The Euclidean norm over n tensors together, as a 0-dim tensor on their device.
at::Tensor* ct_norm(at::Tensor** tensors, int n) {
  at::Tensor* out = nullptr;
  guarded([&] {
    at::NoGradGuard off;
    out = new at::Tensor(at::linalg_vector_norm(at::stack(at::_foreach_norm(list(tensors, n), 2)), 2));
  });
  return out;
}

// Forgets n gradients: the next backward pass moves its results in instead of adding them.
void ct_clear_grads(at::Tensor** tensors, int n) {
  for (int i = 0; i < n; ++i) tensors[i]->mutable_grad() = at::Tensor();
}

// Backward from n outputs with given gradients: the vector-Jacobian product.
int ct_backward(at::Tensor** outputs, at::Tensor** gradients, int n) {
  return guarded([&] { torch::autograd::backward(list(outputs, n), list(gradients, n)); });
}

// Runs a segment without keeping its activations, where gradients are wanted at all. Takes the context over.
at::Tensor* ct_checkpoint(at::Tensor* x, Segment segment, void* context, Drop drop) {
  at::Tensor* out = nullptr;
  guarded([&] {
    auto held = c10::make_intrusive<Held>(segment, context, drop);
    if (!at::GradMode::is_enabled()) {
      out = new at::Tensor(held->run(*x, false));
      return;
    }
    // A leaf that requires gradients makes autograd call backward even where x is an input.
    auto anchor = at::zeros({1}).requires_grad_(true);
    out = new at::Tensor(Checkpoint::apply(*x, held, anchor));
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

// Zero bytes on the host, pinned for a GPU or not.
at::Tensor* ct_host_bytes(const int64_t* sizes, int dimensions, int pinned) {
  at::Tensor* out = nullptr;
  guarded([&] {
    auto options = at::TensorOptions().dtype(at::kByte).pinned_memory(pinned != 0);
    out = new at::Tensor(at::zeros(at::IntArrayRef(sizes, dimensions), options));
  });
  return out;
}

// Copies n bytes into a contiguous tensor's memory on the host, from an offset in bytes.
int ct_write_bytes(at::Tensor* tensor, size_t offset, const char* bytes, size_t n) {
  return guarded([&] {
    TORCH_CHECK(tensor->is_contiguous() && tensor->device().is_cpu(), "not plain host memory");
    TORCH_CHECK(offset + n <= tensor->nbytes(), "bytes beyond the tensor's end");
    std::memcpy((char*)tensor->data_ptr() + offset, bytes, n);
  });
}
}
