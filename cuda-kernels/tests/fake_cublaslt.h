// What tests/fake_cublaslt.cc was asked for: a shared library with cuBLASLt's interface that
// multiplies on the host, from what it reads in the descriptors alone.
#ifndef PRECIS_CUDA_TESTS_FAKE_CUBLASLT_H_
#define PRECIS_CUDA_TESTS_FAKE_CUBLASLT_H_

#include <cstddef>
#include <cstdint>

struct FakeCublasLt {
  int alive;  // handles, descriptors and preferences that were not destroyed
  int choices, products;
  // Of the last choice.
  uint64_t choice_columns, max_workspace;
  uint32_t reduction_schemes;
  uint32_t alignments[4];
  // Of the last product.
  uint64_t rows, columns, depth;
  int64_t strides[3];  // of A, B and D
  int types[3];
  float alpha, beta;
  size_t workspace_bytes;
  void* stream;
  // What it is to do.
  int refuse_start, refuse_choice;
};

extern "C" FakeCublasLt* fake_cublaslt();

#endif  // PRECIS_CUDA_TESTS_FAKE_CUBLASLT_H_
