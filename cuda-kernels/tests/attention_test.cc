#include "ops/attention.h"

#include "attention_cases.h"
#include "device_test.h"
#include "matmul_cases.h"

using namespace precis;

namespace {

// With bfloat16 operands the probabilities are rounded to bfloat16, too.
double absolute(int32_t dtype) { return dtype == PRECIS_BFLOAT16 ? 8e-3 : 4e-6; }

// A problem's inputs in device memory.
struct DeviceInputs {
  explicit DeviceInputs(const Inputs& in)
      : query_offsets(in.query_offsets), key_offsets(in.key_offsets), args(in.args) {
    for (const GuardedTensor& t : in.memory) {
      memory.push_back(std::make_unique<OnDevice>(t));
      const precis_tensor host = t, device = *memory.back();
      for (precis_tensor* a : {&args.q, &args.k, &args.v, &args.bias, &args.dropout_rows}) {
        const auto at = static_cast<char*>(a->data) - reinterpret_cast<char*>(t.memory());
        if (a->data == nullptr || at < 0 || at >= static_cast<int64_t>(t.bytes())) continue;
        const auto start = static_cast<char*>(host.data) - reinterpret_cast<char*>(t.memory());
        a->data = static_cast<char*>(device.data) - start + at;
      }
    }
    args.query_offsets = query_offsets;
    args.key_offsets = key_offsets;
  }

  std::vector<std::unique_ptr<OnDevice>> memory;
  DeviceArray<int32_t> query_offsets, key_offsets;
  precis_attention_args args;
};

std::string name_of(const TestDevice& device, const Problem& p) {
  return std::string(device.name()) + " head_dim " + std::to_string(p.head_dim) +
         (p.dtype == PRECIS_BFLOAT16 ? " bf16" : " f32") + (p.causal ? " causal" : "") +
         (p.fused ? " fused" : "") + (p.dropout > 0 ? " dropout" : "");
}

void check(TestDevice& device, const Problem& p, Random& random) {
  Inputs in(p, random);
  DeviceInputs on(in);
  const int64_t inner = p.heads * p.head_dim, queries = in.query_offsets.back();
  GuardedTensor out(p.out_dtype, {queries, inner}, 3, 1), want(p.out_dtype, {queries, inner});
  GuardedTensor logs(PRECIS_FLOAT32, {queries, p.heads}, 2, 1);
  GuardedTensor want_logs(PRECIS_FLOAT32, {queries, p.heads});
  OnDevice out_(out), logs_(logs);
  on.args.out = out_;
  on.args.log_sum_exp = logs_;
  EXPECT_RUN(device, attention_cuda(device.context(), on.args));
  out_.download();
  logs_.download();
  in.args.out = want;
  in.args.log_sum_exp = want_logs;
  attention_ref(in.args);
  const std::string what = name_of(device, p);
  expect_close(out, want, rounding(p.out_dtype), absolute(p.dtype) / (1 - p.dropout), what.c_str());
  expect_close(logs, want_logs, 2e-6, 6e-6, (what + ": log_sum_exp").c_str());
}

// A sequence is bitwise identical to the same sequence alone.
void check_alone(TestDevice& device, int32_t dtype, Random& random) {
  Problem p;
  p.lengths = {{17, 17}, {0, 3}, {70, 70}, {1, 1}, {64, 64}, {2, 2}};
  p.dtype = dtype;
  p.heads = 2;
  p.head_dim = 16;
  p.causal = true;
  Inputs in(p, random);
  DeviceInputs on(in);
  const int64_t inner = p.heads * p.head_dim;
  GuardedTensor batch(PRECIS_FLOAT32, {in.query_offsets.back(), inner});
  OnDevice batch_(batch);
  on.args.out = batch_;
  EXPECT_RUN(device, attention_cuda(device.context(), on.args));
  batch_.download();
  for (size_t s = 0; s < p.lengths.size(); s++) {
    const auto [queries, keys] = p.lengths[s];
    GuardedTensor alone(PRECIS_FLOAT32, {queries, inner});
    OnDevice alone_(alone);
    DeviceArray<int32_t> query_offsets({0, queries}), key_offsets({0, keys});
    precis_attention_args args = on.args;
    args.q = some_rows(args.q, in.query_offsets[s], queries);
    args.k = some_rows(args.k, in.key_offsets[s], keys);
    args.v = some_rows(args.v, in.key_offsets[s], keys);
    args.query_offsets = query_offsets;
    args.key_offsets = key_offsets;
    args.sequences = 1;
    args.out = alone_;
    EXPECT_RUN(device, attention_cuda(device.context(), args));
    alone_.download();
    EXPECT(same_rows(some_rows(batch, in.query_offsets[s], queries), alone),
           "%s: sequence %d differs", device.name(), static_cast<int>(s));
  }
}

// With scores of +-1e4 the largest key gets all the weight, and non-finite values stay in their row.
void check_extremes(TestDevice& device, int32_t dtype, Random& random) {
  Problem p;
  p.lengths = {{40, 40}};
  p.heads = 1;
  p.head_dim = 1;
  p.dtype = dtype;
  p.buckets = 0;
  Inputs in(p, random);
  for (int64_t i = 0; i < 40; i++) {
    store_element(in.args.q, i, 0, i % 2 == 0 ? 128 : -128);
    store_element(in.args.k, i, 0, i == 7 ? 80 : i == 9 ? -80 : i % 5 - 2.0);
  }
  for (float bad : {0.0f, NAN, INFINITY}) {
    if (bad != 0) store_element(in.args.q, 3, 0, bad);
    DeviceInputs on(in);
    GuardedTensor out(PRECIS_FLOAT32, {40, 1}), logs(PRECIS_FLOAT32, {40, 1});
    OnDevice out_(out), logs_(logs);
    on.args.out = out_;
    on.args.log_sum_exp = logs_;
    EXPECT_RUN(device, attention_cuda(device.context(), on.args));
    out_.download();
    logs_.download();
    for (int64_t i = 0; i < 40; i++) {
      if (bad != 0 && i == 3) {
        EXPECT(std::isnan(out.at(i, 0)) && std::isnan(logs.at(i, 0)));
        continue;
      }
      const double want = load_element(in.args.v, i % 2 == 0 ? 7 : 9, 0);
      EXPECT(std::fabs(out.at(i, 0) - want) <= 1e-6 * std::fabs(want), "row %d is %g, not %g",
             static_cast<int>(i), out.at(i, 0), want);
      EXPECT(logs.at(i, 0) == 128 * 80);
    }
  }
}

}  // namespace

int main() {
  return run_test(3, [](TestDevice& device) {
    Random random(5);
    for (int32_t dtype : {PRECIS_FLOAT32, PRECIS_BFLOAT16}) {
      for (int64_t head_dim : {1, 24, 64, 65, 136}) {
        if (head_dim > widest_head(device.context().block_shared_bytes, dtype, false)) continue;
        Problem p;
        p.dtype = dtype;
        p.head_dim = head_dim;
        p.heads = head_dim == 24 ? 3 : 1;
        p.lengths = {{1, 1}, {0, 2}, {65, 67}, {64, 3}, {7, 130}};
        p.scale = head_dim == 64 ? 0.5f : 1;
        p.out_dtype = head_dim == 65 ? PRECIS_BFLOAT16 : PRECIS_FLOAT32;
        check(device, p, random);
        p.causal = true;
        p.bidirectional = false;
        p.dropout = head_dim == 24 ? 0.3f : 0;
        p.by_example = head_dim == 24;
        p.max_distance = 40;
        check(device, p, random);
      }
      Problem fused;
      fused.dtype = dtype;
      fused.lengths = {{70, 70}, {3, 3}};
      fused.head_dim = 32;
      fused.heads = 2;
      fused.fused = true;
      fused.buckets = 0;
      fused.dropout = 0.1f;
      check(device, fused, random);
      Problem far;  // distances beyond the table of buckets
      far.dtype = dtype;
      far.lengths = {{2, 700}, {600, 2}};
      far.head_dim = 8;
      far.heads = 1;
      far.max_distance = 650;
      check(device, far, random);
      check_alone(device, dtype, random);
      check_extremes(device, dtype, random);
    }
  });
}
