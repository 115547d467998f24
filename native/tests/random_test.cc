// Compares Philox with the known answers of Random123, and the portable functions with double.

#include <algorithm>

#include "random/dropout_mask.h"
#include "random/gumbel.h"
#include "test.h"

using namespace precis;

namespace {

void known_answer(Philox counter, uint32_t key0, uint32_t key1, Philox want) {
  const Philox got = philox4x32_10(counter, key0, key1);
  for (int i = 0; i < 4; i++) {
    EXPECT(got.word[i] == want.word[i], "word %d is %08x, not %08x", i, got.word[i], want.word[i]);
  }
}

// Returns the error of got in units of the last place of want.
double ulps(float got, double want) {
  int exponent;
  std::frexp(want, &exponent);
  return std::fabs(got - want) / std::ldexp(1.0, std::max(exponent, -125) - 24);
}

// Dropout keeps the right fraction, and masks of neighboring streams are independent.
void expect_dropout(float probability) {
  const int n = 1 << 18;
  const uint32_t threshold = dropout_threshold(probability);
  auto keeps = [&](uint64_t seed, uint64_t offset, uint64_t first, int i) {
    return dropout_keeps(seed, offset, first + static_cast<uint64_t>(i), threshold);
  };
  const double keep = 1 - static_cast<double>(probability);
  auto expect_share = [&](int count, double share, const char* what) {
    const double sigma = std::sqrt(n * share * (1 - share));
    EXPECT(std::fabs(count - n * share) <= 5 * sigma, "%s: %d of %d at %g", what, count, n,
           probability);
  };
  int kept = 0, next = 0, seeds = 0, offsets = 0, rows = 0;
  for (int i = 0; i < n; i++) {
    if (!keeps(7, 1, 0, i)) continue;
    kept++;
    next += keeps(7, 1, 0, i + 1);
    seeds += keeps(8, 1, 0, i);
    offsets += keeps(7, 2, 0, i);
    rows += keeps(7, 1, attention_dropout_index(1, 12, 0, 0), i);
  }
  expect_share(kept, keep, "kept");
  expect_share(next, keep * keep, "neighbours");
  expect_share(seeds, keep * keep, "seeds");
  expect_share(offsets, keep * keep, "offsets");
  expect_share(rows, keep * keep, "rows");
}

}  // namespace

int main() {
  const uint32_t all = 0xffffffffu;
  known_answer({{0, 0, 0, 0}}, 0, 0, {{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}});
  known_answer({{all, all, all, all}}, all, all,
               {{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}});
  known_answer({{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}}, 0xa4093822, 0x299f31d0,
               {{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}});
  for (uint64_t i : {0, 1, 2, 3, 4, 7, 30, 1001}) {
    EXPECT(philox_word({{5, 6, 7, 8}}, i) == 5 + i % 4);
  }

  for (float probability : {0.1f, 0.5f, 0.9f}) expect_dropout(probability);
  EXPECT(dropout_threshold(0) == 0 && dropout_threshold(0.5f) == 0x80000000u);
  EXPECT(dropout_threshold(0.99999994f) == 0xffffff00u);
  // A change of the counters' layout would change the masks, and runs could not be resumed.
  const uint64_t seed = 0x299f31d0a4093822u, offset = 0x0370734413198a2eu;
  EXPECT(dropout_counter(offset, 0x3c4d5e6f7a8b9cadu).word[0] == 0xdea2e72du);
  EXPECT(dropout_word(seed, offset, 0x3c4d5e6f7a8b9cadu) == 0xdc5b5539u);

  // The bit patterns are tested in prime steps: about two million values each.
  double worst_exp = 0, worst_log = 0;
  for (uint32_t bits = 0x32000000u; bits < 0x42ac0000u; bits += 131) {  // 7e-9 .. 86
    const float x = float_of_bits(bits);
    worst_exp = std::max(worst_exp, ulps(portable_exp(-x), std::exp(-double{x})));
    worst_exp = std::max(worst_exp, ulps(portable_exp(x), std::exp(double{x})));
  }
  for (uint32_t bits = 0x00800000u; bits < 0x7f800000u; bits += 1009) {
    const float x = float_of_bits(bits);
    if (x != 1) worst_log = std::max(worst_log, ulps(portable_log(x), std::log(double{x})));
  }
  for (uint32_t bits = 0x3f000000u; bits < 0x40000000u; bits += 13) {  // 0.5 .. 2
    const float x = float_of_bits(bits);
    if (x != 1) worst_log = std::max(worst_log, ulps(portable_log(x), std::log(double{x})));
  }
  std::printf("exp %.3f ulp, log %.3f ulp\n", worst_exp, worst_log);
  EXPECT(worst_exp < 1.1, "%g", worst_exp);
  EXPECT(worst_log < 1.1, "%g", worst_log);
  EXPECT(portable_exp(0) == 1 && portable_log(1) == 0);
  EXPECT(portable_exp(-86.5f) == 0 && portable_exp(-INFINITY) == 0 && portable_exp(-3e38f) == 0);

  // Every noise value is finite, close to double, increasing with the bits and below its bound.
  float before = -INFINITY;
  for (uint64_t bits = 0; bits <= all; bits += bits < 4096 || bits > all - 4096 ? 2 : 4093) {
    const double u = (static_cast<double>(bits >> 1) + 0.5) / 2147483648.0;
    const double e = bits >> 31 ? -std::log1p(-(1 - u)) : -std::log(u);
    const float got = gumbel_of_bits(static_cast<uint32_t>(bits));
    if (!(std::fabs(got + std::log(e)) < 2e-6) || got < before - 1e-6f) {
      EXPECT(false, "noise of %08x is %g, not %g", static_cast<uint32_t>(bits), got, -std::log(e));
      break;
    }
    before = got;
  }
  EXPECT(gumbel_of_bits(all) < kLargestGumbel && gumbel_of_bits(all) > 22.18f);
  EXPECT(gumbel_of_bits(0) > -3.2f && gumbel_of_bits(0) < -3);

  // The mean and variance of a Gumbel variable are Euler's constant and pi^2 / 6.
  double sum = 0, squares = 0;
  const int count = 1 << 20;
  for (int i = 0; i < count; i++) {
    const double g = gumbel_noise(1, 2, 3, static_cast<uint32_t>(i));
    sum += g;
    squares += g * g;
  }
  const double mean = sum / count;
  EXPECT(std::fabs(mean - 0.5772156649) < 5 * 1.2825 / 1024, "%g", mean);
  EXPECT(std::fabs(squares / count - mean * mean - 1.6449340668) < 0.02, "%g", squares / count);
  return test_result();
}
