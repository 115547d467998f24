// Measures the matrix products that training adds, at FLAN-T5-base's shapes: the LoRA product and
// its gradient next to the frozen product and its gradient, the gradients of weights, the losses
// over the vocabulary, and packing. Every result is compared with the reference before it is timed.
// Contenders alternate in short turns, of which the best and the median are printed, and the share of
// this machine's ceilings that the best reaches by the operations of the product or the loss itself.
//
//   training_matmul_bench [--threads T] [--rounds R] [--only lora|gradient|loss|pack]

#include <time.h>

#include <functional>

#include "bench.h"
#include "ceilings.h"
#include "logit_cases.h"
#include "ops/log_probability.h"
#include "ops/lora_matmul.h"
#include "ops/ppo_loss.h"
#include "ops/weight_gradient.h"

using namespace precis;

namespace {

struct Contender {
  std::string name;
  double flops;
  std::function<void()> call;
  int32_t dtype = PRECIS_BFLOAT16;  // of the arithmetic
  std::vector<double> seconds = {};
};

// One thread is timed by its own CPU time, which excludes other processes.
double now(bool alone) {
  if (!alone) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
  }
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

// Prints times, also as multiples of the first contender's.
void race(const char* title, std::vector<Contender> contenders, const Ceilings& ceilings,
          int rounds) {
  for (int round = 0; round < rounds; round++) {
    for (Contender& c : contenders) {
      const double start = now(ceilings.threads() == 1);
      c.call();
      c.seconds.push_back(now(ceilings.threads() == 1) - start);
    }
  }
  for (Contender& c : contenders) {
    std::sort(c.seconds.begin(), c.seconds.end());
    std::printf("%-34s %-26s %9.1f us (median %9.1f) %6.1f GFLOP/s share %3.0f %%  x%.3f\n", title,
                c.name.c_str(), c.seconds[0] * 1e6, c.seconds[c.seconds.size() / 2] * 1e6,
                c.flops / c.seconds[0] * 1e-9, ceilings.share(c.dtype, c.flops, 0, 0, c.seconds[0]),
                c.seconds[0] / contenders[0].seconds[0]);
  }
  std::fflush(stdout);
}

// Uniform numbers that are cheap to generate.
GuardedTensor filled(int32_t dtype, int64_t rows, int64_t columns, uint64_t seed, float scale) {
  GuardedTensor t(dtype, {rows, columns});
  Random random(seed);
  for (int64_t r = 0; r < rows; r++) {
    for (int64_t c = 0; c < columns; c++) {
      store_element(t, r, c, scale * static_cast<float>(random.uniform() - 0.5));
    }
  }
  return t;
}

// A matrix packed one way or the other, in memory of the context.
struct Packed {
  Packed(precis_context* c, const precis_tensor& source, bool transposed) : context(c) {
    pack.weights[0] = source;
    pack.weight_count = 1;
    pack.dtype = PRECIS_BFLOAT16;
    pack.transposed = transposed;
    EXPECT_OK(context, precis_matmul_pack_size(context, &pack, &pack.packed_bytes));
    EXPECT_OK(context, precis_allocate(context, pack.packed_bytes, &pack.packed));
    EXPECT_OK(context, precis_matmul_pack(context, &pack));
    matrix = {pack.packed,
              pack.packed_bytes,
              source.dims[transposed ? 1 : 0],
              source.dims[transposed ? 0 : 1],
              PRECIS_BFLOAT16,
              0};
  }
  ~Packed() { precis_free(context, pack.packed, pack.packed_bytes); }

  precis_context* context;
  precis_matmul_pack_args pack = {};
  precis_packed_matrix matrix;
};

// Measures a layer with adapters of this rank on some of its parts, which have 768 outputs each.
void bench_lora(precis_context* context, const Ceilings& ceilings, int rounds, int64_t outputs,
                int64_t rank, int32_t x_type) {
  constexpr int64_t kRows = 2048, kInputs = 768, kPart = 768;
  std::vector<precis_lora_segment> segments;
  for (int64_t n = 0; n < outputs; n += 2 * kPart) {
    const int64_t r = rank * static_cast<int64_t>(segments.size());
    segments.push_back({n, n + kPart, r, r + rank, 1, 0});
  }
  const int64_t ranks = rank * static_cast<int64_t>(segments.size());
  const GuardedTensor w = filled(PRECIS_FLOAT32, outputs, kInputs, 1, 0.1f);
  const GuardedTensor a = filled(PRECIS_FLOAT32, ranks, kInputs, 2, 0.1f);
  GuardedTensor b(PRECIS_FLOAT32, {outputs, ranks});
  Random random(3);
  for (int64_t n = 0; n < outputs; n++) {
    for (int64_t r = 0; r < ranks; r++) {
      const precis_lora_segment& s = segments[r / rank];
      const bool used = n >= s.output_begin && n < s.output_end;
      store_element(b, n, r, used ? random.uniform() - 0.5 : 0);
    }
  }
  const Packed pw(context, w, false), pa(context, a, false), pb(context, b, false);
  const Packed tw(context, w, true), ta(context, a, true), tb(context, b, true);
  const GuardedTensor x = filled(x_type, kRows, kInputs, 4, 1);
  const GuardedTensor low_x = filled(x_type, kRows, kInputs, 5, 1);
  const GuardedTensor dy = filled(x_type, kRows, outputs, 6, 1);
  GuardedTensor y(x_type, {kRows, outputs}), dx(PRECIS_FLOAT32, {kRows, kInputs});
  GuardedTensor down(PRECIS_FLOAT32, {kRows, ranks});
  precis_lora_matmul_args forward = {};
  forward.x = x;
  forward.w = pw.matrix;
  forward.a = pa.matrix;
  forward.b = pb.matrix;
  forward.y = y;
  forward.alpha = 1;
  forward.segment_count = static_cast<int32_t>(segments.size());
  precis_lora_matmul_args backward = forward;
  backward.x = dy;
  backward.w = tw.matrix;
  backward.a = tb.matrix;
  backward.b = ta.matrix;
  backward.y = dx;
  for (size_t i = 0; i < segments.size(); i++) {
    forward.segments[i] = backward.segments[i] = segments[i];
    backward.segments[i].output_begin = 0;
    backward.segments[i].output_end = kInputs;
  }
  precis_lora_matmul_args training = forward;
  training.down = backward.down = down;
  precis_lora_matmul_args dropped = training;
  dropped.lora_x = low_x;
  auto call = [context](const precis_lora_matmul_args& args) {
    return [context, args] { EXPECT_OK(context, precis_lora_matmul(context, &args)); };
  };
  auto plain = [context](const precis_lora_matmul_args& args) {
    const precis_matmul_args product = {args.x, args.w, args.y, 1, 0, 0, 0};
    return [context, product] { EXPECT_OK(context, precis_matmul(context, &product)); };
  };
  auto verify = [&](const precis_lora_matmul_args& args, const Packed& q, const Packed& r,
                    const Packed& s) {
    call(args)();
    GuardedTensor want(PRECIS_FLOAT32, {1, columns(args.y)}), want_down(PRECIS_FLOAT32, {1, ranks});
    precis_lora_matmul_args last = args;
    last.x = some_rows(args.x, kRows - 1, 1);
    if (args.lora_x.data != nullptr) last.lora_x = some_rows(args.lora_x, kRows - 1, 1);
    last.y = want;
    last.down = want_down;
    lora_matmul_ref(last, q.pack, r.pack, s.pack);
    expect_close(some_rows(args.y, kRows - 1, 1), want, 1e-2, 1e-2, "lora");
    if (args.down.data != nullptr) {
      expect_close(some_rows(down, kRows - 1, 1), want_down, 1e-4, 1e-4, "down");
    }
  };
  verify(forward, pw, pa, pb);
  verify(training, pw, pa, pb);
  verify(dropped, pw, pa, pb);
  verify(backward, tw, tb, ta);
  const double flops = 2.0 * kRows * static_cast<double>(outputs * kInputs);
  char title[64];
  std::snprintf(title, sizeof title, "lora N %lld K %lld R %lld x %s",
                static_cast<long long>(outputs), static_cast<long long>(kInputs),
                static_cast<long long>(ranks), dtype_text(x_type));
  race(title,
       {{"frozen forward", flops, plain(forward)},
        {"lora forward", flops, call(forward)},
        {"  and down", flops, call(training)},
        {"  and lora_x", flops, call(dropped)}},
       ceilings, rounds);
  race(
      title,
      {{"frozen backward", flops, plain(backward)}, {"lora backward, down", flops, call(backward)}},
      ceilings, rounds);
}

void bench_gradient(precis_context* context, const Ceilings& ceilings, int rounds, int64_t m,
                    int64_t n, int64_t k, int32_t dy_type, int32_t x_type) {
  const GuardedTensor dy = filled(dy_type, m, n, 1, 1), x = filled(x_type, m, k, 2, 1);
  GuardedTensor dw(PRECIS_FLOAT32, {n, k}), want(PRECIS_FLOAT32, {2, k});
  std::vector<Contender> contenders;
  for (int32_t dtype : {PRECIS_BFLOAT16, PRECIS_FLOAT32}) {
    precis_weight_gradient_args args = {};
    args.dy = dy;
    args.x = x;
    args.dw = dw;
    args.alpha = 1;
    args.dtype = dtype;
    auto call = [context, args] { EXPECT_OK(context, precis_weight_gradient(context, &args)); };
    call();
    precis_weight_gradient_args last = args;
    last.dy.row_stride = n;
    last.dy.dims[1] = 2;
    last.dy.data = dy_type == PRECIS_BFLOAT16 ? static_cast<void*>(dy.data<uint16_t>() + n - 2)
                                              : static_cast<void*>(dy.data<float>() + n - 2);
    last.dw = want;
    weight_gradient_ref(last);
    expect_close(some_rows(dw, n - 2, 2), want, 1e-3, 1e-3, "weight_gradient");
    contenders.push_back({dtype_text(dtype), 2.0 * static_cast<double>(m * n * k), call, dtype});
  }
  char title[64];
  std::snprintf(title, sizeof title, "gradient M %lld N %lld K %lld", static_cast<long long>(m),
                static_cast<long long>(n), static_cast<long long>(k));
  race(title, contenders, ceilings, rounds);
}

void bench_loss(precis_context* context, const Ceilings& ceilings, int rounds) {
  constexpr int64_t kRows = 512, kWidth = 768, kTokens = 32128;
  const GuardedTensor w = filled(PRECIS_FLOAT32, kTokens, kWidth, 1, 0.1f);
  const GuardedTensor x = filled(PRECIS_BFLOAT16, kRows, kWidth, 2, 1);
  const GuardedTensor reference_x = filled(PRECIS_BFLOAT16, kRows, kWidth, 3, 1);
  const Packed pw(context, w, false), tw(context, w, true);
  GuardedTensor labels(PRECIS_INT32, {kRows}), losses(PRECIS_FLOAT32, {kRows});
  GuardedTensor dx(PRECIS_FLOAT32, {kRows, kWidth}), dw(PRECIS_FLOAT32, {kTokens, kWidth});
  GuardedTensor logits(PRECIS_FLOAT32, {kRows, kTokens});
  dw.fill(0);
  std::deque<GuardedTensor> vectors;
  auto vector = [&](float value) -> GuardedTensor& {
    return vectors.emplace_back(PRECIS_FLOAT32, std::vector<int64_t>{kRows}).fill(value);
  };
  for (int64_t m = 0; m < kRows; m++) {
    labels.data<int32_t>()[m] = static_cast<int32_t>(m * 61 % kTokens);
  }
  GuardedTensor want(PRECIS_FLOAT32, {1}), want_dx(PRECIS_FLOAT32, {1, kWidth});
  // The columns that the three have in common, and the totals in their last row.
  auto layer = [&](auto args) {
    args.x = x;
    args.w = pw.matrix;
    args.w_transposed = tw.matrix;
    args.scale = 1;
    return args;
  };
  auto check = [&](const GuardedTensor& loss, const char* name) {
    expect_close(some_rows(dx, kRows - 1, 1), want_dx, 1e-2, 1e-6, name);
    EXPECT(std::fabs(loss.data<float>()[kRows - 1] - want.data<float>()[0]) < 1e-4, "%s", name);
  };
  auto only_last = [&](precis_tensor& t) {
    if (t.data == nullptr) return;
    t.data = static_cast<float*>(t.data) + (kRows - 1);
    t.dims[0] = 1;
  };

  auto loss = layer(precis_linear_cross_entropy_args{});
  loss.labels = labels;
  loss.losses = losses;
  loss.grad_scale = 1.0f / kRows;
  auto loss_dx = loss;
  loss_dx.dx = dx;
  auto loss_dw = loss_dx;
  loss_dw.dw = dw;
  auto call_loss = [context](const precis_linear_cross_entropy_args& a) {
    return [context, a] { EXPECT_OK(context, precis_linear_cross_entropy(context, &a)); };
  };
  call_loss(loss_dx)();
  auto last_loss = loss_dx;
  last_loss.x = some_rows(x, kRows - 1, 1);
  only_last(last_loss.labels);
  last_loss.losses = want;
  last_loss.dx = want_dx;
  linear_cross_entropy_ref(last_loss, pw.pack);
  check(losses, "linear_cross_entropy");

  auto policy = layer(precis_log_probability_args{});
  policy.labels = labels;
  policy.log_probabilities = losses;
  auto policy_entropy = policy;
  policy_entropy.entropies = vector(0);
  auto policy_reference = policy_entropy;
  policy_reference.reference_x = reference_x;
  policy_reference.reference_w = pw.matrix;
  policy_reference.divergences = vector(0);
  auto policy_dx = policy;
  policy_dx.dlog_probabilities = vector(1.0f / kRows);
  policy_dx.dx = dx;
  auto policy_dw = policy_dx;
  policy_dw.dw = dw;
  auto call_policy = [context](const precis_log_probability_args& a) {
    return [context, a] { EXPECT_OK(context, precis_log_probability(context, &a)); };
  };
  call_policy(policy_dx)();
  auto last_policy = policy_dx;
  last_policy.x = some_rows(x, kRows - 1, 1);
  only_last(last_policy.labels);
  only_last(last_policy.dlog_probabilities);
  last_policy.log_probabilities = want;
  last_policy.dx = want_dx;
  log_probability_ref(last_policy, pw.pack, pw.pack);
  check(losses, "log_probability");

  auto ppo = layer(precis_ppo_loss_args{});
  ppo.actions = labels;
  ppo.weights = vector(1.0f / kRows);
  ppo.old_log_probabilities = vector(0);
  copy_elements(losses, ppo.old_log_probabilities);
  ppo.advantages = vector(0.5f);
  ppo.log_probabilities = losses;
  ppo.entropies = vector(0);
  ppo.policy_losses = vector(0);
  ppo.clip_range_low = ppo.clip_range_high = 0.2f;
  auto ppo_dx = ppo;
  ppo_dx.dx = dx;
  auto ppo_bonus = ppo_dx;
  ppo_bonus.entropy_coefficient = 0.01f;
  auto ppo_dw = ppo_bonus;
  ppo_dw.dw = dw;
  auto call_ppo = [context](const precis_ppo_loss_args& a) {
    return [context, a] { EXPECT_OK(context, precis_ppo_loss(context, &a)); };
  };
  for (const precis_ppo_loss_args& args : {ppo_dx, ppo_bonus}) {
    call_ppo(args)();
    auto last = args;
    last.x = some_rows(x, kRows - 1, 1);
    only_last(last.actions);
    only_last(last.weights);
    only_last(last.old_log_probabilities);
    only_last(last.advantages);
    last.log_probabilities = want;
    only_last(last.entropies);
    only_last(last.policy_losses);
    last.dx = want_dx;
    ppo_loss_ref(last, pw.pack);
    check(losses, "ppo_loss");
  }

  const double flops = 2.0 * kRows * static_cast<double>(kTokens * kWidth);
  const precis_matmul_args product = {x, pw.matrix, logits, 1, 0, 0, 0};
  race("loss M 512 D 768 V 32128",
       {{"logits alone", flops,
         [context, product] { EXPECT_OK(context, precis_matmul(context, &product)); }},
        {"cross-entropy", flops, call_loss(loss)},
        {"log-probability", flops, call_policy(policy)},
        {"with entropy", flops, call_policy(policy_entropy)},
        {"with divergence", 2 * flops, call_policy(policy_reference)},
        {"PPO", flops, call_ppo(ppo)},
        {"cross-entropy, dx", 2 * flops, call_loss(loss_dx)},
        {"log-probability, dx", 2 * flops, call_policy(policy_dx)},
        {"PPO, dx", 2 * flops, call_ppo(ppo_dx)},
        {"PPO with bonus, dx", 2 * flops, call_ppo(ppo_bonus)},
        {"cross-entropy, dx, dw", 3 * flops, call_loss(loss_dw)},
        {"log-probability, dx, dw", 3 * flops, call_policy(policy_dw)},
        {"PPO with bonus, dx, dw", 3 * flops, call_ppo(ppo_dw)}},
       ceilings, (rounds + 2) / 3);
}

void bench_pack(precis_context* context, const Ceilings& ceilings, int rounds) {
  constexpr int64_t kOutputs = 32128, kInputs = 768;
  for (int32_t type : {PRECIS_FLOAT32, PRECIS_BFLOAT16}) {
    const GuardedTensor w = filled(type, kOutputs, kInputs, 1, 0.1f);
    const Packed plain(context, w, false), transposed(context, w, true);
    auto call = [context](const precis_matmul_pack_args& args) {
      return [context, args] { EXPECT_OK(context, precis_matmul_pack(context, &args)); };
    };
    race((std::string("pack 24.7 M ") + dtype_text(type)).c_str(),
         {{"plain", 0, call(plain.pack)}, {"transposed", 0, call(transposed.pack)}}, ceilings,
         rounds);
  }
}

}  // namespace

int main(int argc, char** argv) {
  int threads = 0, rounds = 30;
  const char* only = "";
  for (int i = 1; i + 1 < argc; i += 2) {
    if (std::strcmp(argv[i], "--threads") == 0) threads = std::atoi(argv[i + 1]);
    if (std::strcmp(argv[i], "--rounds") == 0) rounds = std::atoi(argv[i + 1]);
    if (std::strcmp(argv[i], "--only") == 0) only = argv[i + 1];
  }
  TestContext context(nullptr, threads);
  if (context.status() != PRECIS_OK) {
    std::printf("%s\n", context.error().c_str());
    return 2;
  }
  precis_context_info info;
  EXPECT_OK(context, precis_context_describe(context, &info));
  threads = info.threads;
  std::printf("%s, %d threads\n", info.isa, threads);
  const Ceilings ceilings(threads);
  ceilings.print();
  auto wanted = [&](const char* name) { return std::strstr(name, only) != nullptr; };
  if (wanted("lora")) {
    for (int32_t x_type : {PRECIS_BFLOAT16, PRECIS_FLOAT32}) {
      bench_lora(context, ceilings, rounds, 768, 32, x_type);
      bench_lora(context, ceilings, rounds, 2304, 32, x_type);
    }
  }
  if (wanted("gradient")) {
    for (int64_t m : {512, 2048}) {
      bench_gradient(context, ceilings, rounds, m, 768, 32, PRECIS_BFLOAT16, PRECIS_FLOAT32);
      bench_gradient(context, ceilings, rounds, m, 32, 768, PRECIS_FLOAT32, PRECIS_BFLOAT16);
    }
    const int64_t shapes[][2] = {{768, 768}, {2304, 768}, {4096, 768}, {768, 2048}};
    for (auto [n, k] : shapes) {
      bench_gradient(context, ceilings, rounds, 2048, n, k, PRECIS_BFLOAT16, PRECIS_BFLOAT16);
    }
    bench_gradient(context, ceilings, (rounds + 2) / 3, 512, 32128, 768, PRECIS_BFLOAT16,
                   PRECIS_BFLOAT16);
  }
  if (wanted("loss")) bench_loss(context, ceilings, rounds);
  if (wanted("pack")) bench_pack(context, ceilings, rounds);
  return test_result();
}
