/* precis.h is C: this file is compiled as C and calls through it. */

#include <stdio.h>
#include <string.h>

#include "precis.h"

int main(void) {
  precis_context* context = NULL;
  precis_context_args args;
  memset(&args, 0, sizeof args);
  args.threads = 1;
  if (precis_context_create(&args, &context) != PRECIS_OK) return 1;

  float x[4] = {1, 2, 3, 4}, weight[4] = {1, 1, 1, 1}, y[4];
  precis_rms_norm_args norm;
  memset(&norm, 0, sizeof norm);
  norm.x = (precis_tensor){.data = x, .dims = {1, 4}, .rank = 2, .dtype = PRECIS_FLOAT32};
  norm.y = norm.x;
  norm.y.data = y;
  norm.weight = (precis_tensor){.data = weight, .dims = {4}, .rank = 1, .dtype = PRECIS_FLOAT32};
  if (precis_rms_norm(context, &norm) != PRECIS_OK) return 2;
  if (y[3] < 1.46f || y[3] > 1.47f) return 3;

  norm.weight.dims[0] = 5;
  if (precis_rms_norm(context, &norm) != PRECIS_INVALID_ARGUMENT) return 4;
  if (strstr(precis_last_error(context), "weight") == NULL) return 5;
  if (precis_rms_norm(NULL, &norm) != PRECIS_INVALID_ARGUMENT) return 6;
  precis_context_destroy(context);
  puts("C can call libprecis");
  return 0;
}
