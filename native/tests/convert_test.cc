#include "ops/convert.h"

#include "test.h"

using namespace precis;

int main() {
  Random random(2);
  for (TestContext& context : all_contexts()) {
    for (int64_t n : {0, 1, 7, 8, 15, 16, 17, 33, 1000}) {
      for (int32_t from : {PRECIS_FLOAT32, PRECIS_BFLOAT16}) {
        for (int32_t to : {PRECIS_FLOAT32, PRECIS_BFLOAT16}) {
          GuardedTensor x(from, {37, n}, 1, 1), y(to, {37, n}, 5, 3), want(to, {37, n});
          // Every bit pattern is tested: denormals, infinities, NaN, ties.
          for (int64_t r = 0; r < 37; r++) {
            for (int64_t c = 0; c < n; c++) {
              uint32_t bits = static_cast<uint32_t>(random.next());
              if (c % 5 == 0) bits = (bits & 0xffff0000u) | 0x8000u;
              if (c % 11 == 3) bits = (bits & 0x807fffffu) | 0x7f800000u;
              if (c % 13 == 5) bits &= 0x807fffffu;
              float f;
              std::memcpy(&f, &bits, sizeof f);
              if (from == PRECIS_FLOAT32) {
                row<float>(x, r)[c] = f;
              } else {
                row<uint16_t>(x, r)[c] = static_cast<uint16_t>(bits >> 16);
              }
            }
          }
          precis_convert_args args = {x, y};
          EXPECT_OK(context, precis_convert(context, &args));
          EXPECT(y.intact());
          args.y = want;
          convert_ref(args);
          bool same = true;
          for (int64_t r = 0; r < 37; r++) {
            const float *g = row<float>(y, r), *w = row<float>(want, r);
            if (to == PRECIS_FLOAT32) {
              same &= n == 0 || std::memcmp(g, w, n * 4) == 0;
            } else {
              same &=
                  n == 0 || std::memcmp(row<uint16_t>(y, r), row<uint16_t>(want, r), n * 2) == 0;
            }
          }
          EXPECT(same, "%s n %lld from %d to %d", context.name(), static_cast<long long>(n), from,
                 to);
        }
      }
    }
    GuardedTensor x(PRECIS_FLOAT32, {2, 8}), y(PRECIS_FLOAT32, {2, 9});
    precis_convert_args args = {x, y};
    EXPECT_REFUSED(context, precis_convert(context, &args), "y has 9");
  }
  return test_result();
}
