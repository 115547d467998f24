// The exception by which everything below the C boundary reports a failure; abi.cc turns it into a
// status and the context's error text.
#ifndef PRECIS_ERROR_H_
#define PRECIS_ERROR_H_

#include <string>

#include "precis.h"

namespace precis {

struct Error {
  precis_status status;
  std::string text;
};

// Throws Error with a text made as by printf.
[[noreturn]] void fail(precis_status status, const char* format, ...)
    __attribute__((format(printf, 2, 3)));

}  // namespace precis

// For arguments outside check.h: PRECIS_CHECK(k > 0, "matmul: x has %lld columns", k).
#define PRECIS_CHECK(condition, ...)                                      \
  do {                                                                    \
    if (!(condition)) precis::fail(PRECIS_INVALID_ARGUMENT, __VA_ARGS__); \
  } while (0)

#endif  // PRECIS_ERROR_H_
