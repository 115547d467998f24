/*
 * libprecis_onednn.so: oneDNN's matrix product behind a table of plain functions. A library of its
 * own, so that libprecis works without oneDNN, and is loaded only when it is used (onednn.h).
 *
 * A product multiplies rows x (rows, inputs) with whole tiles of packed weights (ops/matmul.h), on
 * the calling thread alone. float32 and bfloat16 give float32; x in uint8 with int8 weights gives
 * int32.
 */
#ifndef PRECIS_ONEDNN_PLUGIN_H_
#define PRECIS_ONEDNN_PLUGIN_H_

#include <stdint.h>

#define PRECIS_ONEDNN_ABI 1

#ifdef __cplusplus
extern "C" {
#endif

typedef struct precis_onednn_product precis_onednn_product;

typedef struct precis_onednn_product_args {
  int64_t rows;
  int64_t tiles; /* y has 64 times as many columns, without gaps */
  int64_t inputs;
  int64_t x_stride; /* elements */
  int32_t dtype;    /* of the weights, precis_dtype */
  int32_t threads;  /* that may multiply at the same time, each under a number of its own */
} precis_onednn_product_args;

typedef struct precis_onednn_plugin {
  int32_t abi; /* PRECIS_ONEDNN_ABI */
  int32_t reserved;
  const char* version;
  const char* path; /* of oneDNN itself */
  /* NULL: error says why. */
  precis_onednn_product* (*create)(const precis_onednn_product_args* args, char* error,
                                   int64_t error_bytes);
  void (*destroy)(precis_onednn_product* product);
  /* 0: done. Allocates nothing. */
  int32_t (*multiply)(precis_onednn_product* product, int32_t thread, const void* x, const void* w,
                      void* y);
} precis_onednn_plugin;

/* The one symbol that is looked up; NULL when oneDNN does not work here. */
__attribute__((visibility("default"))) const precis_onednn_plugin* precis_onednn(void);

#ifdef __cplusplus
}
#endif

#endif /* PRECIS_ONEDNN_PLUGIN_H_ */
