// Processes that train together: libtorch's own c10d (store, Gloo, NCCL where it is) and its DDP Reducer.
#include <dlfcn.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#include <torch/csrc/distributed/c10d/logger.hpp>
#include <torch/csrc/distributed/c10d/reducer.hpp>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <memory>
#include <optional>
#include "common.h"

namespace {
using ct::guarded;
using ct::list;
using std::chrono::milliseconds;

struct Group {
  c10::intrusive_ptr<c10d::Store> store;
  c10::intrusive_ptr<c10d::ProcessGroup> pg;
};

struct Averager {
  std::shared_ptr<c10d::Reducer> reducer;
  std::shared_ptr<c10d::Logger> logger;
};

// libclip_nccl.so's one function: ProcessGroupNCCL as a Backend, so that this file needs no CUDA header.
typedef c10d::Backend* (*Nccl)(c10d::Store* store, int rank, int world, int64_t timeout_ms);

c10::intrusive_ptr<c10d::Backend> nccl(const c10::intrusive_ptr<c10d::Store>& store, int rank, int world,
                                       milliseconds timeout, const char* library) {
  void* handle = dlopen(library, RTLD_NOW | RTLD_GLOBAL);
  TORCH_CHECK(handle, dlerror());
  auto make = (Nccl)dlsym(handle, "clip_nccl_backend");
  TORCH_CHECK(make, "it has no clip_nccl_backend");
  auto* backend = make(store.get(), rank, world, timeout.count());
  TORCH_CHECK(backend, "ProcessGroupNCCL cannot be made");
  return c10::intrusive_ptr<c10d::Backend>::reclaim(backend);
}
// A socket bound to `host`, where that is an address of this machine: libtorch's own server listens on all interfaces,
// whatever the host. None for other hosts. A port 0 becomes the one that was free.
std::optional<int> bound(const std::string& host, uint16_t* port) {
  addrinfo hints{}, *found = nullptr;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  auto address = host == "localhost" ? std::string("127.0.0.1") : host;
  if (getaddrinfo(address.c_str(), std::to_string(*port).c_str(), &hints, &found)) return std::nullopt;
  std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owned(found, freeaddrinfo);
  int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
  TORCH_CHECK(fd >= 0, "socket: ", std::strerror(errno));
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(fd, found->ai_addr, found->ai_addrlen)) {
    int why = errno;
    close(fd);
    // The address of a router or a load balancer before this machine.
    if (why == EADDRNOTAVAIL) return std::nullopt;
    TORCH_CHECK(false, "bind ", host, ":", *port, ": ", std::strerror(why));
  }
  sockaddr_storage name{};
  socklen_t length = sizeof name;
  getsockname(fd, (sockaddr*)&name, &length);
  *port = ntohs(name.ss_family == AF_INET6 ? ((sockaddr_in6*)&name)->sin6_port : ((sockaddr_in*)&name)->sin_port);
  return fd;
}

c10::intrusive_ptr<c10d::TCPStore> tcp_store(const std::string& host, c10d::TCPStoreOptions o) {
  o.waitWorkers = false;
  if (o.isServer) o.masterListenFd = bound(host, &o.port);
  return c10::make_intrusive<c10d::TCPStore>(host, o);
}
}  // namespace

extern "C" {
// A store for others on this machine to meet at; *port 0 takes any free port and says which.
c10d::Store* ct_store_serve(int* port, int64_t timeout_ms) {
  c10d::Store* out = nullptr;
  guarded([&] {
    c10d::TCPStoreOptions o;
    o.port = (uint16_t)*port;
    o.isServer = true;
    o.timeout = milliseconds(timeout_ms);
    auto store = tcp_store("127.0.0.1", o);
    *port = store->getPort();
    out = store.release();
  });
  return out;
}

void ct_store_free(c10d::Store* store) { c10::intrusive_ptr<c10d::Store>::reclaim(store); }

// Joins the group. `serve`: this rank hosts the store. `interface`: "" for the host's own address, else an
// interface's name or, after '@', an address. `nccl_library`: "" for Gloo alone.
Group* ct_group_join(const char* host, int port, int rank, int world, int serve, const char* prefix,
                     const char* interface, const char* nccl_library, int64_t timeout_ms) {
  Group* out = nullptr;
  guarded([&] {
    milliseconds timeout(timeout_ms);
    c10d::TCPStoreOptions o;
    o.port = (uint16_t)port;
    o.isServer = serve;
    o.numWorkers = world;
    o.timeout = timeout;
    c10::intrusive_ptr<c10d::Store> store = tcp_store(host, o);
    store = c10::make_intrusive<c10d::PrefixStore>(std::string(prefix), store);
    auto options = c10d::ProcessGroupGloo::Options::create(timeout);
    std::string where(interface);
    if (where.empty())
      options = c10d::ProcessGroupGloo::Options::create_default(timeout);
    else if (where[0] == '@')
      options->devices.push_back(c10d::ProcessGroupGloo::createDeviceForHostname(where.substr(1)));
    else
      options->devices.push_back(c10d::ProcessGroupGloo::createDeviceForInterface(where));
    auto gloo = c10::make_intrusive<c10d::ProcessGroupGloo>(c10::make_intrusive<c10d::PrefixStore>("cpu", store),
                                                            rank, world, options);
    auto pg = c10::make_intrusive<c10d::ProcessGroup>(store, rank, world);
    pg->setBackend(c10::DeviceType::CPU, c10d::ProcessGroup::BackendType::GLOO, gloo);
    pg->setDefaultBackend(c10d::ProcessGroup::BackendType::GLOO);
    if (*nccl_library) {
      auto fast = nccl(c10::make_intrusive<c10d::PrefixStore>("cuda", store), rank, world, timeout, nccl_library);
      pg->setBackend(c10::DeviceType::CUDA, c10d::ProcessGroup::BackendType::NCCL, fast);
      pg->setDefaultBackend(c10d::ProcessGroup::BackendType::NCCL);
    }
    pg->setGroupName("clip-data");
    out = new Group{store, pg};
  });
  return out;
}

// NCCL wants its communicators ended before the process does; a failure of that is no news.
void ct_group_free(Group* group) {
  guarded([&] { group->pg->shutdown(); });
  delete group;
}

// Sum over all ranks, in place.
int ct_all_reduce(Group* group, at::Tensor* tensor) {
  return guarded([&] {
    std::vector<at::Tensor> tensors{*tensor};
    group->pg->allreduce(tensors)->wait();
  });
}

// out [world * n, …] becomes all ranks' [n, …], in rank order.
int ct_all_gather(Group* group, at::Tensor* out, at::Tensor* in) {
  return guarded([&] {
    auto input = in->contiguous();
    group->pg->_allgather_base(*out, input)->wait();
  });
}

// out [n, …] becomes this rank's rows of the sum of all ranks' [world * n, …].
int ct_reduce_scatter(Group* group, at::Tensor* out, at::Tensor* in) {
  return guarded([&] {
    auto input = in->contiguous();
    group->pg->_reduce_scatter_base(*out, input)->wait();
  });
}

int ct_broadcast(Group* group, at::Tensor* tensor, int root) {
  return guarded([&] {
    std::vector<at::Tensor> tensors{*tensor};
    c10d::BroadcastOptions o;
    o.rootRank = root;
    group->pg->broadcast(tensors, o)->wait();
  });
}

int ct_store_set(Group* group, const char* key, const char* value) {
  return guarded([&] { group->store->set(std::string(key), std::string(value)); });
}

// Copies the value into buffer and returns its length; -2 when there is no such key (never waits).
int ct_store_get(Group* group, const char* key, char* buffer, int size) {
  int length = -2;
  int code = guarded([&] {
    if (!group->store->check({std::string(key)})) return;
    auto value = group->store->get(std::string(key));
    length = (int)std::min<size_t>(value.size(), size);
    std::memcpy(buffer, value.data(), length);
  });
  return code == 0 ? length : code;
}

// PyTorch's DDP engine over n parameters: averages their gradients over the group while backward runs.
Averager* ct_reducer_new(Group* group, at::Tensor** tensors, int n) {
  Averager* out = nullptr;
  guarded([&] {
    const int64_t first = 1 << 20, rest = 25 << 20;
    auto params = list(tensors, n);
    c10d::verify_params_across_processes(group->pg, params, std::nullopt);
    std::vector<bool> dense(params.size(), false);
    auto [buckets, limits] = c10d::compute_bucket_assignment_by_size(params, {(size_t)first, (size_t)rest}, dense);
    std::vector<std::vector<size_t>> backwards(buckets.rbegin(), buckets.rend());
    auto reducer = std::make_shared<c10d::Reducer>(params, backwards, group->pg, dense, rest, false, false,
                                                   std::unordered_map<size_t, std::string>{}, first, false, false,
                                                   std::vector<int64_t>{});
    auto logger = std::make_shared<c10d::Logger>(reducer);
    reducer->set_logger(logger);
    logger->set_construction_data_and_log("clip-data", {}, -1, false, false, false);
    out = new Averager{reducer, logger};
  });
  return out;
}

void ct_reducer_free(Averager* averager) { delete averager; }

// Before the forward pass whose backward pass is to be averaged.
int ct_reducer_begin(Averager* averager) {
  return guarded([&] {
    averager->reducer->prepare_for_forward();
    averager->reducer->rebuild_buckets();
  });
}

// Before that backward pass; others accumulate into the gradients without talking to anyone.
int ct_reducer_expect(Averager* averager) {
  return guarded([&] { averager->reducer->prepare_for_backward({}); });
}
}
