// libtorch's NCCL backend behind one C function, in a library of its own: the executables need no CUDA header, and
// run where there is no GPU. Built by scripts/nccl, opened by dist.cpp.
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>
#include <torch/csrc/distributed/c10d/Store.hpp>
#include <cstdio>

extern "C" c10d::Backend* clip_nccl_backend(c10d::Store* store, int rank, int world, int64_t timeout_ms) {
  try {
    auto shared = c10::intrusive_ptr<c10d::Store>::unsafe_reclaim_from_nonowning(store);
    auto options = c10d::ProcessGroupNCCL::Options::create(false);
    options->timeout = std::chrono::milliseconds(timeout_ms);
    return c10::make_intrusive<c10d::ProcessGroupNCCL>(shared, rank, world, options).release();
  } catch (const std::exception& e) {
    std::fprintf(stderr, "NCCL: %s\n", e.what());
    return nullptr;
  }
}
