// Compares buckets with values of transformers' T5Attention._relative_position_bucket.

#include "ops/relative_position.h"

#include "test.h"

using namespace precis;

int main() {
  struct Case {
    int32_t buckets, max_distance;
    bool bidirectional;
    int64_t relative;
    int32_t bucket;
  };
  const Case cases[] = {
      {32, 128, true, -4096, 15},  {32, 128, true, -129, 15},  {32, 128, true, -128, 15},
      {32, 128, true, -127, 15},   {32, 128, true, -65, 14},   {32, 128, true, -64, 14},
      {32, 128, true, -63, 13},    {32, 128, true, -33, 12},   {32, 128, true, -32, 12},
      {32, 128, true, -31, 11},    {32, 128, true, -17, 10},   {32, 128, true, -16, 10},
      {32, 128, true, -9, 8},      {32, 128, true, -8, 8},     {32, 128, true, -7, 7},
      {32, 128, true, -1, 1},      {32, 128, true, 0, 0},      {32, 128, true, 1, 17},
      {32, 128, true, 8, 24},      {32, 128, true, 9, 24},     {32, 128, true, 32, 28},
      {32, 128, true, 33, 28},     {32, 128, true, 128, 31},   {32, 128, true, 4096, 31},
      {32, 128, false, -4096, 31}, {32, 128, false, -129, 31}, {32, 128, false, -128, 31},
      {32, 128, false, -127, 31},  {32, 128, false, -65, 26},  {32, 128, false, -64, 26},
      {32, 128, false, -63, 26},   {32, 128, false, -33, 21},  {32, 128, false, -32, 21},
      {32, 128, false, -31, 21},   {32, 128, false, -17, 16},  {32, 128, false, -16, 16},
      {32, 128, false, -15, 15},   {32, 128, false, -1, 1},    {32, 128, false, 0, 0},
      {32, 128, false, 1, 0},      {32, 128, false, 16, 0},    {32, 128, false, 17, 0},
      {32, 128, false, 32, 0},     {32, 128, false, 33, 0},    {32, 128, false, 128, 0},
      {32, 128, false, 4096, 0},   {8, 20, true, -4096, 3},    {8, 20, true, -65, 3},
      {8, 20, true, -64, 3},       {8, 20, true, -63, 3},      {8, 20, true, -33, 3},
      {8, 20, true, -32, 3},       {8, 20, true, -31, 3},      {8, 20, true, -21, 3},
      {8, 20, true, -20, 3},       {8, 20, true, -19, 3},      {8, 20, true, -17, 3},
      {8, 20, true, -16, 3},       {8, 20, true, -3, 2},       {8, 20, true, -2, 2},
      {8, 20, true, -1, 1},        {8, 20, true, 0, 0},        {8, 20, true, 1, 5},
      {8, 20, true, 2, 6},         {8, 20, true, 3, 6},        {8, 20, true, 20, 7},
      {8, 20, true, 32, 7},        {8, 20, true, 33, 7},       {8, 20, true, 4096, 7},
      {33, 100, false, -4096, 32}, {33, 100, false, -101, 32}, {33, 100, false, -100, 32},
      {33, 100, false, -99, 32},   {33, 100, false, -65, 29},  {33, 100, false, -64, 28},
      {33, 100, false, -63, 28},   {33, 100, false, -33, 22},  {33, 100, false, -32, 22},
      {33, 100, false, -31, 22},   {33, 100, false, -17, 16},  {33, 100, false, -16, 16},
      {33, 100, false, -15, 15},   {33, 100, false, -1, 1},    {33, 100, false, 0, 0},
      {33, 100, false, 1, 0},      {33, 100, false, 16, 0},    {33, 100, false, 17, 0},
      {33, 100, false, 32, 0},     {33, 100, false, 33, 0},    {33, 100, false, 100, 0},
      {33, 100, false, 4096, 0},   {64, 256, true, -4096, 31}, {64, 256, true, -257, 31},
      {64, 256, true, -256, 31},   {64, 256, true, -255, 31},  {64, 256, true, -65, 24},
      {64, 256, true, -64, 24},    {64, 256, true, -63, 23},   {64, 256, true, -33, 20},
      {64, 256, true, -32, 20},    {64, 256, true, -31, 19},   {64, 256, true, -17, 16},
      {64, 256, true, -16, 16},    {64, 256, true, -15, 15},   {64, 256, true, -1, 1},
      {64, 256, true, 0, 0},       {64, 256, true, 1, 33},     {64, 256, true, 16, 48},
      {64, 256, true, 17, 48},     {64, 256, true, 32, 52},    {64, 256, true, 33, 52},
      {64, 256, true, 256, 63},    {64, 256, true, 4096, 63},
  };
  for (const Case& c : cases) {
    const int32_t got =
        relative_position_bucket(c.relative, c.buckets, c.max_distance, c.bidirectional);
    EXPECT(got == c.bucket, "%d buckets to %d, %s, distance %lld: %d, not %d", c.buckets,
           c.max_distance, c.bidirectional ? "both ways" : "past",
           static_cast<long long>(c.relative), got, c.bucket);
  }
  // The vector along a diagonal is the bucket function, position by position.
  Random random(3);
  for (bool bidirectional : {false, true}) {
    for (int64_t longest : {1, 7, 200}) {
      GuardedTensor table(PRECIS_FLOAT32, {32, 3}, 2);
      table.fill_normal(random);
      std::vector<int32_t> memory(relative_bias_words(128, longest));
      const RelativeBias bias = relative_bias(table, 128, bidirectional, longest, memory.data());
      std::vector<float> values(2 * longest - 1);
      const int64_t first = 1 - longest, count = 2 * longest - 1;
      fill_relative_bias(bias, 1, first, count, values.data());
      for (int64_t i = 0; i < count; i++) {
        const int32_t bucket = relative_position_bucket(first + i, 32, 128, bidirectional);
        EXPECT(values[i] == table.at(bucket, 1), "relative position %lld",
               static_cast<long long>(first + i));
      }
    }
  }
  return test_result();
}
