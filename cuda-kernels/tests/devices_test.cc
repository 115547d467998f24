// Tests contexts on two GPUs that are used at the same time, by one thread in turns and by two: each
// computes what it computes alone. The thread's current device stays what it was. On a machine with
// one GPU there is nothing to test.

#include <functional>
#include <thread>

#include "piece.h"
#include "random/portable_math.h"

// Linked with the emulator, whose functions tell what is current; on a GPU the test does not know.
#if defined(PRECIS_EMULATED)
#include "emulation.h"
#endif

using namespace precis;

namespace {

constexpr int kSkipped = 77;
constexpr int64_t kRows = 40, kInputs = 72, kOutputs = 200, kRanks = 16;

// The context that is current for the thread, and not a device: a thread may have none.
const void* current() {
#if defined(PRECIS_EMULATED)
  CUcontext now = nullptr;
  EXPECT(cuCtxGetCurrent(&now) == CUDA_SUCCESS);
  return now;
#else
  return nullptr;
#endif
}

// As EXPECT_OK; the call must also leave the thread's current context alone.
#define EXPECT_CALL(context, call)                                         \
  do {                                                                     \
    const void* before_ = current();                                       \
    EXPECT_OK(context, call);                                              \
    EXPECT(current() == before_, "the call made another context current"); \
  } while (0)

// Some layers of a model with an adapter, in steps of one call each. Its product asks for more than
// the 48 KiB of shared memory that every kernel has, or uses wgmma, and its sum uses scratch memory.
class Layers {
 public:
  static constexpr int kPhases = 6, kTurns = 4;

  explicit Layers(precis_context* c)
      : c_(c),
        x_(c, PRECIS_FLOAT32, kRows, kInputs, false),
        weight_(c, PRECIS_FLOAT32, kInputs, 1, false),
        normed_(c, PRECIS_BFLOAT16, kRows, kInputs, false),
        y_(c, PRECIS_FLOAT32, kRows, kOutputs, false),
        sum_(c, PRECIS_FLOAT32, 1, 2, true) {
    weight_.set(normal(kInputs));
    pack(kOutputs, kInputs, &w_);
    pack(kRanks, kInputs, &a_);
    pack(kOutputs, kRanks, &b_);
  }
  ~Layers() { EXPECT_CALL(c_, precis_recording_destroy(c_, recording_)); }

  // Runs step i of kPhases * kTurns. In the second turn the operations are captured; from then on the
  // graph runs.
  void step(int i) {
    const int turn = i / kPhases;
    switch (i % kPhases) {
      case 0: {
        const std::vector<float> x = normal(kRows * kInputs);
        EXPECT_CALL(c_, precis_upload(c_, x_.data<float>(), x.data(), kRows * kInputs * 4));
        return;
      }
      case 1:
        if (turn == 0) norm();
        return;
      case 2:
        if (turn == 0) product();
        return;
      case 3:
        if (turn == 0) sum();
        if (turn != 1) return;
        EXPECT_CALL(c_, precis_record_begin(c_));
        norm();
        product();
        sum();
        EXPECT_CALL(c_, precis_record_end(c_, &recording_));
        return;
      case 4: {
        if (turn == 0) return;
        int32_t replayed = 0;
        EXPECT_CALL(c_, precis_replay(c_, recording_, &replayed));
        EXPECT(replayed == 1);
        return;
      }
      default: {
        const size_t count = results.size();
        results.resize(count + kRows * kOutputs);
        EXPECT_CALL(c_,
                    precis_download(c_, &results[count], y_.data<float>(), kRows * kOutputs * 4));
        results.push_back(static_cast<float>(*sum_.data<double>()));
      }
    }
  }

  std::vector<float> results;

 private:
  void norm() {
    const precis_rms_norm_args args = {x_, weight_.vector(), normed_, 1e-6f, 0};
    EXPECT_CALL(c_, precis_rms_norm(c_, &args));
  }
  void product() {
    precis_lora_matmul_args args = {};
    args.x = normed_;
    args.y = y_;
    args.w = w_;
    args.a = a_;
    args.b = b_;
    args.alpha = 1;
    args.segment_count = 1;
    args.segments[0] = {8, kOutputs - 16, 0, kRanks, 0.5f, 0};
    EXPECT_CALL(c_, precis_lora_matmul(c_, &args));
  }
  void sum() {
    const precis_sum_of_squares_args args = {y_.vector(), sum_.data<double>()};
    EXPECT_CALL(c_, precis_sum_of_squares(c_, &args));
  }
  std::vector<float> normal(int64_t count) {
    std::vector<float> values(static_cast<size_t>(count));
    for (float& each : values) each = random_.normal();
    return values;
  }
  void pack(int64_t outputs, int64_t inputs, precis_packed_matrix* to) {
    const std::vector<float> weight = normal(outputs * inputs);
    precis_matmul_pack_args args = {};
    args.weight_count = 1;
    args.dtype = PRECIS_BFLOAT16;
    args.weights[0] = {const_cast<float*>(weight.data()), {outputs, inputs}, 0, 2, PRECIS_FLOAT32};
    EXPECT_CALL(c_, precis_matmul_pack_size(c_, &args, &args.packed_bytes));
    packed_.push_back(
        std::make_unique<Piece>(c_, PRECIS_FLOAT32, (args.packed_bytes + 3) / 4, 1, false));
    args.packed = packed_.back()->data<void>();
    EXPECT_CALL(c_, precis_matmul_pack(c_, &args));
    *to = {args.packed, args.packed_bytes, outputs, inputs, PRECIS_BFLOAT16, 0};
  }

  precis_context* c_;
  Random random_{17};
  Piece x_, weight_, normed_, y_, sum_;
  std::vector<std::unique_ptr<Piece>> packed_;
  precis_packed_matrix w_, a_, b_;
  precis_recording* recording_ = nullptr;
};

class OnGpu {
 public:
  explicit OnGpu(int32_t index) {
    const void* before = current();
    precis_status status;
    context = create(index, &status, &why);
    EXPECT(current() == before);
    if (context != nullptr) layers = std::make_unique<Layers>(context);
  }
  OnGpu(const OnGpu&) = delete;
  ~OnGpu() {
    const void* before = current();
    layers.reset();
    precis_context_destroy(context);
    EXPECT(current() == before);
  }
  void run() {
    for (int i = 0; i < Layers::kPhases * Layers::kTurns; i++) layers->step(i);
  }

  precis_context* context = nullptr;
  std::string why;
  std::unique_ptr<Layers> layers;
};

std::vector<float> alone(int32_t index) {
  OnGpu gpu(index);
  gpu.run();
  return gpu.layers->results;
}

void test_in_turns(const std::vector<float> (&want)[2]) {
  OnGpu first(0), second(1);
  for (int i = 0; i < Layers::kPhases * Layers::kTurns; i++) {
    first.layers->step(i);
    second.layers->step(i);
  }
  EXPECT(first.layers->results == want[0] && second.layers->results == want[1]);
}

void test_in_two_threads(const std::vector<float> (&want)[2]) {
  std::vector<float> got[2];
  std::vector<std::thread> threads;
  for (int d : {0, 1}) {
    threads.emplace_back([d, &got] {
      for (int turn = 0; turn < 3; turn++) got[d] = alone(d);
    });
  }
  for (std::thread& each : threads) each.join();
  EXPECT(got[0] == want[0] && got[1] == want[1]);
}

// Memory of one context is none of the other's.
void test_strange_memory() {
  OnGpu first(0), second(1);
  Piece x(first.context, PRECIS_FLOAT32, 4, 8, false),
      y(second.context, PRECIS_FLOAT32, 4, 8, false);
  precis_add_args add = {x, y, 1, 0};
  EXPECT_REFUSED(second.context, precis_add(second.context, &add), "is not memory of this context");
  EXPECT_REFUSED(first.context, precis_add(first.context, &add), "is not memory of this context");
  float here = 0;
  EXPECT_REFUSED(first.context, precis_upload(first.context, y.data<float>(), &here, 4),
                 "upload: to");
}

#if defined(PRECIS_EMULATED)
// A program that uses GPU 1 alone has no context on GPU 0, and its thread none that is current.
void test_other_gpus_are_left_alone() {
  unsigned flags = 0;
  int active = 7;
  (void)alone(1);
  EXPECT(current() == nullptr);
  EXPECT(cuDevicePrimaryCtxGetState(0, &flags, &active) == CUDA_SUCCESS && active == 0);
  EXPECT(cuDevicePrimaryCtxGetState(1, &flags, &active) == CUDA_SUCCESS && active == 1);
  precis_status status;
  std::string text;
  EXPECT(create(8, &status, &text) == nullptr && status == PRECIS_INVALID_ARGUMENT);
  EXPECT(text == "there is no GPU 8: this machine has 2, from 0", "said: %s", text.c_str());
  EXPECT(current() == nullptr);
}
#endif

}  // namespace

int main() {
  precis_status status;
  std::string text;
  precis_context* c = create(1, &status, &text);
  if (c == nullptr) {
    std::printf("SKIPPED: %s\n", text.c_str());
    return kSkipped;
  }
  precis_context_info info;
  EXPECT_OK(c, precis_context_describe(c, &info));
  EXPECT(info.device_index == 1);
  precis_context_destroy(c);
#if defined(PRECIS_EMULATED)
  test_other_gpus_are_left_alone();
#endif

  const std::vector<float> want[2] = {alone(0), alone(1)};
  bool varies = false;
  for (float each : want[1]) varies |= each != want[1][0];
  EXPECT(varies);
  test_in_turns(want);
  test_in_two_threads(want);
  test_strange_memory();
#if defined(PRECIS_EMULATED)
  // The same in a program that has made a device current itself.
  for (int d : {0, 1}) {
    int now = 7;
    EXPECT(cudaSetDevice(d) == cudaSuccess);
    test_in_turns(want);
    EXPECT(cudaGetDevice(&now) == cudaSuccess && now == d);
  }
#endif
  return test_result();
}
