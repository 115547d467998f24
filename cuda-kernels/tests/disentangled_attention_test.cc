#include "ops/disentangled_attention.h"

#include "device_test.h"
#include "disentangled_attention_cases.h"

using namespace precis;

namespace {

void check(TestDevice& device, const DisentangledCase& c, Random& random) {
  DisentangledInputs in(c, random);
  GuardedTensor out(c.out_dtype, {in.tokens, in.inner}, 3, 1);
  GuardedTensor want(c.out_dtype, {in.tokens, in.inner});
  in.args.out = want;
  disentangled_attention_ref(in.args);
  OnDevice qkv(in.qkv), keys(in.keys), queries(in.queries), out_(out);
  DeviceArray<int32_t> offsets(in.offsets);
  in.put(c, qkv, keys, queries);
  in.args.offsets = offsets;
  in.args.out = out_;
  EXPECT_RUN(device, disentangled_attention_cuda(device.context(), in.args));
  out_.download();
  const std::string what = std::string(device.name()) + " " + c.name();
  expect_close(out, want, rounding(c.out_dtype), c.absolute(), what.c_str());
}

}  // namespace

int main() {
  return run_test(3, [](TestDevice& device) {
    Random random(5);
    for (const DisentangledCase& c : disentangled_cases()) check(device, c, random);
  });
}
