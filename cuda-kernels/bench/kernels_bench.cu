// What each kernel takes on this GPU: the median of repeats between events, with everything that it
// reads out of L2, and the 20th and 80th percentiles; as bandwidth of the bytes that it has to move
// and as floating-point operations; and the share of what a copy of 1 GiB reaches here. T5-base's
// shapes. Results are not looked at: label gpu of the tests does that, on the same objects.
//
//   kernels_bench [repeats]

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cublaslt.h"
#include "kernels.h"
#include "machine.h"

using namespace precis;

namespace {

void check(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  std::fprintf(stderr, "%s: %s\n", what, cudaGetErrorString(error));
  std::exit(1);
}

constexpr size_t kFlushBytes = size_t{256} << 20;  // more than any L2

__global__ void fill_kernel(float* x, int64_t n, uint32_t seed, float scale) {
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n;
       i += int64_t{gridDim.x} * blockDim.x) {
    uint32_t h = (static_cast<uint32_t>(i) + seed) * 2654435761u;
    h ^= h >> 15;
    h *= 2246822519u;
    h ^= h >> 13;
    x[i] = (static_cast<float>(h) * 0x1p-31f - 1.0f) * scale;
  }
}

class Bench {
 public:
  explicit Bench(int repeats) : repeats_(repeats) {
    std::string name;
    if (!open_machine(&context_, &name)) {
      std::fprintf(stderr, "no CUDA device: %s\n", name.c_str());
      std::exit(77);
    }
    check(cudaStreamCreate(&context_.stream), "stream");
    check(cudaMalloc(reinterpret_cast<void**>(&context_.problem), 8), "cudaMalloc");
    check(cudaMalloc(&flush_, kFlushBytes), "cudaMalloc");
    check(cudaEventCreate(&start_), "event");
    check(cudaEventCreate(&stop_), "event");
    std::printf("%s, %d multiprocessors\n", name.c_str(), context_.multiprocessors);
    void* copy[2];
    constexpr size_t kCopy = size_t{1} << 30;
    for (void*& p : copy) check(cudaMalloc(&p, kCopy), "cudaMalloc");
    const double us = median([&] {
      return cudaMemcpyAsync(copy[1], copy[0], kCopy, cudaMemcpyDeviceToDevice, context_.stream);
    })[1];
    bandwidth_ = 2e-3 * kCopy / us;
    for (void* p : copy) cudaFree(p);
    std::printf("copy %.0f GB/s\n\n%-44s %9s %9s %9s %8s %6s %9s\n", bandwidth_, "", "p20 us",
                "median", "p80", "GB/s", "share", "TFLOP/s");
  }

  CudaContext& context() { return context_; }

  precis_tensor tensor(int32_t dtype, std::vector<int64_t> dims, float scale = 1) {
    precis_tensor t = {};
    t.rank = static_cast<int32_t>(dims.size());
    t.dtype = dtype;
    int64_t n = 1;
    for (size_t i = 0; i < dims.size(); i++) n *= t.dims[i] = dims[i];
    const size_t bytes = static_cast<size_t>(n) * (dtype == PRECIS_BFLOAT16 ? 2 : 4);
    check(cudaMalloc(&t.data, bytes), "cudaMalloc");
    precis_tensor values = t;
    values.dtype = PRECIS_FLOAT32;
    if (dtype == PRECIS_BFLOAT16) {
      check(cudaMalloc(&values.data, static_cast<size_t>(n) * 4), "cudaMalloc");
    }
    fill_kernel<<<1024, 256, 0, context_.stream>>>(static_cast<float*>(values.data), n, seed_++,
                                                   scale);
    if (dtype == PRECIS_BFLOAT16) {
      check(convert_cuda(context_, {values, t}), "convert");
      check(cudaStreamSynchronize(context_.stream), "convert");
      cudaFree(values.data);
    }
    check(cudaGetLastError(), "fill");
    return t;
  }
  template <class T>
  T* array(const std::vector<T>& values) {
    T* p = nullptr;
    check(cudaMalloc(reinterpret_cast<void**>(&p), values.size() * sizeof(T)), "cudaMalloc");
    check(cudaMemcpy(p, values.data(), values.size() * sizeof(T), cudaMemcpyHostToDevice), "copy");
    return p;
  }
  precis_packed_matrix weight(int64_t outputs, int64_t inputs, float scale) {
    const CudaPackedLayout layout = cuda_packed_layout(outputs, inputs, PRECIS_BFLOAT16);
    precis_matmul_pack_args args = {};
    args.weights[0] = tensor(PRECIS_FLOAT32, {outputs, inputs}, scale);
    args.weight_count = 1;
    args.dtype = PRECIS_BFLOAT16;
    args.packed_bytes = layout.bytes;
    check(cudaMalloc(&args.packed, static_cast<size_t>(layout.bytes)), "cudaMalloc");
    check(matmul_pack_cuda(context_, args), "matmul_pack");
    check(cudaStreamSynchronize(context_.stream), "matmul_pack");
    cudaFree(args.weights[0].data);
    return {args.packed, layout.bytes, outputs, inputs, PRECIS_BFLOAT16, 0};
  }

  // Returns the median in microseconds.
  double row(const std::string& name, double bytes, double operations,
             const std::function<cudaError_t()>& run) {
    const std::vector<double> us = median(run);
    std::printf("%-44s %9.2f %9.2f %9.2f %8.0f %5.0f%% %9.1f\n", name.c_str(), us[0], us[1], us[2],
                1e-3 * bytes / us[1], 1e-1 * bytes / us[1] / bandwidth_, 1e-6 * operations / us[1]);
    return us[1];
  }

 private:
  std::vector<double> median(const std::function<cudaError_t()>& run) {
    std::vector<double> us;
    for (int i = -3; i < repeats_; i++) {
      check(cudaMemsetAsync(flush_, i & 255, kFlushBytes, context_.stream), "flush");
      check(cudaEventRecord(start_, context_.stream), "event");
      check(run(), "launch");
      check(cudaEventRecord(stop_, context_.stream), "event");
      check(cudaEventSynchronize(stop_), "run");
      float ms = 0;
      check(cudaEventElapsedTime(&ms, start_, stop_), "event");
      if (i >= 0) us.push_back(1e3 * static_cast<double>(ms));
    }
    std::sort(us.begin(), us.end());
    return {us[us.size() / 5], us[us.size() / 2], us[us.size() * 4 / 5]};
  }

  CudaContext context_;
  int repeats_;
  void* flush_ = nullptr;
  cudaEvent_t start_, stop_;
  double bandwidth_ = 0;
  uint32_t seed_ = 1;
};

void rows_and_elements(Bench& b) {
  const int64_t m = 8192, d = 768, f = 2048;
  const precis_tensor x = b.tensor(PRECIS_FLOAT32, {m, d}), y = b.tensor(PRECIS_BFLOAT16, {m, d});
  const precis_tensor weight = b.tensor(PRECIS_FLOAT32, {d}), dx = b.tensor(PRECIS_FLOAT32, {m, d});
  const precis_tensor wide = b.tensor(PRECIS_BFLOAT16, {m, 2 * f});
  const precis_tensor gated = b.tensor(PRECIS_BFLOAT16, {m, f});
  const double n = static_cast<double>(m * d);
  b.row("rms_norm 8192x768", n * 6, 0, [&] {
    return rms_norm_cuda(b.context(), {x, weight, y, 1e-6f, 0});
  });
  b.row("rms_norm_backward 8192x768", n * 10, 0, [&] {
    return rms_norm_backward_cuda(b.context(), {x, weight, y, dx, {}, 1e-6f, 0});
  });
  b.row("gelu gated 8192x2048", static_cast<double>(m * f) * 6, 0, [&] {
    return activation_cuda(b.context(), {wide, gated, PRECIS_GELU_TANH, 1});
  });
  b.row("dropout 8192x768", n * 6, 0, [&] {
    return dropout_cuda(b.context(), {x, y, 1, 1, 0.1f, 0});
  });
  const int64_t p = 10'000'000;
  const precis_tensor w = b.tensor(PRECIS_FLOAT32, {p}), g = b.tensor(PRECIS_FLOAT32, {p});
  const precis_tensor mean = b.tensor(PRECIS_FLOAT32, {p}, 0);
  const precis_tensor variance = b.tensor(PRECIS_FLOAT32, {p}, 0);
  b.row("adam 10M", 28e7, 0, [&] {
    return adam_cuda(b.context(),
                     {w, g, mean, variance, 1, 1e-4f, 0.9f, 0.999f, 1e-8f, 0, 1, 1, 0});
  });
  double* sum = b.array<double>({0});
  b.row("sum_of_squares 10M", 4e7, 0, [&] { return sum_of_squares_cuda(b.context(), {w, sum}); });
}

void sampling(Bench& b) {
  const int64_t v = 32128;
  for (int64_t m : {1, 32, 128}) {
    precis_sample_args args = {};
    args.logits = b.tensor(PRECIS_FLOAT32, {m, v}, 12);
    args.rules.repetition_penalty = 1;
    args.streams = b.array(std::vector<uint64_t>(m, 1));
    args.offsets = b.array(std::vector<uint64_t>(m, 1));
    args.tokens = b.array(std::vector<int32_t>(m));
    args.temperature = 0.9f;
    const double bytes = static_cast<double>(m * v) * 4;
    const std::string of = " of " + std::to_string(m) + " rows of 32128";
    for (bool warped : {false, true}) {
      args.top_k = warped ? 50 : 0;
      args.top_p = warped ? 0.9f : 1;
      b.row((warped ? "sample, top-k and top-p," : "sample") + of, bytes, 0,
            [&] { return sample_cuda(b.context(), args); });
    }
    const precis_softmax_args softmax = {args.logits, args.logits, 1, 0};
    b.row("log-softmax" + of, 2 * bytes, 0, [&] { return softmax_cuda(b.context(), softmax); });
  }
}

void attentions(Bench& b) {
  const int32_t heads = 12, length = 512;
  const int64_t inner = 768;
  const precis_tensor bias = b.tensor(PRECIS_FLOAT32, {32, heads});
  for (int64_t m : {1, 32, 128}) {
    precis_attention_decode_args args = {};
    args.q = b.tensor(PRECIS_BFLOAT16, {m, inner}, 0.3f);
    args.k_cache = b.tensor(PRECIS_BFLOAT16, {m * length, inner}, 0.3f);
    args.v_cache = b.tensor(PRECIS_BFLOAT16, {m * length, inner});
    args.out = b.tensor(PRECIS_BFLOAT16, {m, inner});
    std::vector<int32_t> starts;
    for (int64_t r = 0; r < m; r++) starts.push_back(static_cast<int32_t>(r * length));
    args.key_starts = b.array(starts);
    args.lengths = b.array(std::vector<int32_t>(m, length));
    args.heads = heads;
    args.max_distance = 128;
    args.scale = 1;
    b.row("attention_decode " + std::to_string(m) + " rows, 512 keys",
          static_cast<double>(m * length * inner) * 4, 0,
          [&] { return attention_decode_cuda(b.context(), args); });
  }
  const int32_t sequences = 16;
  std::vector<int32_t> offsets;
  for (int32_t s = 0; s <= sequences; s++) offsets.push_back(s * length);
  precis_attention_args args = {};
  args.q = b.tensor(PRECIS_BFLOAT16, {sequences * length, inner}, 0.3f);
  args.k = b.tensor(PRECIS_BFLOAT16, {sequences * length, inner}, 0.3f);
  args.v = b.tensor(PRECIS_BFLOAT16, {sequences * length, inner});
  args.out = b.tensor(PRECIS_BFLOAT16, {sequences * length, inner});
  args.bias = bias;
  args.query_offsets = args.key_offsets = b.array(offsets);
  args.sequences = sequences;
  args.heads = heads;
  args.bidirectional = 1;
  args.max_distance = 128;
  args.scale = 1;
  const double tokens = static_cast<double>(sequences) * length;
  b.row("attention 16x512, bias", tokens * inner * 8, 4.0 * tokens * length * inner,
        [&] { return attention_cuda(b.context(), args); });
}

// A training step's: the source's own, the target's own, and from target to source.
void attention_gradients(Bench& b) {
  const int32_t heads = 12, sequences = 8;
  const int64_t inner = 768;
  const struct {
    const char* name;
    int32_t queries, keys;
    bool causal, bias;
  } shapes[] = {{"encoder 8x256, bias", 256, 256, false, true},
                {"decoder 8x64, bias", 64, 64, true, true},
                {"cross 8x64 on 256", 64, 256, false, false}};
  for (const auto& s : shapes) {
    std::vector<int32_t> query_offsets, key_offsets;
    for (int32_t i = 0; i <= sequences; i++) {
      query_offsets.push_back(i * s.queries);
      key_offsets.push_back(i * s.keys);
    }
    const int64_t m = sequences * s.queries, n = sequences * s.keys;
    precis_attention_backward_args args = {};
    precis_attention_args& f = args.forward;
    f.q = b.tensor(PRECIS_BFLOAT16, {m, inner}, 0.3f);
    f.k = b.tensor(PRECIS_BFLOAT16, {n, inner}, 0.3f);
    f.v = b.tensor(PRECIS_BFLOAT16, {n, inner});
    f.out = b.tensor(PRECIS_BFLOAT16, {m, inner});
    f.log_sum_exp = b.tensor(PRECIS_FLOAT32, {m, heads});
    if (s.bias) f.bias = b.tensor(PRECIS_FLOAT32, {32, heads});
    f.query_offsets = b.array(query_offsets);
    f.key_offsets = b.array(key_offsets);
    f.sequences = sequences;
    f.heads = heads;
    f.causal = s.causal;
    f.bidirectional = !s.causal;
    f.max_distance = 128;
    f.scale = 1;
    args.dout = b.tensor(PRECIS_BFLOAT16, {m, inner});
    args.dq = b.tensor(PRECIS_BFLOAT16, {m, inner});
    args.dk = b.tensor(PRECIS_BFLOAT16, {n, inner});
    args.dv = b.tensor(PRECIS_BFLOAT16, {n, inner});
    // Five products, of those pairs that see each other.
    const double pairs = static_cast<double>(m) * s.keys / (s.causal ? 2 : 1);
    const double rows = static_cast<double>(m + n) * static_cast<double>(inner);
    const std::string name = std::string("attention ") + s.name;
    b.row(name, rows * 4, 4 * pairs * static_cast<double>(inner),
          [&] { return attention_cuda(b.context(), f); });
    const auto backward = [&] { return attention_backward_cuda(b.context(), args); };
    b.row("  its gradients", rows * 8, 10 * pairs * static_cast<double>(inner), backward);
    f.dropout = 0.1f;
    b.row("  with dropout", rows * 8, 10 * pairs * static_cast<double>(inner), backward);
    if (!s.bias) continue;
    args.dbias = b.tensor(PRECIS_FLOAT32, {32, heads}, 0);
    b.row("  with dropout and dbias", rows * 8, 10 * pairs * static_cast<double>(inner), backward);
  }
}

// Beside each product its own without adapters, and cuBLASLt's where there is one: what the fusion
// costs.
void products(Bench& b) {
  std::string why;
  const std::unique_ptr<CublasLt> cublaslt = CublasLt::find(&why);
  if (cublaslt == nullptr) std::printf("no products by cuBLASLt: %s\n", why.c_str());
  const struct {
    int64_t m, n, k;
  } shapes[] = {{8192, 768, 768},  {8192, 2304, 768}, {8192, 4096, 768},
                {8192, 768, 2048}, {32, 768, 768},    {1, 2304, 768}};
  for (const auto& s : shapes) {
    const precis_tensor x = b.tensor(PRECIS_BFLOAT16, {s.m, s.k});
    const precis_tensor y = b.tensor(PRECIS_BFLOAT16, {s.m, s.n});
    const precis_packed_matrix w = b.weight(s.n, s.k, 0.03f);
    const std::string name =
        std::to_string(s.m) + "x" + std::to_string(s.n) + "x" + std::to_string(s.k);
    const double bytes = 2.0 * static_cast<double>(s.m * s.k + s.n * s.k + s.m * s.n);
    const double operations = 2.0 * static_cast<double>(s.m) * static_cast<double>(s.n * s.k);
    const double frozen = b.row("matmul " + name, bytes, operations, [&] {
      return matmul_cuda(b.context(), {x, w, y, 1, 0});
    });
    double library = 0;
    if (cublaslt != nullptr) {
      b.context().cublaslt = cublaslt.get();
      library = b.row("cuBLASLt " + name, bytes, operations, [&] {
        return matmul_cuda(b.context(), {x, w, y, 1, 0});
      });
      b.context().cublaslt = nullptr;
    }
    for (int64_t ranks : {16, 32, 64}) {
      precis_lora_matmul_args args = {};
      args.x = x;
      args.w = w;
      args.a = b.weight(ranks, s.k, 0.03f);
      args.b = b.weight(s.n, ranks, 0.03f);
      args.y = y;
      args.segments[0] = {0, s.n, 0, ranks, 1, 0};
      args.segment_count = 1;
      args.alpha = 1;
      const double low = 2.0 * static_cast<double>(ranks * (s.k + s.n));
      const double us = b.row("lora_matmul " + name + " rank " + std::to_string(ranks), bytes + low,
                              operations + low * static_cast<double>(s.m),
                              [&] { return lora_matmul_cuda(b.context(), args); });
      std::printf("%44s %.2fx the product alone", "", us / frozen);
      if (cublaslt != nullptr) std::printf(", %.2fx cuBLASLt's", us / library);
      std::printf("\n");
    }
  }
}

// The losses over the vocabulary. A product over all of w for the logits, one for each gradient; w
// is read for each of them and dw read and written.
void losses(Bench& b) {
  const int64_t v = 32128, d = 768;
  const precis_packed_matrix w = b.weight(v, d, 0.03f), w_transposed = b.weight(d, v, 0.03f);
  const precis_tensor dw = b.tensor(PRECIS_FLOAT32, {v, d});
  for (int64_t m : {8, 512}) {
    const precis_tensor x = b.tensor(PRECIS_BFLOAT16, {m, d});
    const precis_tensor reference_x = b.tensor(PRECIS_BFLOAT16, {m, d});
    const precis_tensor dx = b.tensor(PRECIS_FLOAT32, {m, d});
    std::vector<int32_t> ids;
    for (int64_t i = 0; i < m; i++) ids.push_back(static_cast<int32_t>(i * 7919 % v));
    precis_tensor labels = b.tensor(PRECIS_FLOAT32, {m});
    labels.data = b.array(ids);
    labels.dtype = PRECIS_INT32;
    std::vector<precis_tensor> rows;
    for (int i = 0; i < 9; i++) rows.push_back(b.tensor(PRECIS_FLOAT32, {m}, 0.1f));
    const double product = 2.0 * static_cast<double>(m) * static_cast<double>(v * d);
    const double weight = 2.0 * static_cast<double>(v * d);
    const double x_bytes = 2.0 * static_cast<double>(m * d), dx_bytes = 2 * x_bytes;
    const std::string shape = std::to_string(m) + "x32128x768";

    const precis_tensor y = b.tensor(PRECIS_BFLOAT16, {m, v});
    b.row("matmul " + shape, weight + x_bytes + 2.0 * static_cast<double>(m * v), product, [&] {
      return matmul_cuda(b.context(), {x, w, y, 1, 0});
    });

    precis_log_probability_args p = {};
    p.x = x;
    p.w = w;
    p.labels = labels;
    p.log_probabilities = rows[0];
    p.entropies = rows[1];
    p.scale = 1;
    b.row("log_probability, entropy " + shape, weight + x_bytes, product,
          [&] { return log_probability_cuda(b.context(), p); });
    p.reference_x = reference_x;
    p.reference_w = w;
    p.divergences = rows[2];
    b.row("log_probability, divergence " + shape, weight + 2 * x_bytes, 2 * product,
          [&] { return log_probability_cuda(b.context(), p); });

    precis_linear_cross_entropy_args e = {};
    e.x = x;
    e.w = w;
    e.w_transposed = w_transposed;
    e.labels = labels;
    e.losses = rows[0];
    e.scale = e.grad_scale = 1;
    e.label_smoothing = 0.1f;
    e.dx = dx;
    b.row("linear_cross_entropy, dx " + shape, 2 * weight + x_bytes + dx_bytes, 2 * product,
          [&] { return linear_cross_entropy_cuda(b.context(), e); });
    e.dw = dw;
    b.row("linear_cross_entropy, dx, dw " + shape, 6 * weight + x_bytes + dx_bytes, 3 * product,
          [&] { return linear_cross_entropy_cuda(b.context(), e); });

    precis_ppo_loss_args l = {};
    l.x = x;
    l.w = w;
    l.w_transposed = w_transposed;
    l.actions = labels;
    l.weights = rows[0];
    l.old_log_probabilities = rows[1];
    l.advantages = rows[2];
    l.reference_log_probabilities = rows[3];
    l.values = rows[4];
    l.old_values = l.returns = rows[5];
    l.log_probabilities = rows[6];
    l.entropies = rows[7];
    l.policy_losses = rows[8];
    l.dx = dx;
    l.scale = 1;
    l.clip_range_low = l.clip_range_high = l.clip_range_value = 0.2f;
    l.entropy_coefficient = l.kl_coefficient = 0.01f;
    b.row("ppo_loss, dx " + shape, 2 * weight + x_bytes + dx_bytes, 2 * product,
          [&] { return ppo_loss_cuda(b.context(), l); });
  }
}

}  // namespace

int main(int argc, char** argv) {
  const int repeats = argc > 1 ? std::atoi(argv[1]) : 50;
  Bench bench(repeats < 5 ? 5 : repeats);
  rows_and_elements(bench);
  sampling(bench);
  attentions(bench);
  attention_gradients(bench);
  products(bench);
  losses(bench);
  return 0;
}
