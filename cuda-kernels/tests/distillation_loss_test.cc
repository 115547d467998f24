#include "ops/distillation_loss.h"

#include "device_logits.h"

using namespace precis;

namespace {

using Args = precis_distillation_loss_args;

constexpr float kBetas[] = {0, 1, 0.5f, 0.1f};

// A student and a teacher of another width, whose weights may have another type.
struct Case {
  Case(TestDevice& device, Random& random, const LogitShape& s, int64_t teacher_width,
       int32_t dtype, int32_t x_type, int32_t teacher_dtype, double left_out)
      : host(random, s, dtype, x_type, left_out),
        host_teacher(random, {s.rows, teacher_width, s.tokens}, teacher_dtype, x_type, 0),
        layer(device, host),
        teacher(device, host_teacher) {
    for (auto member : {&Args::divergences, &Args::cross_entropies}) {
      tensors.add(member, {s.rows}, 0, 1);
      tensors.fill(member, NAN);
    }
    tensors.add(&Args::dx, {s.rows, s.width}, 3, 1);
    tensors.fill(&Args::dx, NAN);
    tensors.add(&Args::dw, {s.tokens, s.width}, 1, 2);
    tensors.fill_normal(random, &Args::dw);
    args.scale = 1;
    args.teacher_scale = 0.5f;
    args.temperature = 1;
    args.beta = 0.5f;
    args.divergence_weight = 0.8f;
  }
  // bits of wanted: dx, dw
  static void leave_out(Args& a, int wanted) {
    if ((wanted & 1) == 0) a.dx = {};
    if ((wanted & 1) == 0) a.w_transposed = {};
    if ((wanted & 2) == 0) a.dw = {};
  }
  void by_reference(int wanted) {
    Args a = tensors.for_reference(args);
    a.x = host.x;
    a.labels = host.labels;
    a.w = layer.w;
    a.teacher_x = host_teacher.x;
    a.teacher_w = teacher.w;
    leave_out(a, wanted);
    distillation_loss_ref(a, host.w.args(), host_teacher.w.args());
  }
  Args on_device(int wanted) {
    Args a = tensors.for_device(args);
    layer.put(a);
    a.labels = layer.labels;
    a.teacher_x = teacher.x;
    a.teacher_w = teacher.w;
    leave_out(a, wanted);
    return a;
  }
  void run(TestDevice& device, int wanted) {
    const Args a = on_device(wanted);
    poison_scratch(device);
    EXPECT_RUN(device, distillation_loss_cuda(device.context(), a));
    tensors.download();
  }
  void compare(int32_t dtype, const char* what) {
    tensors.compare(&Args::divergences, 1e-5, 1e-5, what);
    tensors.compare(&Args::cross_entropies, 1e-5, 1e-5, what);
    // In bfloat16 the gradient of a logit may round to a different neighbor.
    const double step = dtype == PRECIS_BFLOAT16 ? 0x1p-7 * args.scale : 0;
    const double rows = 1 + 0.1 * std::sqrt(static_cast<double>(columns(host.labels)));
    tensors.compare(&Args::dx, 1e-5, 5e-6 + 2 * step, what);
    tensors.compare(&Args::dw, 1e-5, (2e-5 + 6 * step) * rows, what);
  }

  LogitCase host, host_teacher;
  DeviceLayer layer, teacher;
  CallTensors<Args> tensors;
  Args args = {};
};

void sizes(TestDevice& device, Random& random) {
  int turn = 0;
  for (const LogitShape& s : kDeviceShapes) {
    for (int32_t dtype : kLogitTypes) {
      for (float beta : kBetas) {
        if (is_slow(s) && beta != 0.5f) continue;
        turn++;
        const int wanted = is_slow(s) ? 3 : turn % 4;
        const int32_t x_type = kLogitTypes[random.below(2)];
        Case c(device, random, s, 1 + static_cast<int64_t>(random.below(90)), dtype, x_type,
               kLogitTypes[random.below(2)], wanted == 0 ? 0 : 0.4);
        c.args.scale = turn % 3 == 0 ? 0.25f : 1.0f;
        c.args.temperature = turn % 5 == 0 ? 2.5f : turn % 5 == 1 ? 0.7f : 1.0f;
        c.args.beta = beta;
        c.args.label_weight = turn % 2 == 0 ? 0.3f : 0;
        c.by_reference(wanted);
        c.run(device, wanted);
        EXPECT(device.problem() == kNoProblem);
        c.compare(dtype, describe(device, s, dtype, x_type, wanted).c_str());
      }
    }
  }
}

// A row is bitwise identical to the same row alone, whichever tile that uses and whichever results
// are requested.
void alone(TestDevice& device, Random& random) {
  const LogitShape s = {130, 40, 260};
  for (int32_t dtype : kLogitTypes) {
    Case c(device, random, s, 70, dtype, PRECIS_FLOAT32, dtype, 0.1);
    c.args.label_weight = 0.5f;
    const int64_t last = s.rows - 1;
    for (int64_t m : {int64_t{17}, last}) c.host.labels.data<int32_t>()[m] = 2;
    c.layer.labels.upload();
    c.run(device, 3);
    GuardedTensor divergence = row_vector(1), cross_entropy = row_vector(1);
    GuardedTensor dx(PRECIS_FLOAT32, {1, s.width});
    for (int wanted : {1, 0}) {
      const int64_t m = wanted == 1 ? last : 17;
      OnDevice divergence_(divergence), cross_entropy_(cross_entropy), dx_(dx);
      Args a = c.on_device(3);
      a.x = some_rows(a.x, m, 1);
      a.teacher_x = some_rows(a.teacher_x, m, 1);
      a.labels = one_of(a.labels, m);
      a.divergences = divergence_;
      a.cross_entropies = cross_entropy_;
      a.dx = dx_;
      a.dw = {};
      Case::leave_out(a, wanted);
      EXPECT_RUN(device, distillation_loss_cuda(device.context(), a));
      for (OnDevice* t : {&divergence_, &cross_entropy_, &dx_}) t->download();
      const int row = static_cast<int>(m);
      EXPECT(same_bits(divergence, 0, c.tensors[&Args::divergences], m), "%s: row %d",
             device.name(), row);
      EXPECT(same_bits(cross_entropy, 0, c.tensors[&Args::cross_entropies], m), "%s: row %d",
             device.name(), row);
      EXPECT(wanted == 0 || first_difference(dx, 0, c.tensors[&Args::dx], m) < 0, "%s: row %d",
             device.name(), row);
    }
  }
}

// The divergence of a student from itself is 0.
void of_itself(TestDevice& device, Random& random) {
  const LogitShape s = {36, 40, 301};
  for (int32_t dtype : kLogitTypes) {
    Case c(device, random, s, s.width, dtype, PRECIS_FLOAT32, dtype, 0.2);
    c.host.x.fill_normal(random, 3);
    copy_elements(c.host.x, c.host_teacher.x);
    c.layer.x.upload();
    c.teacher.x.upload();
    for (float beta : kBetas) {
      c.args.beta = beta;
      c.args.teacher_scale = c.args.scale;
      Args a = c.on_device(1);
      a.teacher_w = a.w;
      EXPECT_RUN(device, distillation_loss_cuda(device.context(), a));
      c.tensors.download();
      for (int64_t m = 0; m < s.rows; m++) {
        const double divergence = c.tensors[&Args::divergences].at(0, m);
        EXPECT(std::fabs(divergence) < 1e-7, "%s: beta %g: %g", device.name(), beta, divergence);
      }
    }
  }
}

void special_values(TestDevice& device, Random& random) {
  const LogitShape s = {5, 20, 150};
  for (int32_t dtype : kLogitTypes) {
    for (float beta : kBetas) {
      Case c(device, random, s, 30, dtype, PRECIS_FLOAT32, PRECIS_FLOAT32, 0);
      c.args.beta = beta;
      c.args.label_weight = 1;
      store_element(c.host.x, 1, 3, NAN);
      // Logits of thousands: nothing overflows.
      for (int64_t d = 0; d < s.width; d++) {
        store_element(c.host.x, 2, d, 5e3 * random.normal());
        store_element(c.host_teacher.x, 2, d, 5e3 * random.normal());
      }
      // Rows that are left out may contain anything.
      c.host.labels.data<int32_t>()[3] = kIgnoredLabel;
      store_element(c.host.x, 3, 0, NAN);
      store_element(c.host_teacher.x, 3, 0, NAN);
      // NaN in the teacher affects the divergence and the gradient.
      store_element(c.host_teacher.x, 4, 0, NAN);
      c.layer.x.upload();
      c.layer.labels.upload();
      c.teacher.x.upload();
      c.run(device, 1);
      const GuardedTensor& dx = c.tensors[&Args::dx];
      for (int64_t m = 0; m < s.rows; m++) {
        const double d = c.tensors[&Args::divergences].at(0, m);
        const double e = c.tensors[&Args::cross_entropies].at(0, m);
        const int row = static_cast<int>(m);
        EXPECT(m == 1 || m == 4 ? std::isnan(d) : std::isfinite(d) && d > -1e-6,
               "beta %g: row %d has %g", beta, row, d);
        EXPECT(m == 1 ? std::isnan(e) : std::isfinite(e) && e >= 0, "row %d has %g", row, e);
        EXPECT(std::isnan(dx.at(m, 7)) == (m == 1 || m == 4), "beta %g: row %d", beta, row);
        EXPECT(m != 3 || (d == 0 && e == 0 && dx.at(m, 0) == 0), "%s", device.name());
      }
      EXPECT(device.problem() == kNoProblem);
    }
  }
}

void bad_labels(TestDevice& device, Random& random) {
  const LogitShape s = {40, 20, 70};
  Case c(device, random, s, 33, PRECIS_BFLOAT16, PRECIS_BFLOAT16, PRECIS_BFLOAT16, 0.2);
  int32_t* labels = c.host.labels.data<int32_t>();
  labels[33] = labels[39] = 70;
  c.layer.labels.upload();
  labels[33] = labels[39] = kIgnoredLabel;
  c.by_reference(3);
  c.run(device, 3);
  EXPECT(device.problem() == bad_label(ProblemOp::kDistillationLoss, 33), "%s", device.name());
  c.compare(PRECIS_BFLOAT16, device.name());
}

}  // namespace

int main() {
  return run_test(3, [](TestDevice& device) {
    Random random(47);
    sizes(device, random);
    alone(device, random);
    of_itself(device, random);
    special_values(device, random);
    bad_labels(device, random);
  });
}
