#include "device.h"

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace precis {
namespace emulation {
namespace {

constexpr Device kDevices[] = {
    {"hopper", 9, 0, size_t{227} << 10, 16, 25},
    {"ampere", 8, 0, size_t{163} << 10, 8, 24},
    {"ada", 8, 9, size_t{99} << 10, 8, 24},
};
constexpr int kMostTerms = 16;

constexpr int kFraction = 23;  // bits of float32 behind the point

// The value is significand 2^(exponent - 23).
struct Parts {
  int64_t significand;
  int exponent;
};

Parts parts_of(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  int exponent = static_cast<int>(bits >> kFraction & 255);
  int64_t significand = bits & 0x7fffff;
  if (exponent == 0) {
    exponent = 1;
  } else {
    significand |= 0x800000;
  }
  return {(bits >> 31) != 0 ? -significand : significand, exponent - 127};
}

// Shifts toward zero.
int64_t shifted_right(int64_t v, int right) {
  if (right <= 0) return v * (int64_t{1} << -right);
  if (right > 62) return 0;
  return v < 0 ? -(-v >> right) : v >> right;
}

float sum_of_group(const float* a, const float* b, int n, float c) {
  double plain = c;
  for (int i = 0; i < n; i++) plain += double{a[i]} * b[i];
  if (!std::isfinite(plain)) return static_cast<float>(plain);
  const int bits = device().bits;
  const Parts start = parts_of(c);
  Parts term[kMostTerms];
  int largest = start.exponent;
  for (int i = 0; i < n; i++) {
    const Parts x = parts_of(a[i]), y = parts_of(b[i]);
    term[i] = {x.significand * y.significand, x.exponent + y.exponent};
    if (term[i].significand != 0 && term[i].exponent > largest) largest = term[i].exponent;
  }
  int64_t sum = shifted_right(start.significand, kFraction - bits + largest - start.exponent);
  for (int i = 0; i < n; i++) {
    if (term[i].significand == 0) continue;
    sum += shifted_right(term[i].significand, 2 * kFraction - bits + largest - term[i].exponent);
  }
  const double exact = std::ldexp(static_cast<double>(sum), largest - bits);
  const float nearest = static_cast<float>(exact);
  const bool further = std::fabs(static_cast<double>(nearest)) > std::fabs(exact);
  return further && std::isfinite(nearest) ? std::nextafterf(nearest, 0.0f) : nearest;
}

}  // namespace

const Device& device() {
  static const Device& chosen = []() -> const Device& {
    const char* wish = std::getenv("PRECIS_EMULATION_DEVICE");
    if (wish == nullptr) return kDevices[0];
    for (const Device& each : kDevices) {
      if (std::strcmp(each.name, wish) == 0) return each;
    }
    std::fprintf(stderr,
                 "PRECIS_EMULATION_DEVICE is '%s': set it to hopper, ampere or ada, or unset it\n",
                 wish);
    std::abort();
  }();
  return chosen;
}

float tensor_core_sum(const float* a, const float* b, int n, float c) {
  const int terms = device().terms;
  for (int i = 0; i < n; i += terms) {
    c = sum_of_group(a + i, b + i, n - i < terms ? n - i : terms, c);
  }
  return c;
}

}  // namespace emulation
}  // namespace precis
