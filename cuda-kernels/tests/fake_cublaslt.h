// The recorded calls of tests/fake_cublaslt.cc, a shared library with cuBLASLt's interface that
// multiplies on the host and uses nothing but the descriptors.
#ifndef PRECIS_CUDA_TESTS_FAKE_CUBLASLT_H_
#define PRECIS_CUDA_TESTS_FAKE_CUBLASLT_H_

#include <cstddef>
#include <cstdint>

struct FakeCublasLt {
  int alive;  // handles, descriptors and preferences that have not been destroyed
  int choices, products;
  // The last choice of an algorithm.
  uint64_t choice_columns, max_workspace;
  uint32_t reduction_schemes;
  uint32_t alignments[4];
  // The last product.
  uint64_t rows, columns, depth;
  int64_t strides[3];  // of A, B and D
  int types[3];
  float alpha, beta;
  size_t workspace_bytes;
  void* stream;
  // Runs work on a stream, in whose order alone memory of the device can be touched.
  int (*submit)(void* stream, void (*work)(void*), void* argument);
  // Failures to simulate.
  int refuse_start, refuse_choice;
};

extern "C" FakeCublasLt* fake_cublaslt();

#endif  // PRECIS_CUDA_TESTS_FAKE_CUBLASLT_H_
