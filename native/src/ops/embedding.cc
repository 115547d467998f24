#include "check.h"

namespace precis {

void check_embedding(const Check& check, const precis_embedding_args& a) {
  check.tensor("table", a.table, 2, kFloats);
  check.tensor("ids", a.ids, 1, kInt32);
  check.tensor("y", a.y, 2, kFloat32);
  check.dim("y", a.y, 0, a.ids.dims[0], "the number of ids");
  check.dim("y", a.y, 1, a.table.dims[1], "table's width");
  check.outputs_apart({{"y", a.y}}, {{"table", a.table}, {"ids", a.ids}});
  check.ids("ids", a.ids, "the table", a.table.dims[0]);
}

}  // namespace precis
