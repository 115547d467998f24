// The CUDA backend behind the C boundary: device memory, one stream, CUDA graphs and the launchers
// of kernels.h. nvcc compiles it into libprecis; a C++ compiler compiles it with emulation/ into
// the library for tests without a GPU.
//
// Nothing synchronizes with the device but synchronize, download, free and the growth of scratch
// memory; an upload, and the packing of weights whose source is not memory of this context, wait
// where both pinned buffers are on their way.

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>

#include "backend.h"
#include "cublaslt.h"
#include "cuda_check.h"
#include "current_device.h"
#include "device_memory.h"
#include "held_ops.h"
#include "kernels.h"
#include "ops/op.h"
#include "staging.h"
#include "wgmma_trial.h"

namespace precis {
namespace {

template <size_t n>
void copy_text(char (&to)[n], const char* text) {
  std::snprintf(to, n, "%s", text);
}

// Throws Error, with the reason, if there is no GPU of that index.
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
    case ProblemOp::kAttentionDecode:
      return "attention_decode";
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
    case ProblemOp::kDistillationLoss:
      return "distillation_loss";
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
    case ProblemKind::kCacheRow:
      fail(PRECIS_INVALID_ARGUMENT,
           "%s: lengths and key_starts or ancestors of row %lld name rows outside the cache", op,
           row);
    case ProblemKind::kParameter:
      fail(PRECIS_INVALID_ARGUMENT, "%s: row_rules or row_sampling has a bad value in row %lld", op,
           row);
    case ProblemKind::kOffset:
      fail(PRECIS_INVALID_ARGUMENT, "%s: offsets[%lld] is not below 2^32", op, row);
    default:
      fail(PRECIS_INVALID_ARGUMENT, "%s: number %lld of the ids or labels is outside the table", op,
           row);
  }
}

class CudaBackend final : public Backend {
 public:
  CudaBackend(int index, bool many_rows)
      : Backend(false),
        index_(index),
        memory_(context_.stream),
        held_(context_, memory_),
        staging_(context_.stream) {
    require_device(index);
    cuda_check(cudaGetDeviceProperties(&properties_, index), "cudaGetDeviceProperties");
    capability_ = 10 * properties_.major + properties_.minor;
    if (capability_ < 80) {
      fail(PRECIS_UNSUPPORTED,
           "GPU %d, %s, has compute capability %d.%d, but the kernels need 8.0 or more", index,
           properties_.name, properties_.major, properties_.minor);
    }
    device_.open(index);
    cuda_check(cudaStreamCreateWithFlags(&context_.stream, cudaStreamNonBlocking), "a stream");
    context_.multiprocessors = properties_.multiProcessorCount;
    context_.block_shared_bytes = static_cast<int64_t>(properties_.sharedMemPerBlockOptin);
    void* memory = nullptr;
    cuda_check(cudaMalloc(&memory, sizeof *context_.problem), "device memory");
    context_.problem = static_cast<unsigned long long*>(memory);
    cuda_check(cudaHostAlloc(&memory, 2 * sizeof *problem_, cudaHostAllocDefault), "pinned memory");
    problem_ = static_cast<unsigned long long*>(memory);
    problem_[1] = kNoProblem;
    clear_problem();
    held_.open();
    if (capability_ == 90) choose_wgmma(many_rows);
    if (many_rows) {
      cublaslt_ = CublasLt::find(&cublaslt_error_);
      context_.cublaslt = cublaslt_.get();
    }
    device_.leave();
  }

  ~CudaBackend() override {
    (void)device_.try_enter();  // until all other members are destroyed
    cudaStreamSynchronize(context_.stream);
    cudaFree(context_.scratch.memory);
    cudaFree(context_.problem);
    cudaFreeHost(problem_);
    cudaStreamDestroy(context_.stream);
  }

  // The current device belongs to the thread, any thread may call, and other contexts and other
  // libraries in the process set it, too.
  void enter() override { device_.enter(); }
  void leave() noexcept override { device_.leave(); }

  void describe(precis_context_info* info) const override {
    release();
    info->device = PRECIS_CUDA;
    info->device_index = index_;
    info->threads = 1;
    info->scratch_bytes = static_cast<int64_t>(context_.scratch.bytes);
    info->allocations += static_cast<int64_t>(context_.scratch.moves);
    cuda_check(cudaDriverGetVersion(&info->driver_version), "cudaDriverGetVersion");
    info->compute_capability = capability_;
    info->launches = launches_;
    info->multiprocessors = context_.multiprocessors;
    size_t free_bytes = 0, total = 0;
    cuda_check(cudaMemGetInfo(&free_bytes, &total), "cudaMemGetInfo");
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
    release();
    launches_++;
    // Reading the problem word with the same synchronization costs one more copy and no second
    // wait.
    cudaError_t error = cudaMemcpyAsync(problem_, context_.problem, sizeof *problem_,
                                        cudaMemcpyDeviceToHost, context_.stream);
    if (error == cudaSuccess) error = cudaStreamSynchronize(context_.stream);
    if (error != cudaSuccess) {
      (void)cudaGetLastError();
      fail(PRECIS_DEVICE_ERROR, "the GPU failed, at %s or before it: %s%s", last_op_,
           cudaGetErrorString(error), cuda_advice(error));
    }
    staging_.release();
    if (*problem_ != kNoProblem) {
      const unsigned long long code = *problem_;
      clear_problem();
      report_problem(code);
    }
  }

  void* allocate(size_t bytes, bool shared) override {
    release();
    const Counted counted(*this);
    return memory_.allocate(bytes, shared);
  }
  void free(void* memory, size_t) override {
    release();
    memory_.free(memory);
  }
  void upload(void* to, const void* from, size_t bytes) override {
    release();
    const Counted counted(*this);
    last_op_ = "upload";
    staging_.send(to, from, bytes, last_op_);
  }
  void download(void* to, const void* from, size_t bytes) override {
    release();
    const Counted counted(*this);
    staging_.fetch(to, from, bytes, "download", [&] { synchronize(); });
  }
  Reach reach(const void* start, size_t bytes) const override {
    return memory_.reach(start, bytes);
  }

  // A recording is a CUDA graph: between record and end_recording the stream captures its work.
  void record() override {
    release();
    cuda_check(cudaStreamBeginCapture(context_.stream, cudaStreamCaptureModeThreadLocal),
               "record_begin");
    recording_ = context_.scratch.fixed = true;
    context_.after_kernel = false;
    recorded_ = 0;
  }
  std::unique_ptr<Recording> end_recording() override {
    try {
      release();
    } catch (const Error&) {
      drop_recording();
      throw;
    }
    auto made = std::make_unique<Graph>();
    cudaGraph_t graph = nullptr;
    recording_ = context_.scratch.fixed = false;
    cuda_check(cudaStreamEndCapture(context_.stream, &graph), "record_end");
    const cudaError_t error = cudaGraphInstantiate(&made->operations, graph, 0);
    cudaGraphDestroy(graph);
    cuda_check(error, "record_end");
    made->moves = moves();
    made->launches = recorded_;
    return made;
  }
  void drop_recording() noexcept override {
    held_.drop();
    cudaGraph_t graph = nullptr;
    recording_ = context_.scratch.fixed = false;
    if (cudaStreamEndCapture(context_.stream, &graph) == cudaSuccess) cudaGraphDestroy(graph);
    (void)cudaGetLastError();
  }
  bool replay(Recording& recording) override {
    release();
    Graph& graph = static_cast<Graph&>(recording);
    if (graph.moves != moves()) return false;
    last_op_ = "a replayed recording";
    cuda_check(cudaGraphLaunch(graph.operations, context_.stream), "replay");
    launches_ += graph.launches;
    return true;
  }

  int64_t packed_bytes(int64_t outputs, int64_t inputs, int32_t dtype) const override {
    if (dtype == PRECIS_INT4) {
      fail(PRECIS_UNSUPPORTED, "int4 weights run on the CPU alone: take int8 weights on a GPU");
    }
    return cuda_packed_layout(outputs, inputs, dtype).bytes;
  }

#define PRECIS_LAUNCH(op)                              \
  void op(const precis_##op##_args& a) override {      \
    const Counted counted(*this);                      \
    last_op_ = #op;                                    \
    check(a);                                          \
    if (held_.take(a)) return;                         \
    cuda_check(op##_cuda(context_, prepared(a)), #op); \
  }
  PRECIS_FOR_EACH_OP(PRECIS_LAUNCH)
#undef PRECIS_LAUNCH

 private:
  struct Graph final : Recording {
    ~Graph() override {
      if (operations != nullptr) cudaGraphExecDestroy(operations);
    }
    cudaGraphExec_t operations = nullptr;
    uint64_t moves = 0;
    int64_t launches = 0;
  };

  // Counts what the stream is given meanwhile, or, during a capture, what the graph is.
  class Counted {
   public:
    explicit Counted(const CudaBackend& backend) : backend_(backend) {}
    Counted(const Counted&) = delete;
    ~Counted() {
      (backend_.recording_ ? backend_.recorded_ : backend_.launches_) += launches - before_;
    }

   private:
    const CudaBackend& backend_;
    const int64_t before_ = launches;
  };

  // Increases whenever memory that a graph may use is freed: then the graph is invalid.
  uint64_t moves() const { return memory_.frees() + context_.scratch.moves; }

  // Launches the operations that wait for their successor.
  void release() const {
    const Counted counted(*this);
    held_.release();
  }

  // Checks that apply to GPUs alone.
  template <class Args>
  void check(const Args&) {}
  void check(const precis_transpose_packed_args& a) {
    if (a.w.dtype != a.out.dtype) {
      fail(PRECIS_UNSUPPORTED, "transpose_packed: int8 weights are transposed on the CPU alone");
    }
  }
  void check(const precis_attention_args& a) {
    require_heads("attention", a.q, a.heads, widest(a.q.dtype, false));
  }
  void check(const precis_attention_backward_args& a) {
    const precis_tensor& q = a.forward.q;
    require_heads("attention_backward", q, a.forward.heads, widest(q.dtype, true));
  }
  void check(const precis_attention_decode_args& a) {
    require_heads("attention_decode", a.q, a.heads, kMaxHeadDim);
  }

  // Returns the launcher's arguments.
  template <class Args>
  const Args& prepared(const Args& a) {
    return a;
  }
  // Sources outside the context's memory are copied to the device first.
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
    staging_.begin(bytes, "matmul_pack");
    for (int i = 0; i < a.weight_count; i++) {
      precis_tensor& w = b.weights[i];
      if (reach(w.data, bytes_of(w)) != Reach::kNobody) continue;
      w.data = staging_.copy(w.data, bytes_of(w), "matmul_pack");
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
      cuda_check(error, "the trial of wgmma");
      return;
    }
    fail(PRECIS_DEVICE_ERROR, "the trial of wgmma failed: %s; set %s=0 to do without wgmma",
         cudaGetErrorString(error), kVariable);
  }

  int widest(int32_t dtype, bool backward) const {
    return widest_head(context_.block_shared_bytes, dtype, backward);
  }
  static void require_heads(const char* op, const precis_tensor& q, int32_t heads, int widest) {
    if (columns(q) / heads > widest) {
      fail(PRECIS_UNSUPPORTED, "%s: heads are %lld wide, but this GPU takes %d", op,
           static_cast<long long>(columns(q) / heads), widest);
    }
  }

  void clear_problem() {
    launches_++;
    cuda_check(cudaMemcpyAsync(context_.problem, problem_ + 1, sizeof *problem_,
                               cudaMemcpyHostToDevice, context_.stream),
               "the problem word");
  }

  const int index_;
  CurrentDevice device_;  // before all members that have memory of the device
  int capability_ = 0;
  cudaDeviceProp properties_;
  CudaContext context_;
  DeviceMemory memory_;
  mutable HeldOps held_;                   // released by everything that could see a difference
  unsigned long long* problem_ = nullptr;  // pinned: the code that was read, and kNoProblem
  mutable int64_t launches_ = 0;
  mutable int64_t recorded_ = 0;  // by the capture that is going on
  const char* last_op_ = "the first operation";
  std::unique_ptr<CublasLt> cublaslt_;
  std::string cublaslt_error_;
  std::string wgmma_;  // whether wgmma is used, and why
  Staging staging_;
};

}  // namespace

std::unique_ptr<Backend> make_cuda_backend(int index, bool many_rows) {
  return std::make_unique<CudaBackend>(index, many_rows);
}

}  // namespace precis
