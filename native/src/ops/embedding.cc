#include "check.h"

namespace precis {

void check_embedding(const Check& check, const precis_embedding_args& a) {
  check.tensor("table", a.table, 2, kFloats);
  check.tensor("ids", a.ids, 1, kInt32);
  check.tensor("y", a.y, 2, kFloats);
  check.dim("y", a.y, 1, a.table.dims[1], "table's width");
  check.outputs_apart({{"y", a.y}}, {{"table", a.table}, {"ids", a.ids}});
  if (a.y_rows.data == nullptr) {
    check.dim("y", a.y, 0, a.ids.dims[0], "the number of ids");
  } else {
    check.tensor("y_rows", a.y_rows, 1, kInt32);
    check.dim("y_rows", a.y_rows, 0, a.ids.dims[0], "the number of ids");
    check.outputs_apart({{"y", a.y}}, {{"y_rows", a.y_rows}});
    check.ids("y_rows", a.y_rows, "y", a.y.dims[0]);
  }
  check.ids("ids", a.ids, "the table", a.table.dims[0]);
}

}  // namespace precis
