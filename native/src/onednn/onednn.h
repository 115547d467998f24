// oneDNN as the engine of matrix products, loaded at run time from libprecis_onednn.so beside
// libprecis. It runs sequentially inside each of our threads, on the weights as we pack them.
#ifndef PRECIS_ONEDNN_ONEDNN_H_
#define PRECIS_ONEDNN_ONEDNN_H_

#include <cstdint>
#include <string>
#include <vector>

#include "onednn/plugin.h"

namespace precis {

class OneDnn {
 public:
  // Loads the plugin. Throws Error (PRECIS_UNSUPPORTED) with the reason where that fails.
  explicit OneDnn(int threads);
  ~OneDnn();
  OneDnn(const OneDnn&) = delete;
  OneDnn& operator=(const OneDnn&) = delete;

  const char* version() const;
  const char* path() const;

  // Tells whether oneDNN has a fast product of weights of this dtype for the processor: without
  // AVX-512 it has none of bfloat16, and without AVX-512 and AVX-VNNI none of int8.
  bool multiplies(int32_t dtype) const;

  // The product of so many rows and tiles, made at its first use and kept. Throws Error. Valid
  // until release_surplus.
  precis_onednn_product* product(int64_t rows, int64_t tiles, int64_t inputs, int64_t x_stride,
                                 int32_t dtype);
  // Forgets products when there are more than any model needs. Between two operations.
  void release_surplus();

  // Runs what product returned, on one of the context's threads. Returns false if oneDNN failed.
  bool multiply(precis_onednn_product* product, int thread, const void* x, const void* w,
                void* y) const;

 private:
  struct Entry {
    precis_onednn_product_args args;
    precis_onednn_product* product;
  };

  // Returns nullptr where there is none: error says why.
  precis_onednn_product* create(const precis_onednn_product_args& args, char (&error)[128]) const;

  const precis_onednn_plugin* plugin_;
  int threads_;
  std::vector<Entry> entries_;
};

// From how many rows on products go to oneDNN, by the dtype of the weights.
struct OneDnnRule {
  static constexpr int64_t kNever = INT64_MAX;
  int64_t float32 = kNever;
  int64_t bfloat16 = kNever;
  int64_t int8 = kNever;
};

}  // namespace precis

#endif  // PRECIS_ONEDNN_ONEDNN_H_
