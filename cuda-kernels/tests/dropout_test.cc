#include "ops/dropout.h"

#include "elementwise_cases.h"

using namespace precis;

int main() {
  return run_test(2, [](TestDevice& device) {
    Random random(6);
    for_elementwise_cases(random, [&](ElementwiseCase& c) {
      const int32_t y_type = c.y.tensor().dtype;
      for (int32_t accumulate : {0, 1}) {
        if (accumulate && y_type != PRECIS_FLOAT32) continue;
        c.y.fill(0.5f);
        c.want.fill(0.5f);
        const uint64_t seed = random.next(), offset = random.next();
        const float probability = rows(c.x) % 2 ? 0.3f : 0.0f;
        GuardedTensor names(PRECIS_INT64, {rows(c.x)});
        for (int64_t m = 0; m < rows(c.x); m++) {
          names.data<int64_t>()[m] = static_cast<int64_t>(random.next());
        }
        const bool named = rows(c.x) % 4 != 1;
        OnDevice x_(c.x), y_(c.y), names_(names);
        precis_dropout_args args = {x_, y_, seed, offset, probability, accumulate, {}};
        if (named) args.dropout_rows = names_;
        EXPECT_RUN(device, dropout_cuda(device.context(), args));
        y_.download();
        args.x = c.x;
        args.y = c.want;
        if (named) args.dropout_rows = names;
        dropout_ref(args);
        expect_close(c.y, c.want, rounding(y_type), 2e-7, device.name());
      }
    });
    GuardedTensor empty(PRECIS_FLOAT32, {0, 5});
    OnDevice empty_(empty);
    EXPECT_RUN(device, dropout_cuda(device.context(), {empty_, empty_, 1, 1, 0.5f, 0, {}}));
  });
}
