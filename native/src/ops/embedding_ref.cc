#include "ops/embedding.h"

namespace precis {

void embedding_ref(const precis_embedding_args& a) {
  const int32_t* ids = static_cast<const int32_t*>(a.ids.data);
  const int32_t* y_rows = static_cast<const int32_t*>(a.y_rows.data);
  for (int64_t t = 0; t < a.ids.dims[0]; t++) {
    for (int64_t d = 0; d < columns(a.y); d++) {
      store_element(a.y, y_rows == nullptr ? t : y_rows[t], d, load_element(a.table, ids[t], d));
    }
  }
}

}  // namespace precis
