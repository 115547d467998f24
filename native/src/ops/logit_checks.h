// Checks that losses on logits = scale x w' share.
#ifndef PRECIS_OPS_LOGIT_CHECKS_H_
#define PRECIS_OPS_LOGIT_CHECKS_H_

#include "check.h"

namespace precis {

// labels_name is the name in precis.h of the int32 vector of tokens.
void check_logit_rows(const Check& check, const precis_tensor& x, const precis_packed_matrix& w,
                      const precis_packed_matrix& w_transposed, const char* labels_name,
                      const precis_tensor& labels, const precis_tensor& dx, const precis_tensor& dw,
                      float scale);

// Returns the memory of w_transposed, which only dx needs.
Memory transposed_memory(const Check& check, const precis_packed_matrix& w_transposed,
                         const precis_tensor& dx);

}  // namespace precis

#endif  // PRECIS_OPS_LOGIT_CHECKS_H_
