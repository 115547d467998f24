#include "check.h"

namespace precis {

void check_embedding_backward(const Check& check, const precis_embedding_backward_args& a) {
  check.tensor("dy", a.dy, 2, kFloats);
  check.tensor("dtable", a.dtable, 2, kFloat32);
  check.tensor("ids", a.ids, 1, kInt32);
  check.dim("dy", a.dy, 0, a.ids.dims[0], "the number of ids");
  check.dim("dy", a.dy, 1, a.dtable.dims[1], "dtable's width");
  check.outputs_apart({{"dtable", a.dtable}}, {{"ids", a.ids}, {"dy", a.dy}});
  check.ids("ids", a.ids, "dtable", a.dtable.dims[0]);
}

}  // namespace precis
