// The check that operations with dropout share.
#ifndef PRECIS_OPS_DROPOUT_CHECKS_H_
#define PRECIS_OPS_DROPOUT_CHECKS_H_

#include "check.h"

namespace precis {

// rows_of: whose rows dropout_rows names; it may be absent.
static inline void check_dropout_rows(const Check& check, const precis_tensor& dropout_rows,
                                      const char* rows_of, const precis_tensor& x) {
  if (dropout_rows.data == nullptr) return;
  check.tensor("dropout_rows", dropout_rows, 1, Dtypes(PRECIS_INT64));
  check.that(dropout_rows.dims[0] == x.dims[0], "dropout_rows has ", dropout_rows.dims[0],
             " elements, but ", rows_of, " has ", x.dims[0], " rows");
}

}  // namespace precis

#endif  // PRECIS_OPS_DROPOUT_CHECKS_H_
