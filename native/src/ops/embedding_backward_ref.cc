#include "ops/embedding_backward.h"

namespace precis {

void embedding_backward_ref(const precis_embedding_backward_args& a) {
  const int32_t* ids = static_cast<const int32_t*>(a.ids.data);
  for (int64_t t = 0; t < a.ids.dims[0]; t++) {
    for (int64_t d = 0; d < columns(a.dy); d++) {
      store_element(a.dtable, ids[t], d,
                    load_element(a.dtable, ids[t], d) + load_element(a.dy, t, d));
    }
  }
}

}  // namespace precis
