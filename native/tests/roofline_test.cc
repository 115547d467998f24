// Tests libprecis_roofline: every loop executes the operations that it counts, and is timed.

#include "roofline.h"

#include <string>

#include "test.h"

namespace {

std::string kind(int32_t loop) {
  const std::string text = precis_roofline_describe(loop);
  return text.substr(0, text.find(','));
}

// An emulator is slower than any processor; no thread of a processor is faster.
constexpr double kLeast = 1e6, kMost = 1e15;

}  // namespace

int main() {
  const int32_t count = precis_roofline_count();
  std::string kinds;
  for (int32_t i = 0; i < count; i++) {
    const char* text = precis_roofline_describe(i);
    const bool memory = kind(i) == "read" || kind(i) == "update";
    for (int64_t steps : {1, 7, 1000}) {
      double counted = 0;
      const double sum = precis_roofline_check(i, steps, &counted);
      if (memory) {
        EXPECT(sum == -1, "%s: %g", text, sum);
      } else {
        EXPECT(sum > 0 && 2 * sum == counted, "%s: %g of %g", text, 2 * sum, counted);
      }
    }
    const double rate = precis_roofline_measure(i, nullptr, 1, 1 << 20, 0.01);
    EXPECT(rate > kLeast && rate < kMost, "%s: %g", text, rate);
    std::printf("%-50s %.4g\n", text, rate);
    kinds += kind(i) + " ";
  }
  for (const char* each : {"read ", "update ", "float32 "}) {
    EXPECT(kinds.find(each) != std::string::npos, "%s", each);
  }
  // Two threads on one core, and arrays that are smaller than a block.
  const int32_t cores[] = {0, 0};
  EXPECT(precis_roofline_measure(0, cores, 2, 1, 0) > 0);
  EXPECT(precis_roofline_cache() >= 1 << 18);

  double counted = 0;
  EXPECT(precis_roofline_describe(-1) == nullptr);
  EXPECT(precis_roofline_describe(count) == nullptr);
  EXPECT(precis_roofline_measure(-1, nullptr, 1, 1, 0) == 0);
  EXPECT(precis_roofline_measure(0, nullptr, 0, 1, 0) == 0);
  EXPECT(precis_roofline_measure(0, nullptr, 1, 0, 0) == 0);
  EXPECT(precis_roofline_measure(0, nullptr, 1, 1, -1) == 0);
  EXPECT(precis_roofline_check(-1, 1, &counted) == -1);
  for (int32_t i = 0; i < count; i++) {
    EXPECT(precis_roofline_check(i, 0, &counted) == -1);
    EXPECT(precis_roofline_check(i, 1001, &counted) == -1);
    EXPECT(precis_roofline_check(i, 1, nullptr) == -1);
  }
  return precis::test_result();
}
