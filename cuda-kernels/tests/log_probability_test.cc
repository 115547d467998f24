#include "ops/log_probability.h"

#include "device_logits.h"

using namespace precis;

namespace {

using Args = precis_log_probability_args;

// A policy and a reference, whose weights may have another type.
struct Case {
  Case(TestDevice& device, Random& random, const LogitShape& s, int32_t dtype, int32_t x_type,
       int32_t reference_dtype, double left_out)
      : host(random, s, dtype, x_type, left_out),
        host_reference(random, s, reference_dtype, x_type, 0),
        layer(device, host),
        reference(device, host_reference) {
    for (auto member : {&Args::log_probabilities, &Args::entropies, &Args::divergences}) {
      tensors.add(member, {s.rows}, 0, 1);
      tensors.fill(member, NAN);
    }
    tensors.add(&Args::dlog_probabilities, {s.rows}, 0, 3);
    tensors.fill_normal(random, &Args::dlog_probabilities);
    tensors.add(&Args::dx, {s.rows, s.width}, 3, 1);
    tensors.fill(&Args::dx, NAN);
    tensors.add(&Args::dw, {s.tokens, s.width}, 1, 2);
    tensors.fill_normal(random, &Args::dw);
    args.scale = 1;
  }
  // bits of wanted: dx, dw, entropies, divergences
  static void leave_out(Args& a, int wanted) {
    if ((wanted & 1) == 0) a.dx = {};
    if ((wanted & 1) == 0) a.w_transposed = {};
    if ((wanted & 2) == 0) a.dw = {};
    if ((wanted & 3) == 0) a.dlog_probabilities = {};
    if ((wanted & 4) == 0) a.entropies = {};
    if ((wanted & 8) == 0) {
      a.reference_x = a.divergences = {};
      a.reference_w = {};
    }
  }
  void by_reference(int wanted) {
    Args a = tensors.for_reference(args);
    a.x = host.x;
    a.labels = host.labels;
    a.w = layer.w;
    a.reference_x = host_reference.x;
    a.reference_w = reference.w;
    leave_out(a, wanted);
    log_probability_ref(a, host.w.args(), host_reference.w.args());
  }
  Args on_device(int wanted) {
    Args a = tensors.for_device(args);
    layer.put(a);
    a.labels = layer.labels;
    a.reference_x = reference.x;
    a.reference_w = reference.w;
    leave_out(a, wanted);
    return a;
  }
  void run(TestDevice& device, int wanted) {
    const Args a = on_device(wanted);
    poison_scratch(device);
    EXPECT_RUN(device, log_probability_cuda(device.context(), a));
    tensors.download();
  }
  void compare(int32_t dtype, const char* what) {
    tensors.compare(&Args::log_probabilities, 1e-5, 1e-5, what);
    tensors.compare(&Args::entropies, 1e-5, 1e-5, what);
    tensors.compare(&Args::divergences, 1e-5, 1e-5, what);
    // In bfloat16 the gradient of a logit may round to a different neighbor.
    const double step = dtype == PRECIS_BFLOAT16 ? 0x1p-7 * args.scale : 0;
    const double rows = 1 + 0.1 * std::sqrt(static_cast<double>(columns(host.labels)));
    tensors.compare(&Args::dx, 1e-5, 3e-6 + 2 * step, what);
    tensors.compare(&Args::dw, 1e-5, (2e-5 + 6 * step) * rows, what);
  }

  LogitCase host, host_reference;
  DeviceLayer layer, reference;
  CallTensors<Args> tensors;
  Args args = {};
};

void sizes(TestDevice& device, Random& random) {
  for (const LogitShape& s : kDeviceShapes) {
    for (int32_t dtype : kLogitTypes) {
      for (int gradients = is_slow(s) ? 3 : 0; gradients < 4; gradients++) {
        const int wanted = gradients + 4 * static_cast<int>(random.below(4));
        const int32_t x_type = kLogitTypes[random.below(2)];
        Case c(device, random, s, dtype, x_type, kLogitTypes[random.below(2)],
               gradients == 0 ? 0 : 0.4);
        c.args.scale = random.below(2) == 0 ? 1.0f : 0.25f;
        c.by_reference(wanted);
        c.run(device, wanted);
        EXPECT(device.problem() == kNoProblem);
        c.compare(dtype, describe(device, s, dtype, x_type, wanted).c_str());
      }
    }
  }
}

// A row is bitwise identical to the same row alone, whichever tile that uses and whichever results are requested.
void alone(TestDevice& device, Random& random) {
  for (const LogitShape& s : {LogitShape{130, 40, 260}, LogitShape{33, 20, 2100}}) {
    for (int32_t dtype : kLogitTypes) {
      Case c(device, random, s, dtype, PRECIS_FLOAT32, dtype, 0.1);
      const int64_t last = s.rows - 1;
      for (int64_t m : {int64_t{0}, int64_t{17}, last}) c.host.labels.data<int32_t>()[m] = 2;
      c.layer.labels.upload();
      c.run(device, 15);
      GuardedTensor log_probability = row_vector(1), entropy = row_vector(1);
      GuardedTensor divergence = row_vector(1), dx(PRECIS_FLOAT32, {1, s.width});
      for (int wanted : {13, 12, 5, 4}) {
        const int64_t m = wanted == 13 ? last : wanted == 12 ? 0 : 17;
        OnDevice log_probability_(log_probability), entropy_(entropy), divergence_(divergence);
        OnDevice dx_(dx);
        Args a = c.on_device(15);
        a.x = some_rows(a.x, m, 1);
        a.reference_x = some_rows(a.reference_x, m, 1);
        a.labels = one_of(a.labels, m);
        a.dlog_probabilities = one_of(a.dlog_probabilities, m);
        a.log_probabilities = log_probability_;
        a.entropies = entropy_;
        a.divergences = divergence_;
        a.dx = dx_;
        Case::leave_out(a, wanted);
        EXPECT_RUN(device, log_probability_cuda(device.context(), a));
        for (OnDevice* t : {&log_probability_, &entropy_, &divergence_, &dx_}) t->download();
        const int row = static_cast<int>(m);
        EXPECT(same_bits(log_probability, 0, c.tensors[&Args::log_probabilities], m), "%s: row %d",
               device.name(), row);
        EXPECT(same_bits(entropy, 0, c.tensors[&Args::entropies], m), "%s: row %d", device.name(),
               row);
        EXPECT((wanted & 8) == 0 || same_bits(divergence, 0, c.tensors[&Args::divergences], m),
               "%s: row %d", device.name(), row);
        EXPECT((wanted & 1) == 0 || first_difference(dx, 0, c.tensors[&Args::dx], m) < 0,
               "%s: row %d", device.name(), row);
      }
    }
  }
}

// A small divergence is not lost in the rounding of the logarithms whose difference it is, and the
// divergence of a policy from itself is 0.
void near_reference(TestDevice& device, Random& random) {
  const LogitShape s = {36, 40, 301};
  for (int32_t dtype : kLogitTypes) {
    Case c(device, random, s, dtype, PRECIS_FLOAT32, dtype, 0.2);
    c.host.x.fill_normal(random, 3);
    copy_elements(c.host.x, c.host_reference.x);
    copy_elements(c.host.w.source(0), c.host_reference.w.source(0));
    for (int64_t rows : {s.rows, int64_t{3}}) {
      c.layer.x.upload();
      c.reference.x.upload();
      Args a = c.on_device(12);
      a.scale = 0.7f;
      a.reference_w = a.w;
      a.x.dims[0] = a.reference_x.dims[0] = rows;
      EXPECT_RUN(device, log_probability_cuda(device.context(), a));
      c.tensors.download();
      for (int64_t m = 0; m < rows; m++) {
        const double divergence = c.tensors[&Args::divergences].at(0, m);
        EXPECT(divergence == 0, "%s: %g", device.name(), divergence);
      }
    }
    if (dtype == PRECIS_BFLOAT16) continue;  // its rounding would be a larger change
    for (int64_t m = 0; m < s.rows; m++) {
      for (int64_t d = 0; d < s.width; d++) {
        store_element(c.host_reference.x, m, d, c.host.x.at(m, d) * (1 + 0x1p-6 * random.normal()));
      }
    }
    c.reference.x.upload();
    c.by_reference(12);
    Args a = c.on_device(12);
    a.reference_w = a.w;
    EXPECT_RUN(device, log_probability_cuda(device.context(), a));
    c.tensors.download();
    int small = 0;
    for (int64_t m = 0; m < s.rows; m++) {
      const double divergence = c.tensors.wanted(&Args::divergences).at(0, m);
      small += divergence > 1e-5 && divergence < 1e-2;
    }
    EXPECT(small > s.rows / 2, "%d", small);
    c.tensors.compare(&Args::divergences, 1e-3, 5e-7, device.name());
  }
}

void special_values(TestDevice& device, Random& random) {
  const LogitShape s = {5, 20, 150};
  for (int32_t dtype : kLogitTypes) {
    Case c(device, random, s, dtype, PRECIS_FLOAT32, PRECIS_FLOAT32, 0);
    store_element(c.host.x, 1, 3, NAN);
    // Logits of thousands: nothing overflows.
    for (int64_t d = 0; d < s.width; d++) {
      store_element(c.host.x, 2, d, 5e3 * random.normal());
      store_element(c.host_reference.x, 2, d, 5e3 * random.normal());
    }
    // Rows that are left out may contain anything.
    c.host.labels.data<int32_t>()[3] = kIgnoredLabel;
    store_element(c.host.x, 3, 0, NAN);
    store_element(c.host_reference.x, 3, 0, NAN);
    store_element(c.tensors[&Args::dlog_probabilities], 0, 3, NAN);
    // NaN in the reference affects only the divergence.
    store_element(c.host_reference.x, 4, 0, NAN);
    c.layer.x.upload();
    c.layer.labels.upload();
    c.reference.x.upload();
    c.run(device, 13);
    const GuardedTensor& dx = c.tensors[&Args::dx];
    for (int64_t m = 0; m < s.rows; m++) {
      const double l = c.tensors[&Args::log_probabilities].at(0, m);
      const double h = c.tensors[&Args::entropies].at(0, m);
      const double k = c.tensors[&Args::divergences].at(0, m);
      const int row = static_cast<int>(m);
      EXPECT(m == 1 ? std::isnan(l) : std::isfinite(l) && l <= 0, "row %d has %g", row, l);
      EXPECT(m == 1 ? std::isnan(h) : std::isfinite(h) && h >= 0, "row %d has %g", row, h);
      EXPECT(m == 1 || m == 4 ? std::isnan(k) : std::isfinite(k), "row %d has %g", row, k);
      EXPECT(std::isnan(dx.at(m, 7)) == (m == 1), "row %d", row);
      EXPECT(m != 3 || (l == 0 && h == 0 && k == 0 && dx.at(m, 0) == 0), "%s", device.name());
    }
    EXPECT(device.problem() == kNoProblem);
  }
}

void bad_labels(TestDevice& device, Random& random) {
  const LogitShape s = {40, 20, 70};
  for (int32_t dtype : kLogitTypes) {
    Case c(device, random, s, dtype, PRECIS_BFLOAT16, dtype, 0.2);
    int32_t* labels = c.host.labels.data<int32_t>();
    labels[33] = labels[39] = 70;
    c.layer.labels.upload();
    labels[33] = labels[39] = kIgnoredLabel;
    c.by_reference(15);
    c.run(device, 15);
    EXPECT(device.problem() == bad_label(ProblemOp::kLogProbability, 33), "%s", device.name());
    c.compare(dtype, device.name());
  }
}

}  // namespace

int main() {
  return run_test(3, [](TestDevice& device) {
    Random random(43);
    sizes(device, random);
    alone(device, random);
    near_reference(device, random);
    special_values(device, random);
    bad_labels(device, random);
  });
}
