#include "product_bench.h"

namespace precis {

// Each product and its dx by our own kernels, and by cuBLASLt where there is one.
PRECIS_BENCH(matmul) {
  for (const ProductShape& s : product_shapes(b)) {
    const ProductCase c(b, s);
    const auto forward = [&] { return c.forward(b); };
    const auto backward = [&] { return c.backward(b); };
    const auto verify_forward = [&] { expect_product(b, c.x, c.w, c.y, "matmul"); };
    const auto verify_backward = [&] { expect_product(b, c.dy, c.w_transposed, c.dx, "its dx"); };
    b.row("matmul " + c.name, c.work, forward, verify_forward);
    if (const Wgmma wgmma = b.context().wgmma; wgmma != Wgmma::kOff && s.m > 32) {
      b.context().wgmma = Wgmma::kOff;
      b.row("  by mma.sync", c.work, forward, verify_forward);
      b.context().wgmma = wgmma;
    }
    b.row("  its dx", c.work, backward, verify_backward);
    if (b.cublaslt() != nullptr) {
      b.context().cublaslt = b.cublaslt();
      b.row("cuBLASLt " + c.name, c.work, forward, verify_forward);
      b.row("  its dx", c.work, backward, verify_backward);
      b.context().cublaslt = nullptr;
    }
    b.release();
  }
}

}  // namespace precis
