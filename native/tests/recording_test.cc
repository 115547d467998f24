// Recordings on the CPU: calls that are made again see what has become of the memory, and no
// structure of the caller.

#include <cstring>

#include "test.h"

using namespace precis;

namespace {

void fill(const precis_tensor& t, float value) {
  for (int64_t c = 0; c < columns(t); c++) store_element(t, 0, c, value);
}

// y += x, then z = y.
precis_status add_and_convert(precis_context* context, const precis_tensor& x,
                              const precis_tensor& y, const precis_tensor& z) {
  precis_add_args add = {x, y, 1, 0};
  precis_convert_args convert = {y, z};
  const precis_status status = precis_add(context, &add);
  const precis_status second = precis_convert(context, &convert);
  std::memset(&add, 0xff, sizeof add);
  std::memset(&convert, 0xff, sizeof convert);
  return status != PRECIS_OK ? status : second;
}

void test_replay(TestContext& context) {
  GuardedTensor x(PRECIS_FLOAT32, {1, 5000}), y(PRECIS_FLOAT32, {1, 5000}),
      z(PRECIS_BFLOAT16, {1, 5000});
  x.fill(1);
  y.fill(0);
  z.fill(-1);
  precis_recording* recording = nullptr;
  EXPECT_OK(context, precis_record_begin(context));
  EXPECT_OK(context, add_and_convert(context, x, y, z));
  EXPECT_OK(context, precis_record_end(context, &recording));
  EXPECT(y.at(0, 0) == 0 && z.at(0, 0) == -1, "%s ran what it recorded", context.name());

  int32_t replayed = 0;
  for (int i = 1; i <= 3; i++) {
    EXPECT_OK(context, precis_replay(context, recording, &replayed));
    EXPECT(replayed == 1);
    EXPECT(y.at(0, 4999) == i && z.at(0, 4999) == i, "%s replay %d", context.name(), i);
  }
  fill(x, 4);
  EXPECT_OK(context, precis_replay(context, recording, &replayed));
  EXPECT(z.at(0, 0) == 7, "%s: x has changed", context.name());
  EXPECT(y.intact() && z.intact(), "%s", context.name());
  precis_context_info info;
  EXPECT_OK(context, precis_context_describe(context, &info));
  EXPECT(info.replays == 4);

  EXPECT_OK(context, precis_cancel(context, 1));
  EXPECT(precis_replay(context, recording, &replayed) == PRECIS_CANCELLED);
  EXPECT_OK(context, precis_cancel(context, 0));
  EXPECT(y.at(0, 0) == 7);

  void* memory = nullptr;
  EXPECT_OK(context, precis_allocate(context, 4096, &memory));
  EXPECT_OK(context, precis_replay(context, recording, &replayed));
  EXPECT(replayed == 1 && y.at(0, 0) == 11);
  EXPECT_OK(context, precis_free(context, memory, 4096));
  EXPECT_OK(context, precis_replay(context, recording, &replayed));
  EXPECT(replayed == 0 && y.at(0, 0) == 11, "%s: memory was freed", context.name());
  EXPECT_OK(context, precis_recording_destroy(context, recording));
}

// What arrays say may change between replays, so each replay checks it.
void test_contents(TestContext& context) {
  GuardedTensor table(PRECIS_FLOAT32, {3, 16}), ids(PRECIS_INT32, {2}), y(PRECIS_FLOAT32, {2, 16});
  for (int64_t r = 0; r < 3; r++) {
    for (int64_t c = 0; c < 16; c++) store_element(table, r, c, static_cast<float>(r));
  }
  ids.data<int32_t>()[0] = ids.data<int32_t>()[1] = 1;
  precis_embedding_args args = {table, ids, y, {}};
  precis_recording* recording = nullptr;
  EXPECT_OK(context, precis_record_begin(context));
  EXPECT_OK(context, precis_embedding(context, &args));
  EXPECT_OK(context, precis_record_end(context, &recording));
  int32_t replayed = 0;
  EXPECT_OK(context, precis_replay(context, recording, &replayed));
  EXPECT(y.at(1, 15) == 1);
  ids.data<int32_t>()[1] = 2;
  EXPECT_OK(context, precis_replay(context, recording, &replayed));
  EXPECT(y.at(0, 15) == 1 && y.at(1, 15) == 2);
  ids.data<int32_t>()[1] = 3;
  EXPECT_REFUSED(context, precis_replay(context, recording, &replayed), "embedding");
  EXPECT(y.at(1, 15) == 2);
  EXPECT_OK(context, precis_recording_destroy(context, recording));
}

void test_invalid(TestContext& context) {
  GuardedTensor x(PRECIS_FLOAT32, {2, 8}), y(PRECIS_FLOAT32, {2, 7});
  x.fill(1);
  y.fill(2);
  precis_add_args args = {x, y, 1, 0};
  precis_recording* recording = nullptr;
  EXPECT_REFUSED(context, precis_record_end(context, &recording), "nothing is recorded");
  EXPECT_OK(context, precis_record_begin(context));
  EXPECT_REFUSED(context, precis_add(context, &args), "y has 7 as dimension 1");
  EXPECT_REFUSED(context, precis_record_end(context, &recording), "y has 7 as dimension 1");
  EXPECT(recording == nullptr);

  EXPECT_OK(context, precis_record_begin(context));
  EXPECT_REFUSED(context, precis_record_begin(context), "while operations are recorded");
  EXPECT_REFUSED(context, precis_record_end(context, &recording), "while operations are recorded");
  EXPECT_OK(context, precis_record_begin(context));
  EXPECT_REFUSED(context, precis_synchronize(context), "while operations are recorded");
  EXPECT_REFUSED(context, precis_record_end(context, &recording), "while operations are recorded");

  GuardedTensor z(PRECIS_FLOAT32, {2, 8});
  z.fill(0);
  args.y = z;
  EXPECT_OK(context, precis_record_begin(context));
  EXPECT_OK(context, precis_add(context, &args));
  EXPECT_OK(context, precis_record_end(context, nullptr));
  EXPECT(z.at(0, 0) == 0, "a dropped capture ran");
  EXPECT_OK(context, precis_add(context, &args));
  EXPECT(z.at(0, 0) == 1);
  EXPECT_OK(context, precis_recording_destroy(context, nullptr));
}

}  // namespace

int main() {
  for (TestContext& context : all_contexts()) {
    test_replay(context);
    test_contents(context);
    test_invalid(context);
  }
  return test_result();
}
