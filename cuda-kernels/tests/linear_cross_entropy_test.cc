#include "ops/linear_cross_entropy.h"

#include "device_logits.h"

using namespace precis;

namespace {

using Args = precis_linear_cross_entropy_args;

struct Case {
  Case(TestDevice& device, Random& random, const LogitShape& s, int32_t dtype, int32_t x_type,
       double left_out)
      : host(random, s, dtype, x_type, left_out) {
    upload(device);
    tensors.add(&Args::losses, {s.rows}, 0, 1);
    tensors.add(&Args::dx, {s.rows, s.width}, 3, 1);
    tensors.add(&Args::dw, {s.tokens, s.width}, 1, 2);
    tensors.fill(&Args::losses, NAN);
    tensors.fill(&Args::dx, NAN);
    tensors.fill_normal(random, &Args::dw);
    args.scale = args.grad_scale = 1;
  }
  void upload(TestDevice& device) { layer = std::make_unique<DeviceLayer>(device, host); }
  // bits of wanted: dx, dw
  static void leave_out(Args& a, int wanted) {
    if ((wanted & 1) == 0) a.dx = {};
    if ((wanted & 2) == 0) a.dw = {};
  }
  void reference(int wanted) {
    Args a = tensors.for_reference(args);
    a.x = host.x;
    a.labels = host.labels;
    a.w = layer->w;
    leave_out(a, wanted);
    linear_cross_entropy_ref(a, host.w.args());
  }
  Args on_device(int wanted) {
    Args a = tensors.for_device(args);
    layer->put(a);
    a.labels = layer->labels;
    leave_out(a, wanted);
    if ((wanted & 1) == 0) a.w_transposed = {};
    return a;
  }
  void run(TestDevice& device, int wanted) {
    const Args a = on_device(wanted);
    poison_scratch(device);
    EXPECT_RUN(device, linear_cross_entropy_cuda(device.context(), a));
    tensors.download();
  }

  LogitCase host;
  std::unique_ptr<DeviceLayer> layer;
  CallTensors<Args> tensors;
  Args args = {};
};

void sizes(TestDevice& device, Random& random) {
  for (const LogitShape& s : kDeviceShapes) {
    for (int32_t dtype : kLogitTypes) {
      for (int wanted = is_slow(s) ? 3 : 0; wanted < 4; wanted++) {
        const int32_t x_type = kLogitTypes[random.below(2)];
        Case c(device, random, s, dtype, x_type, wanted == 0 ? 0 : 0.4);
        c.args.scale = random.below(2) == 0 ? 1.0f : 0.25f;
        c.args.label_smoothing = random.below(2) == 0 ? 0.0f : 0.1f;
        c.args.grad_scale = random.below(2) == 0 ? 1.0f : 1.0f / 17;
        c.reference(wanted);
        c.run(device, wanted);
        const std::string what = describe(device, s, dtype, x_type, wanted);
        EXPECT(device.problem() == kNoProblem, "%s", what.c_str());
        // In bfloat16 the gradient of a logit may round to a different neighbor.
        const double step =
            dtype == PRECIS_BFLOAT16 ? 0x1p-8 * c.args.scale * c.args.grad_scale : 0;
        const double rows = 1 + 0.1 * std::sqrt(static_cast<double>(s.rows));
        c.tensors.compare(&Args::losses, 1e-5, 1e-5, what.c_str());
        c.tensors.compare(&Args::dx, 1e-5, 2e-6 + 2 * step, what.c_str());
        c.tensors.compare(&Args::dw, 1e-5, (1e-5 + 6 * step) * rows, what.c_str());
      }
    }
  }
}

// A row is bitwise identical to the same row alone, whichever tile that uses and whichever results are requested.
void alone(TestDevice& device, Random& random) {
  for (const LogitShape& s : {LogitShape{150, 70, 300}, LogitShape{33, 20, 2100}}) {
    for (int32_t dtype : kLogitTypes) {
      Case c(device, random, s, dtype, PRECIS_FLOAT32, 0.1);
      c.args.label_smoothing = 0.1f;
      const int64_t last = s.rows - 1;
      for (int64_t m : {int64_t{0}, int64_t{17}, last}) c.host.labels.data<int32_t>()[m] = 2;
      c.upload(device);
      c.run(device, 3);
      GuardedTensor loss = row_vector(1), dx(PRECIS_FLOAT32, {1, s.width});
      for (int wanted : {1, 0}) {
        for (int64_t m : {int64_t{0}, int64_t{17}, last}) {
          OnDevice loss_(loss), dx_(dx);
          Args a = c.on_device(wanted);
          a.x = some_rows(a.x, m, 1);
          a.labels = one_of(a.labels, m);
          a.losses = loss_;
          if (wanted == 1) a.dx = dx_;
          EXPECT_RUN(device, linear_cross_entropy_cuda(device.context(), a));
          loss_.download();
          dx_.download();
          EXPECT(same_bits(loss, 0, c.tensors[&Args::losses], m), "%s: row %d", device.name(),
                 static_cast<int>(m));
          EXPECT(wanted == 0 || first_difference(dx, 0, c.tensors[&Args::dx], m) < 0, "%s: row %d",
                 device.name(), static_cast<int>(m));
        }
      }
    }
  }
}

void special_values(TestDevice& device, Random& random) {
  const LogitShape s = {5, 20, 150};
  for (int32_t dtype : kLogitTypes) {
    Case c(device, random, s, dtype, PRECIS_FLOAT32, 0);
    store_element(c.host.x, 1, 3, NAN);
    // Logits of thousands: nothing overflows.
    for (int64_t d = 0; d < s.width; d++) store_element(c.host.x, 2, d, 5e3 * random.normal());
    // All logits are far below 0, where the padding of the vocabulary would be infinite.
    for (int64_t v = 0; v < s.tokens; v++) store_element(c.host.w.source(0), v, 0, 1);
    store_element(c.host.x, 4, 0, -1000);
    c.host.labels.data<int32_t>()[3] = kIgnoredLabel;
    store_element(c.host.x, 3, 0, NAN);
    c.upload(device);
    c.run(device, 1);
    GuardedTensor &losses = c.tensors[&Args::losses], &dx = c.tensors[&Args::dx];
    for (int64_t m = 0; m < s.rows; m++) {
      const double loss = losses.at(0, m);
      EXPECT(m == 1 ? std::isnan(loss) : std::isfinite(loss) && loss >= 0, "%s: row %d has %g",
             device.name(), static_cast<int>(m), loss);
      EXPECT(std::isnan(dx.at(m, 7)) == (m == 1), "%s: row %d", device.name(), static_cast<int>(m));
    }
    EXPECT(losses.at(0, 3) == 0 && dx.at(3, 0) == 0 && dx.at(3, s.width - 1) == 0);
    // Every row is left out.
    for (int64_t m = 0; m < s.rows; m++) c.host.labels.data<int32_t>()[m] = kIgnoredLabel;
    c.upload(device);
    losses.fill(1);
    dx.fill(1);
    c.tensors.fill(&Args::dw, 1);
    c.run(device, 3);
    c.tensors.compare(&Args::dw, 0, 0, device.name());
    for (int64_t m = 0; m < s.rows; m++) {
      EXPECT(losses.at(0, m) == 0 && dx.at(m, m) == 0, "%s", device.name());
    }
    EXPECT(device.problem() == kNoProblem);
  }
}

// The lowest row with a bad label is reported. Such rows are left out, and the others are not affected.
void bad_labels(TestDevice& device, Random& random) {
  const LogitShape s = {40, 20, 70};
  for (int32_t label : {70, -1, -99, INT32_MAX, INT32_MIN}) {
    for (int32_t dtype : kLogitTypes) {
      Case c(device, random, s, dtype, PRECIS_BFLOAT16, 0.2);
      int32_t* labels = c.host.labels.data<int32_t>();
      labels[33] = labels[5] = labels[39] = label;
      c.upload(device);
      labels[33] = labels[5] = labels[39] = kIgnoredLabel;
      c.reference(3);
      c.run(device, 3);
      EXPECT(device.problem() == bad_label(ProblemOp::kLinearCrossEntropy, 5), "%s: label %d",
             device.name(), label);
      const double step = dtype == PRECIS_BFLOAT16 ? 0x1p-8 : 0;
      c.tensors.compare(&Args::losses, 1e-5, 1e-5, device.name());
      c.tensors.compare(&Args::dx, 1e-5, 2e-6 + 2 * step, device.name());
      c.tensors.compare(&Args::dw, 1e-5, 1e-5 + 6 * step, device.name());
    }
  }
}

}  // namespace

int main() {
  return run_test(3, [](TestDevice& device) {
    Random random(41);
    sizes(device, random);
    alone(device, random);
    special_values(device, random);
    bad_labels(device, random);
  });
}
