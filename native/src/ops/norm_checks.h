// Checks that norms along rows share.
#ifndef PRECIS_OPS_NORM_CHECKS_H_
#define PRECIS_OPS_NORM_CHECKS_H_

#include "check.h"

namespace precis {

// x, weight and y of a norm.
void check_norm(const Check& check, const precis_tensor& x, const precis_tensor& weight,
                const precis_tensor& y, float epsilon);

// x, weight, dy and dx of its gradient.
void check_norm_backward(const Check& check, const precis_tensor& x, const precis_tensor& weight,
                         const precis_tensor& dy, const precis_tensor& dx, float epsilon);

// A vector that is added to, one element for each column of x; optional.
void check_vector_gradient(const Check& check, const char* name, const precis_tensor& gradient,
                           const precis_tensor& x);

}  // namespace precis

#endif  // PRECIS_OPS_NORM_CHECKS_H_
