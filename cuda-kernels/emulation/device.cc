#include "device.h"

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

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

thread_local int running_device = -1;
thread_local const Device* running = nullptr;  // kept, because every sum of products asks

const Device* device_named(const std::string& name) {
  for (const Device& each : kDevices) {
    if (name == each.name) return &each;
  }
  std::fprintf(stderr,
               "PRECIS_EMULATION_DEVICE has '%s': set it to hopper, ampere or ada, or several with "
               "commas between them, or unset it\n",
               name.c_str());
  std::abort();
}

std::vector<const Device*> read_devices() {
  constexpr int kUsual = 2;
  std::vector<const Device*> all;
  const char* names = std::getenv("PRECIS_EMULATION_DEVICE");
  std::string rest = names == nullptr ? kDevices[0].name : names;
  for (;;) {
    const size_t comma = rest.find(',');
    all.push_back(device_named(rest.substr(0, comma)));
    if (comma == std::string::npos) break;
    rest.erase(0, comma + 1);
  }
  const char* number = std::getenv("PRECIS_EMULATION_DEVICES");
  const int wanted = number == nullptr ? kUsual : std::atoi(number);
  if (wanted < 1 || wanted > kMostDevices || all.size() > kMostDevices) {
    std::fprintf(
        stderr,
        "PRECIS_EMULATION_DEVICES is '%s', with %zu names: set it to 1 to %d, or unset it\n",
        number == nullptr ? "" : number, all.size(), kMostDevices);
    std::abort();
  }
  while (all.size() < static_cast<size_t>(wanted)) all.push_back(all.back());
  return all;
}

const std::vector<const Device*>& devices() {
  static const std::vector<const Device*> all = read_devices();
  return all;
}

}  // namespace

int device_count() { return static_cast<int>(devices().size()); }

const Device& device(int index) { return *devices()[static_cast<size_t>(index)]; }

int device_index() {
  if (running_device >= 0) return running_device;
  return current_devices().empty() ? 0 : current_devices().back();
}

const Device& device() { return running != nullptr ? *running : device(device_index()); }

std::vector<int>& current_devices() {
  static thread_local std::vector<int> current;
  return current;
}

namespace {

void run_on(int index) {
  running_device = index;
  running = index >= 0 ? &device(index) : nullptr;
}

}  // namespace

RunningDevice::RunningDevice(int index) : before_(running_device) { run_on(index); }
RunningDevice::~RunningDevice() { run_on(before_); }

float tensor_core_sum(const float* a, const float* b, int n, float c) {
  const int terms = device().terms;
  for (int i = 0; i < n; i += terms) {
    c = sum_of_group(a + i, b + i, n - i < terms ? n - i : terms, c);
  }
  return c;
}

}  // namespace emulation
}  // namespace precis
