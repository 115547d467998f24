// The trial of wgmma_trial.h: products of more than one tile, with more steps than the ring has
// stages, by both kernels.
#include <cmath>
#include <cstring>
#include <vector>

#include "kernels.h"
#include "random/philox.h"
#include "wgmma_trial.h"

namespace precis {
namespace {

constexpr int64_t kRows = 150, kOutputs = 140, kInputs = 328, kRanks = 24;

// Copies in the order of the stream, which does not wait for the default stream, and waits: the
// host's memory is pageable.
cudaError_t copy(CudaContext& context, void* to, const void* from, size_t bytes,
                 cudaMemcpyKind kind) {
  PRECIS_RETURN_IF_ERROR(cudaMemcpyAsync(to, from, bytes, kind, context.stream));
  return cudaStreamSynchronize(context.stream);
}

// Device memory with an owner.
class Memory {
 public:
  ~Memory() { cudaFree(start_); }
  Memory() = default;
  Memory(const Memory&) = delete;

  cudaError_t allocate(size_t bytes) { return cudaMalloc(&start_, bytes); }
  // Fills the memory with numbers of many magnitudes, so that sums of their products round, and
  // with zeros outside inside_rows x inside_columns.
  cudaError_t fill(CudaContext& context, int64_t rows, int64_t columns, int64_t inside_rows,
                   int64_t inside_columns, uint32_t numbers_of) {
    std::vector<Bf16> numbers(static_cast<size_t>(rows * columns));
    for (int64_t i = 0; i < rows * columns; i++) {
      if (i / columns >= inside_rows || i % columns >= inside_columns) continue;
      const uint32_t random =
          philox4x32_10({{static_cast<uint32_t>(i), numbers_of, 0, 0}}, 0, 0).word[0];
      // A sign, an exponent of -7 to 0 and seven bits.
      const uint32_t exponent = 120 + (random >> 8) % 8;
      numbers[static_cast<size_t>(i)].bits =
          static_cast<uint16_t>((random & 0x807f) | exponent << 7);
    }
    const size_t bytes = numbers.size() * sizeof(Bf16);
    PRECIS_RETURN_IF_ERROR(allocate(bytes));
    return copy(context, start_, numbers.data(), bytes, cudaMemcpyHostToDevice);
  }
  void* start() const { return start_; }

 private:
  void* start_ = nullptr;
};

struct Weight {
  Memory memory;
  int64_t outputs, inputs;
  CudaPackedLayout layout = cuda_packed_layout(outputs, inputs, PRECIS_BFLOAT16);

  cudaError_t fill(CudaContext& context, uint32_t numbers_of) {
    return memory.fill(context, layout.rows, layout.stride, outputs, inputs, numbers_of);
  }
  precis_packed_matrix packed() const {
    return {memory.start(), layout.bytes, outputs, inputs, PRECIS_BFLOAT16, 0};
  }
};

// The results of a product: y, followed by down.
constexpr int64_t kResults = kRows * (kOutputs + kRanks);

cudaError_t multiply(CudaContext& context, precis_lora_matmul_args args, std::vector<float>* got) {
  Memory results;
  PRECIS_RETURN_IF_ERROR(results.allocate(kResults * sizeof(float)));
  // NaN shows elements that are not written.
  std::vector<float> nothing(kResults, NAN);
  PRECIS_RETURN_IF_ERROR(copy(context, results.start(), nothing.data(), kResults * sizeof(float),
                              cudaMemcpyHostToDevice));
  auto* y = static_cast<float*>(results.start());
  args.y = {y, {kRows, kOutputs}, 0, 2, PRECIS_FLOAT32};
  args.down = {y + kRows * kOutputs, {kRows, kRanks}, 0, 2, PRECIS_FLOAT32};
  PRECIS_RETURN_IF_ERROR(lora_matmul_cuda(context, args));
  got->resize(kResults);
  return copy(context, got->data(), results.start(), kResults * sizeof(float),
              cudaMemcpyDeviceToHost);
}

cudaError_t compare(CudaContext& context, bool* right, bool* same_bits) {
  Memory x, z;
  Weight w{{}, kOutputs, kInputs}, a{{}, kRanks, kInputs}, b{{}, kOutputs, kRanks};
  PRECIS_RETURN_IF_ERROR(x.fill(context, kRows, kInputs, kRows, kInputs, 0));
  PRECIS_RETURN_IF_ERROR(z.fill(context, kRows, kInputs, kRows, kInputs, 1));
  PRECIS_RETURN_IF_ERROR(w.fill(context, 2));
  PRECIS_RETURN_IF_ERROR(a.fill(context, 3));
  PRECIS_RETURN_IF_ERROR(b.fill(context, 4));
  *right = *same_bits = true;
  for (bool separate : {false, true}) {
    precis_lora_matmul_args args = {};
    args.x = {x.start(), {kRows, kInputs}, 0, 2, PRECIS_BFLOAT16};
    if (separate) args.lora_x = {z.start(), {kRows, kInputs}, 0, 2, PRECIS_BFLOAT16};
    args.w = w.packed();
    args.a = a.packed();
    args.b = b.packed();
    args.segment_count = 1;
    args.segments[0] = {0, kOutputs, 0, kRanks, 0.5f, 0};
    args.alpha = 1;
    std::vector<float> want, got;
    context.wgmma = Wgmma::kOff;
    PRECIS_RETURN_IF_ERROR(multiply(context, args, &want));
    context.wgmma = Wgmma::kTrial;
    PRECIS_RETURN_IF_ERROR(multiply(context, args, &got));
    *same_bits &= std::memcmp(want.data(), got.data(), kResults * sizeof(float)) == 0;
    double difference = 0, size = 0;
    for (size_t i = 0; i < want.size(); i++) {
      difference += (double{want[i]} - got[i]) * (double{want[i]} - got[i]);
      size += double{want[i]} * want[i];
    }
    // t is rounded to bfloat16, and the two kernels may round it to different neighbors.
    *right &= std::sqrt(difference) <= 1e-3 * std::sqrt(size);
  }
  return cudaSuccess;
}

}  // namespace

cudaError_t choose_wgmma(CudaContext& context, bool many_rows, std::string* why) {
  bool right = false, same_bits = false;
  const cudaError_t error = compare(context, &right, &same_bits);
  context.wgmma = Wgmma::kOff;
  PRECIS_RETURN_IF_ERROR(error);
  if (!right) {
    *why = "not used: a trial gave wrong results";
  } else if (same_bits) {
    context.wgmma = Wgmma::kManyRows;
    *why = "used for many rows";
  } else if (many_rows) {
    context.wgmma = Wgmma::kAlways;
    *why = "used for every number of rows: it rounds differently from mma.sync";
  } else {
    *why = "not used: it rounds differently from mma.sync, which computes few rows";
  }
  return cudaSuccess;
}

}  // namespace precis
