#include "ops/attention_backward.h"

#include "attention_cases.h"
#include "device_test.h"
#include "matmul_cases.h"

using namespace precis;

namespace {

// A forward pass, computed in double on the host, and memory for the gradients, on the host and on the
// device; args refers to the device.
struct Case {
  Case(const Problem& p, Random& random, int32_t dtype, int32_t value_dtype)
      : in(p, random), query_offsets(in.query_offsets), key_offsets(in.key_offsets) {
    const int64_t inner = p.heads * p.head_dim, m = in.query_offsets.back();
    const int64_t n = in.key_offsets.back();
    want.forward = in.args;
    want.forward.out = add(p.out_dtype, {m, inner}, 1, 2);
    want.forward.log_sum_exp = add(PRECIS_FLOAT32, {m, p.heads}, 2, 1);
    want.dout = add(p.out_dtype, {m, inner}, 4, 3);
    attention_ref(want.forward);
    memory[2]->fill_normal(random);
    if (p.fused) {
      want.dq = want.dk = want.dv = add(dtype, {n, 3 * inner}, 3, 1);
      for (precis_tensor* t : {&want.dq, &want.dk, &want.dv}) t->dims[1] = inner;
      want.dk.data = static_cast<char*>(want.dk.data) + inner * element_bytes(dtype);
      want.dv.data = static_cast<char*>(want.dv.data) + 2 * inner * element_bytes(dtype);
    } else {
      want.dq = add(dtype, {m, inner}, 3, 1);
      want.dk = add(dtype, {n, inner}, 0, 3);
      want.dv = add(value_dtype, {n, inner}, 9, 0);
    }
    for (size_t i = 3; i < memory.size(); i++) memory[i]->fill(NAN);
    if (p.buckets > 0) {
      want.dbias = add(PRECIS_FLOAT32, {p.buckets, p.heads}, 1, 2);
      memory.back()->fill(0.25f);
    }
    for (const GuardedTensor& t : in.memory) place(t);
    for (const auto& t : memory) place(*t);
    args = want;
    precis_attention_args& f = args.forward;
    for (precis_tensor* t : {&f.q, &f.k, &f.v, &f.out, &f.bias, &f.log_sum_exp, &f.dropout_rows,
                             &args.dout, &args.dq, &args.dk, &args.dv, &args.dbias}) {
      *t = on_device(*t);
    }
    f.query_offsets = query_offsets;
    f.key_offsets = key_offsets;
  }

  // Copies the device's tensors to the host.
  void download() {
    for (const auto& t : devices) t->download();
  }
  void upload() {
    for (const auto& t : devices) t->upload();
  }

  Inputs in;
  DeviceArray<int32_t> query_offsets, key_offsets;
  std::vector<std::unique_ptr<GuardedTensor>> memory;  // out, log_sum_exp, dout; gradients
  std::vector<std::unique_ptr<OnDevice>> devices;
  precis_attention_backward_args want = {}, args = {};

 private:
  precis_tensor add(int32_t dtype, std::vector<int64_t> dims, int64_t gap, int64_t offset) {
    memory.push_back(std::make_unique<GuardedTensor>(dtype, std::move(dims), gap, offset));
    return *memory.back();
  }
  void place(const GuardedTensor& t) {
    hosts.push_back(&t);
    devices.push_back(std::make_unique<OnDevice>(t));
  }
  // The tensor's counterpart in device memory.
  precis_tensor on_device(precis_tensor t) const {
    for (size_t i = 0; i < hosts.size(); i++) {
      const auto at = static_cast<uint8_t*>(t.data) - hosts[i]->memory();
      if (t.data == nullptr || at < 0 || at >= static_cast<int64_t>(hosts[i]->bytes())) continue;
      const precis_tensor host = *hosts[i], device = *devices[i];
      const auto start = static_cast<uint8_t*>(host.data) - hosts[i]->memory();
      t.data = static_cast<uint8_t*>(device.data) + (at - start);
      break;
    }
    return t;
  }

  std::vector<const GuardedTensor*> hosts;
};

std::string name_of(const TestDevice& device, const Problem& p) {
  return std::string(device.name()) + " head_dim " + std::to_string(p.head_dim) + " of " +
         std::to_string(p.lengths[0].first) + "x" + std::to_string(p.lengths[0].second) +
         (p.dtype == PRECIS_BFLOAT16 ? " bf16" : " f32") + (p.causal ? " causal" : "") +
         (p.fused ? " fused" : "") + (p.dropout > 0 ? " dropout" : "");
}

// A copy of the elements, or an empty tensor.
GuardedTensor copy_of(const precis_tensor& t) {
  if (t.data == nullptr) return GuardedTensor(PRECIS_FLOAT32, {0, 0});
  GuardedTensor copy(t.dtype, {rows(t), columns(t)});
  copy_elements(t, copy);
  return copy;
}

// Expects every element within a fraction of the largest one, or of least if that is larger.
void expect_near(const precis_tensor& got, const precis_tensor& want, double fraction, double least,
                 const std::string& what) {
  double largest = least;
  for (int64_t r = 0; r < rows(want); r++) {
    for (int64_t c = 0; c < columns(want); c++) {
      largest = std::max(largest, std::fabs(static_cast<double>(load_element(want, r, c))));
    }
  }
  expect_close(got, want, rounding(got.dtype), fraction * largest, what.c_str());
}

void check(TestDevice& device, const Problem& p, Random& random, int32_t dtype,
           int32_t value_dtype) {
  Case c(p, random, dtype, value_dtype);
  const std::string what = name_of(device, p);
  EXPECT_RUN(device, attention_backward_cuda(device.context(), c.args));
  c.download();
  const GuardedTensor dq = copy_of(c.want.dq), dk = copy_of(c.want.dk), dv = copy_of(c.want.dv);
  const GuardedTensor dbias = copy_of(c.want.dbias);
  if (p.buckets > 0) c.memory.back()->fill(0.25f);
  attention_backward_ref(c.want);
  // p and ds are rounded to bfloat16 before they are multiplied, and so is a float32 dout.
  const double fraction = p.dtype == PRECIS_BFLOAT16 ? 8e-3 : 3e-6;
  // The magnitude of dout . v, of which differences are taken.
  const double least = std::sqrt(static_cast<double>(p.head_dim));
  expect_near(dq, c.want.dq, fraction, least, what + ": dq");
  expect_near(dk, c.want.dk, fraction, least, what + ": dk");
  expect_near(dv, c.want.dv, fraction, 1, what + ": dv");
  if (p.buckets == 0) return;
  expect_near(dbias, c.want.dbias, fraction, least, what + ": dbias");
  // Without dbias the other results are the same.
  for (size_t i = 3; i < c.memory.size(); i++) c.memory[i]->fill(NAN);
  c.upload();
  precis_attention_backward_args bare = c.args;
  bare.dbias = {};
  EXPECT_RUN(device, attention_backward_cuda(device.context(), bare));
  c.download();
  EXPECT(same_rows(c.want.dq, dq) && same_rows(c.want.dk, dk) && same_rows(c.want.dv, dv), "%s",
         what.c_str());
  EXPECT(std::isnan(load_element(c.want.dbias, 0, 0)), "%s", what.c_str());
}

// A sequence is bitwise identical to the same sequence alone.
void check_alone(TestDevice& device, int32_t dtype, bool causal, Random& random) {
  Problem p;
  p.lengths = {{17, 17}, {0, 3}, {70, 70}, {1, 1}, {0, 0}, {64, 64}, {40, 33}, {2, 2}};
  p.dtype = dtype;
  p.heads = 2;
  p.head_dim = 16;
  p.causal = causal;
  Case c(p, random, PRECIS_FLOAT32, PRECIS_FLOAT32);
  EXPECT_RUN(device, attention_backward_cuda(device.context(), c.args));
  c.download();
  const GuardedTensor dq = copy_of(c.want.dq), dk = copy_of(c.want.dk), dv = copy_of(c.want.dv);
  for (size_t i = 3; i < c.memory.size(); i++) c.memory[i]->fill(NAN);
  c.upload();
  for (size_t s = 0; s < p.lengths.size(); s++) {
    const auto [queries, keys] = p.lengths[s];
    DeviceArray<int32_t> query_offsets({0, queries}), key_offsets({0, keys});
    precis_attention_backward_args args = c.args;
    precis_attention_args& f = args.forward;
    for (precis_tensor* t : {&f.q, &f.out, &f.log_sum_exp, &args.dout, &args.dq}) {
      *t = some_rows(*t, c.in.query_offsets[s], queries);
    }
    for (precis_tensor* t : {&f.k, &f.v, &args.dk, &args.dv}) {
      *t = some_rows(*t, c.in.key_offsets[s], keys);
    }
    f.query_offsets = query_offsets;
    f.key_offsets = key_offsets;
    f.sequences = 1;
    EXPECT_RUN(device, attention_backward_cuda(device.context(), args));
  }
  c.download();
  EXPECT(same_rows(c.want.dq, dq), "%s: dq differs alone", device.name());
  EXPECT(same_rows(c.want.dk, dk), "%s: dk differs alone", device.name());
  EXPECT(same_rows(c.want.dv, dv), "%s: dv differs alone", device.name());
}

// Results are bitwise identical for every order of threads and blocks, and for any scratch contents.
void check_repeatable(TestDevice& device, std::vector<GuardedTensor>* first, int32_t dtype) {
  Random random(11);
  Problem p;
  p.lengths = {{70, 130}, {33, 20}};
  p.dtype = dtype;
  p.heads = 2;
  p.head_dim = 40;
  p.dropout = 0.25f;
  Case c(p, random, PRECIS_FLOAT32, PRECIS_FLOAT32);
  EXPECT_RUN(device, attention_backward_cuda(device.context(), c.args));
  c.download();
  if (first->empty()) {
    for (const auto& t : {c.want.dq, c.want.dk, c.want.dv, c.want.dbias}) {
      first->push_back(copy_of(t));
    }
    return;
  }
  EXPECT(same_rows(c.want.dq, (*first)[0]) && same_rows(c.want.dk, (*first)[1]) &&
             same_rows(c.want.dv, (*first)[2]) && same_rows(c.want.dbias, (*first)[3]),
         "%s: not deterministic", device.name());
}

// Without queries, keys have gradients of zero and dbias does not change. No keys at all are allowed.
void check_nothing(TestDevice& device, int32_t dtype, Random& random) {
  Problem p;
  p.lengths = {{0, 5}, {0, 0}, {0, 66}};
  p.dtype = dtype;
  Case c(p, random, PRECIS_FLOAT32, PRECIS_FLOAT32);
  EXPECT_RUN(device, attention_backward_cuda(device.context(), c.args));
  c.download();
  for (int64_t r = 0; r < rows(c.want.dk); r++) {
    for (int64_t d = 0; d < columns(c.want.dk); d++) {
      EXPECT(load_element(c.want.dk, r, d) == 0 && load_element(c.want.dv, r, d) == 0);
    }
  }
  for (int64_t r = 0; r < rows(c.want.dbias); r++) {
    EXPECT(load_element(c.want.dbias, r, 1) == 0.25);
  }
  p.lengths = {{0, 0}};
  Case empty(p, random, PRECIS_FLOAT32, PRECIS_FLOAT32);
  EXPECT_RUN(device, attention_backward_cuda(device.context(), empty.args));
  empty.args.forward.sequences = 0;
  EXPECT_RUN(device, attention_backward_cuda(device.context(), empty.args));
}

void check_many(TestDevice& device, int32_t dtype, Random& random) {
  Problem p;
  p.dtype = dtype;
  int turn = 0;
  auto next = [&] {
    turn++;
    p.out_dtype = turn % 2 == 0 ? dtype : PRECIS_FLOAT32;
    p.dropout = turn % 3 == 0 ? 0.4f : 0;
    p.by_example = turn % 6 == 0;
    check(device, p, random, turn % 5 < 3 ? dtype : PRECIS_FLOAT32, PRECIS_FLOAT32);
  };
  for (int64_t head_dim : {1, 24, 64, 65, 136}) {
    if (head_dim > widest_head(device.context().block_shared_bytes, dtype, true)) continue;
    const bool wide = head_dim > 64;
    p.head_dim = head_dim;
    p.heads = head_dim == 24 ? 3 : 1;
    p.scale = head_dim == 64 ? 1 : 0.37f;
    // Cross-attention, encoder and decoder; the last two with q, k and v in one matrix.
    p.lengths = {{1, 1}, {0, 2}, {65, wide ? 35 : 67}, {wide ? 3 : 64, 3}, {7, wide ? 40 : 130}};
    p.causal = p.fused = false;
    p.bidirectional = true;
    p.max_distance = 128;
    p.buckets = 0;
    next();
    p.lengths = {{wide ? 35 : 70, wide ? 35 : 70}, {0, 0}, {3, 3}};
    p.buckets = 32;
    p.fused = true;
    next();
    p.causal = true;
    p.bidirectional = false;
    p.max_distance = 40;
    next();
  }
  // A causal mask with other numbers of keys; more buckets than a block has; distances beyond the table
  // of buckets.
  p = Problem();
  p.dtype = dtype;
  p.heads = 2;
  p.head_dim = 8;
  p.causal = true;
  p.lengths = {{30, 20}, {20, 30}, {70, 140}};
  p.dropout = 0.2f;
  p.buckets = 70;
  check(device, p, random, PRECIS_FLOAT32, PRECIS_FLOAT32);
  p.causal = false;
  p.dropout = 0;
  p.heads = 1;
  p.buckets = 32;
  p.max_distance = 650;
  p.lengths = {{2, 700}, {530, 2}};
  check(device, p, random, PRECIS_FLOAT32, PRECIS_FLOAT32);
}

}  // namespace

int main() {
  TestDevice device;
  if (!device.open()) return device.skip();
  std::vector<GuardedTensor> first[2];
  while (device.next_order(3)) {
    Random random(6);
    for (int32_t dtype : {PRECIS_FLOAT32, PRECIS_BFLOAT16}) {
      check_many(device, dtype, random);
      for (bool causal : {false, true}) check_alone(device, dtype, causal, random);
      check_repeatable(device, &first[dtype == PRECIS_BFLOAT16], dtype);
      check_nothing(device, dtype, random);
    }
  }
  // Once more, for devices on which the order cannot be chosen.
  for (int32_t dtype : {PRECIS_FLOAT32, PRECIS_BFLOAT16}) {
    check_repeatable(device, &first[dtype == PRECIS_BFLOAT16], dtype);
  }
  return test_result();
}
