// A GPU behind the C boundary: its memory, its stream and the launchers of kernels.h. Compiled by
// nvcc into libprecis, and as C++ with emulation/ into the library that the tests without a GPU
// use.
//
// Memory of the device is managed, so that the host can look into it, but preferred on the device
// and touched there first: pages move only when the host does look. Shared memory is pinned host
// memory in the device's address space: arrays of a few hundred numbers that the host writes for
// every step, and results that it reads.
//
// Nothing waits for the device but synchronize, allocate, free, and the packing of weights that lie
// in neither kind of memory.

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <string>

#include "backend.h"
#include "cublaslt.h"
#include "error.h"
#include "kernels.h"
#include "ops/op.h"
#include "wgmma_trial.h"

namespace precis {
namespace {

void check(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  (void)cudaGetLastError();  // what is not sticky is over
  fail(error == cudaErrorMemoryAllocation ? PRECIS_OUT_OF_MEMORY : PRECIS_DEVICE_ERROR, "%s: %s",
       what, cudaGetErrorString(error));
}

template <size_t n>
void copy_text(char (&to)[n], const char* text) {
  std::snprintf(to, n, "%s", text);
}

int attribute(cudaDeviceAttr which, int index) {
  int value = 0;
  check(cudaDeviceGetAttribute(&value, which, index), "cudaDeviceGetAttribute");
  return value;
}

// Why there is no GPU of that index; throws Error.
void require_device(int index) {
  int driver = 0, count = 0;
  if (cudaDriverGetVersion(&driver) != cudaSuccess || driver == 0) {
    fail(PRECIS_UNSUPPORTED, "there is no NVIDIA driver on this machine");
  }
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error == cudaErrorInsufficientDriver) {
    fail(PRECIS_UNSUPPORTED,
         "the NVIDIA driver supports CUDA %d.%d, but this library was built with %d.%d: update the "
         "driver",
         driver / 1000, driver % 1000 / 10, CUDART_VERSION / 1000, CUDART_VERSION % 1000 / 10);
  }
  if (error != cudaSuccess && error != cudaErrorNoDevice) {
    fail(PRECIS_UNSUPPORTED, "the NVIDIA driver does not answer: %s", cudaGetErrorString(error));
  }
  if (error == cudaErrorNoDevice || count == 0) {
    fail(PRECIS_UNSUPPORTED, "there is an NVIDIA driver, but no GPU that this process can see");
  }
  PRECIS_CHECK(index >= 0 && index < count, "there is no GPU %d: this machine has %d, from 0",
               index, count);
}

const char* name_of(ProblemOp op) {
  switch (op) {
    case ProblemOp::kEmbedding:
      return "embedding";
    case ProblemOp::kEmbeddingBackward:
      return "embedding_backward";
    case ProblemOp::kSoftmax:
      return "softmax";
    case ProblemOp::kSample:
      return "sample";
    case ProblemOp::kProcessLogits:
      return "process_logits";
    case ProblemOp::kTopK:
      return "top_k";
    case ProblemOp::kLinearCrossEntropy:
      return "linear_cross_entropy";
    case ProblemOp::kLogProbability:
      return "log_probability";
    case ProblemOp::kPpoLoss:
      return "ppo_loss";
    default:
      return "an operation";
  }
}

[[noreturn]] void report_problem(unsigned long long code) {
  const char* op = name_of(static_cast<ProblemOp>(code >> 56));
  const auto row = static_cast<long long>(code >> 8 & 0xffffffffffffull);
  switch (static_cast<ProblemKind>(code & 0xff)) {
    case ProblemKind::kNan:
      fail(PRECIS_INVALID_ARGUMENT, "%s: there is NaN in row %lld", op, row);
    case ProblemKind::kPositiveInfinity:
      fail(PRECIS_INVALID_ARGUMENT, "%s: there is infinity in row %lld", op, row);
    case ProblemKind::kNothingFinite:
      fail(PRECIS_INVALID_ARGUMENT, "%s: nothing is finite in row %lld", op, row);
    case ProblemKind::kLength:
      fail(PRECIS_INVALID_ARGUMENT, "%s: history_lengths[%lld] is beyond history_stride", op, row);
    default:
      fail(PRECIS_INVALID_ARGUMENT, "%s: number %lld of the ids or labels is outside the table", op,
           row);
  }
}

// Host memory on its way to the device: while one half is copied, the other is filled.
class Staging {
 public:
  static constexpr size_t kHalf = size_t{4} << 20;

  ~Staging() {
    for (Half& half : halves_) {
      cudaFreeHost(half.memory);
      if (half.copied != nullptr) cudaEventDestroy(half.copied);
    }
    cudaFree(target_.memory);
  }

  // The device's copy of bytes that lie anywhere; good until the next call of begin.
  void* copy(const void* from, size_t bytes, cudaStream_t stream) {
    char* to = static_cast<char*>(target_.memory) + used_;
    used_ += rounded(bytes);
    for (size_t done = 0; done < bytes; done += kHalf) {
      Half& half = halves_[next_ ^= 1];
      if (half.memory == nullptr) {
        check(cudaHostAlloc(&half.memory, kHalf, cudaHostAllocDefault), "pinned memory");
        check(cudaEventCreateWithFlags(&half.copied, cudaEventDisableTiming), "an event");
      }
      check(cudaEventSynchronize(half.copied), "matmul_pack");
      const size_t part = std::min(kHalf, bytes - done);
      std::memcpy(half.memory, static_cast<const char*>(from) + done, part);
      check(cudaMemcpyAsync(to + done, half.memory, part, cudaMemcpyHostToDevice, stream),
            "matmul_pack");
      check(cudaEventRecord(half.copied, stream), "matmul_pack");
    }
    return to;
  }
  // Room for copies of so many bytes together, each rounded.
  void begin(size_t bytes) {
    void* start = nullptr;
    check(target_.reserve(bytes, &start), "matmul_pack");
    used_ = 0;
  }
  // Weights are packed when a model is loaded; what that took is of no use later.
  void release() {
    if (target_.memory == nullptr) return;
    cudaFree(target_.memory);
    target_ = {};
  }
  static size_t rounded(size_t bytes) { return (bytes + 255) / 256 * 256; }

 private:
  struct Half {
    void* memory = nullptr;
    cudaEvent_t copied = nullptr;
  };
  Half halves_[2];
  CudaArena target_;
  size_t used_ = 0;
  int next_ = 0;
};

class CudaBackend final : public Backend {
 public:
  CudaBackend(int index, bool many_rows) : Backend(false), index_(index) {
    require_device(index);
    check(cudaGetDeviceProperties(&properties_, index), "cudaGetDeviceProperties");
    capability_ = 10 * properties_.major + properties_.minor;
    if (capability_ < 80) {
      fail(PRECIS_UNSUPPORTED,
           "GPU %d, %s, has compute capability %d.%d, but the kernels need 8.0 or more", index,
           properties_.name, properties_.major, properties_.minor);
    }
    if (attribute(cudaDevAttrConcurrentManagedAccess, index) == 0) {
      fail(PRECIS_UNSUPPORTED,
           "GPU %d, %s, cannot share managed memory with the host while it works, as under Windows "
           "or some virtual machines",
           index, properties_.name);
    }
    check(cudaSetDevice(index), "cudaSetDevice");
    check(cudaStreamCreateWithFlags(&context_.stream, cudaStreamNonBlocking), "a stream");
    context_.multiprocessors = properties_.multiProcessorCount;
    context_.block_shared_bytes = static_cast<int64_t>(properties_.sharedMemPerBlockOptin);
    void* memory = nullptr;
    check(cudaMalloc(&memory, sizeof *context_.problem), "device memory");
    context_.problem = static_cast<unsigned long long*>(memory);
    check(cudaHostAlloc(&memory, 2 * sizeof *problem_, cudaHostAllocDefault), "pinned memory");
    problem_ = static_cast<unsigned long long*>(memory);
    problem_[1] = kNoProblem;
    clear_problem();
    if (capability_ == 90) choose_wgmma(many_rows);
    if (many_rows) {
      cublaslt_ = CublasLt::find(&cublaslt_error_);
      context_.cublaslt = cublaslt_.get();
    }
  }

  ~CudaBackend() override {
    cudaSetDevice(index_);
    cudaStreamSynchronize(context_.stream);
    for (const auto& [start, piece] : pieces_) release(start, piece.shared);
    cudaFree(context_.scratch.memory);
    cudaFree(context_.problem);
    cudaFreeHost(problem_);
    cudaStreamDestroy(context_.stream);
  }

  // The device is a property of the thread, and any thread may call.
  void enter() override {
    thread_local int current = -1;
    if (current == index_) return;
    check(cudaSetDevice(index_), "cudaSetDevice");
    current = index_;
  }

  void describe(precis_context_info* info) const override {
    info->device = PRECIS_CUDA;
    info->device_index = index_;
    info->threads = 1;
    info->scratch_bytes = static_cast<int64_t>(context_.scratch.bytes);
    info->allocations += static_cast<int64_t>(context_.scratch.moves);
    check(cudaDriverGetVersion(&info->driver_version), "cudaDriverGetVersion");
    info->compute_capability = capability_;
    info->multiprocessors = context_.multiprocessors;
    size_t free_bytes = 0, total = 0;
    check(cudaMemGetInfo(&free_bytes, &total), "cudaMemGetInfo");
    info->device_bytes = static_cast<int64_t>(total);
    info->free_bytes = static_cast<int64_t>(free_bytes);
    copy_text(info->device_name, properties_.name);
    if (cublaslt_ != nullptr) {
      copy_text(info->cublaslt_version, cublaslt_->version());
      copy_text(info->cublaslt_path, cublaslt_->path());
    }
    copy_text(info->cublaslt_error, cublaslt_error_.c_str());
    std::snprintf(info->isa, sizeof info->isa, "sm_%d%s", capability_,
                  context_.wgmma != Wgmma::kOff ? "a" : "");
    if (!wgmma_.empty()) {
      std::snprintf(info->features, sizeof info->features, "wgmma (%s)", wgmma_.c_str());
    }
  }

  void synchronize() override {
    // What a kernel noted comes along: one more copy of a word, and no second wait.
    cudaError_t error = cudaMemcpyAsync(problem_, context_.problem, sizeof *problem_,
                                        cudaMemcpyDeviceToHost, context_.stream);
    if (error == cudaSuccess) error = cudaStreamSynchronize(context_.stream);
    if (error != cudaSuccess) {
      (void)cudaGetLastError();
      fail(PRECIS_DEVICE_ERROR, "the GPU failed, at %s or before it: %s", last_op_,
           cudaGetErrorString(error));
    }
    staging_.release();
    if (*problem_ != kNoProblem) {
      const unsigned long long code = *problem_;
      clear_problem();
      report_problem(code);
    }
  }

  void* allocate(size_t bytes, bool shared) override {
    void* memory = nullptr;
    const char* op = shared ? "allocate_shared" : "allocate";
    // Rounded, so that the device may read a whole vector at the end.
    const size_t room = (bytes + 255) / 256 * 256;
    if (shared) {
      check(cudaHostAlloc(&memory, room, cudaHostAllocPortable | cudaHostAllocMapped), op);
      std::memset(memory, 0, room);
    } else {
      // The driver would lend the host's memory beyond that, and move pages for ever.
      size_t left = 0, total = 0;
      check(cudaMemGetInfo(&left, &total), op);
      if (room > left) {
        fail(PRECIS_OUT_OF_MEMORY, "%s: %zu bytes, but GPU %d has %zu left", op, bytes, index_,
             left);
      }
      check(cudaMallocManaged(&memory, room, cudaMemAttachGlobal), op);
      cudaError_t error = prefer_device(memory, room);
      if (error == cudaSuccess) error = cudaMemsetAsync(memory, 0, room, context_.stream);
      if (error == cudaSuccess) error = cudaStreamSynchronize(context_.stream);
      if (error != cudaSuccess) cudaFree(memory);
      check(error, op);
    }
    pieces_[reinterpret_cast<uintptr_t>(memory)] = {bytes, shared};
    return memory;
  }

  void free(void* memory, size_t) override {
    const auto piece = pieces_.find(reinterpret_cast<uintptr_t>(memory));
    PRECIS_CHECK(piece != pieces_.end(), "free: %p was not allocated on this context", memory);
    check(cudaStreamSynchronize(context_.stream), "free");
    frees_++;
    release(piece->first, piece->second.shared);
    last_ = nullptr;
    pieces_.erase(piece);
  }

  Reach reach(const void* start, size_t bytes) const override {
    const auto at = reinterpret_cast<uintptr_t>(start);
    // Neighbouring tensors lie in one piece.
    if (last_ == nullptr || at < last_start_ || at >= last_start_ + last_->bytes) {
      auto after = pieces_.upper_bound(at);
      if (after == pieces_.begin()) return Reach::kNobody;
      --after;
      last_start_ = after->first;
      last_ = &after->second;
    }
    if (at - last_start_ > last_->bytes || bytes > last_->bytes - (at - last_start_)) {
      return Reach::kNobody;
    }
    return last_->shared ? Reach::kBoth : Reach::kDevice;
  }

  // A CUDA graph. Between record and its end the stream captures what it gets.
  void record() override {
    check(cudaStreamBeginCapture(context_.stream, cudaStreamCaptureModeThreadLocal),
          "record_begin");
    recording_ = context_.scratch.fixed = true;
  }
  std::unique_ptr<Recording> end_recording() override {
    auto made = std::make_unique<Graph>();
    cudaGraph_t graph = nullptr;
    recording_ = context_.scratch.fixed = false;
    check(cudaStreamEndCapture(context_.stream, &graph), "record_end");
    const cudaError_t error = cudaGraphInstantiate(&made->operations, graph, 0);
    cudaGraphDestroy(graph);
    check(error, "record_end");
    made->moves = moves();
    return made;
  }
  void drop_recording() noexcept override {
    cudaGraph_t graph = nullptr;
    recording_ = context_.scratch.fixed = false;
    if (cudaStreamEndCapture(context_.stream, &graph) == cudaSuccess) cudaGraphDestroy(graph);
    (void)cudaGetLastError();
  }
  bool replay(Recording& recording) override {
    Graph& graph = static_cast<Graph&>(recording);
    if (graph.moves != moves()) return false;
    last_op_ = "a replayed recording";
    check(cudaGraphLaunch(graph.operations, context_.stream), "replay");
    return true;
  }

  int64_t packed_bytes(int64_t outputs, int64_t inputs, int32_t dtype) const override {
    if (dtype == PRECIS_INT8) {
      fail(PRECIS_UNSUPPORTED, "int8 weights are for the CPU: use bfloat16 on a GPU");
    }
    return cuda_packed_layout(outputs, inputs, dtype).bytes;
  }

#define PRECIS_LAUNCH(op)                         \
  void op(const precis_##op##_args& a) override { \
    last_op_ = #op;                               \
    check(op##_cuda(context_, prepared(a)), #op); \
  }
  PRECIS_FOR_EACH_OP(PRECIS_LAUNCH)
#undef PRECIS_LAUNCH

 private:
  struct Piece {
    size_t bytes;
    bool shared;
  };
  struct Graph final : Recording {
    ~Graph() override {
      if (operations != nullptr) cudaGraphExecDestroy(operations);
    }
    cudaGraphExec_t operations = nullptr;
    uint64_t moves = 0;
  };

  // Goes up whenever memory that a recording may read goes.
  uint64_t moves() const { return frees_ + context_.scratch.moves; }

  // The arguments that a launcher gets, and what it does not take.
  template <class Args>
  const Args& prepared(const Args& a) {
    return a;
  }
  const precis_attention_args& prepared(const precis_attention_args& a) {
    require_heads("attention", a.q, a.heads);
    return a;
  }
  const precis_attention_backward_args& prepared(const precis_attention_backward_args& a) {
    require_heads("attention_backward", a.forward.q, a.forward.heads);
    return a;
  }
  const precis_attention_decode_args& prepared(const precis_attention_decode_args& a) {
    require_heads("attention_decode", a.q, a.heads);
    return a;
  }
  const precis_lora_matmul_args& prepared(const precis_lora_matmul_args& a) {
    if (a.a.outputs > kMaxLoraRanks) {
      fail(PRECIS_UNSUPPORTED, "lora_matmul: a has %lld ranks together, but a GPU takes %lld",
           static_cast<long long>(a.a.outputs), static_cast<long long>(kMaxLoraRanks));
    }
    return a;
  }
  // Sources that lie somewhere else are copied to the device first.
  precis_matmul_pack_args prepared(const precis_matmul_pack_args& a) {
    precis_matmul_pack_args b = a;
    auto bytes_of = [](const precis_tensor& t) {
      return static_cast<size_t>(((rows(t) - 1) * row_stride(t) + columns(t)) *
                                 element_bytes(t.dtype));
    };
    size_t bytes = 0;
    for (int i = 0; i < a.weight_count; i++) {
      const precis_tensor& w = a.weights[i];
      if (reach(w.data, bytes_of(w)) == Reach::kNobody) bytes += Staging::rounded(bytes_of(w));
    }
    if (bytes == 0) return b;
    staging_.begin(bytes);
    for (int i = 0; i < a.weight_count; i++) {
      precis_tensor& w = b.weights[i];
      if (reach(w.data, bytes_of(w)) != Reach::kNobody) continue;
      w.data = staging_.copy(w.data, bytes_of(w), context_.stream);
    }
    return b;
  }

  void choose_wgmma(bool many_rows) {
    constexpr const char* kVariable = "PRECIS_WGMMA";
    const char* wish = std::getenv(kVariable);
    if (wish != nullptr && std::strcmp(wish, "0") == 0) {
      wgmma_ = "not used: PRECIS_WGMMA is 0";
      return;
    }
    const cudaError_t error = precis::choose_wgmma(context_, many_rows, &wgmma_);
    if (error == cudaSuccess || error == cudaErrorMemoryAllocation) {
      check(error, "the trial of wgmma");
      return;
    }
    fail(PRECIS_DEVICE_ERROR, "the trial of wgmma failed: %s; set %s=0 to do without wgmma",
         cudaGetErrorString(error), kVariable);
  }

  static void require_heads(const char* op, const precis_tensor& q, int32_t heads) {
    if (columns(q) / heads > kMaxHeadDim) {
      fail(PRECIS_UNSUPPORTED, "%s: heads are %lld wide, but a GPU takes %d", op,
           static_cast<long long>(columns(q) / heads), kMaxHeadDim);
    }
  }

  cudaError_t prefer_device(void* memory, size_t bytes) {
#if CUDART_VERSION >= 13000
    cudaMemLocation where = {};
    where.type = cudaMemLocationTypeDevice;
    where.id = index_;
#else
    const int where = index_;
#endif
    return cudaMemAdvise(memory, bytes, cudaMemAdviseSetPreferredLocation, where);
  }

  static void release(uintptr_t start, bool shared) {
    void* memory = reinterpret_cast<void*>(start);
    shared ? cudaFreeHost(memory) : cudaFree(memory);
  }

  void clear_problem() {
    check(cudaMemcpyAsync(context_.problem, problem_ + 1, sizeof *problem_, cudaMemcpyHostToDevice,
                          context_.stream),
          "the problem word");
  }

  const int index_;
  int capability_ = 0;
  cudaDeviceProp properties_;
  CudaContext context_;
  unsigned long long* problem_ = nullptr;  // pinned: what was read, and kNoProblem
  const char* last_op_ = "the first operation";
  std::unique_ptr<CublasLt> cublaslt_;
  std::string cublaslt_error_;
  std::string wgmma_;  // whether it is used, and why
  Staging staging_;
  std::map<uintptr_t, Piece> pieces_;
  uint64_t frees_ = 0;
  mutable const Piece* last_ = nullptr;
  mutable uintptr_t last_start_ = 0;
};

}  // namespace

std::unique_ptr<Backend> make_cuda_backend(int index, bool many_rows) {
  return std::make_unique<CudaBackend>(index, many_rows);
}

}  // namespace precis
