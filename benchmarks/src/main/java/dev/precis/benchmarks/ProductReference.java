package dev.precis.benchmarks;

import static dev.precis.benchmarks.Reference.product;
import static dev.precis.benchmarks.Reference.rowOf;

import java.util.Arrays;

/** States the formulas of {@link ProductProblem} in double precision: the ground truth. */
final class ProductReference {
  private ProductReference() {}

  static double[] row(ProductProblem.Matmul p, long m) {
    return product(rowOf(p.x(), m), p.w());
  }

  static double[] row(ProductProblem.LoraMatmul p, long m) {
    double[] x = rowOf(p.x(), m);
    double[] y = product(x, p.w());
    double[] low = product(product(x, p.a()), p.b());
    Arrays.setAll(y, n -> y[n] + p.scaling() * low[n]);
    return y;
  }

  /** Returns a row of dx. */
  static double[] row(ProductProblem.LoraBackward p, long m) {
    double[] dt = down(p, m);
    double[] dx = new double[Math.toIntExact(p.x().columns())];
    for (int k = 0; k < dx.length; k++) {
      for (int n = 0; n < p.w().rows(); n++) {
        dx[k] += p.dy().get(m, n) * p.w().get(n, k);
      }
      for (int r = 0; r < dt.length; r++) {
        dx[k] += dt[r] * p.a().get(r, k);
      }
    }
    return dx;
  }

  /** Returns a row of da. */
  static double[] rowOfA(ProductProblem.LoraBackward p, long r) {
    double[] da = new double[Math.toIntExact(p.x().columns())];
    for (long m = 0; m < p.x().rows(); m++) {
      double dt = down(p, m)[(int) r];
      for (int k = 0; k < da.length; k++) {
        da[k] += dt * p.x().get(m, k);
      }
    }
    return da;
  }

  /** Returns a row of db. */
  static double[] rowOfB(ProductProblem.LoraBackward p, long n) {
    double[] db = new double[Math.toIntExact(p.b().columns())];
    for (long m = 0; m < p.x().rows(); m++) {
      for (int r = 0; r < db.length; r++) {
        db[r] += p.dy().get(m, n) * p.t().get(m, r);
      }
    }
    return db;
  }

  private static double[] down(ProductProblem.LoraBackward p, long m) {
    double[] dt = new double[Math.toIntExact(p.b().columns())];
    for (int n = 0; n < p.b().rows(); n++) {
      for (int r = 0; r < dt.length; r++) {
        dt[r] += p.scaling() * p.dy().get(m, n) * p.b().get(n, r);
      }
    }
    return dt;
  }

  /** Returns the weights of all outputs for input k. */
  static double[] row(ProductProblem.MatmulPack p, long k) {
    double[] column = new double[Math.toIntExact(p.w().rows())];
    Arrays.setAll(column, n -> p.w().get(n, k));
    return column;
  }

  static double[] row(ProductProblem.TransposePacked p, long n) {
    return rowOf(p.w(), n);
  }

  static double[] row(ProductProblem.WeightGradient p, long n) {
    double[] dw = new double[Math.toIntExact(p.x().columns())];
    for (long m = 0; m < p.x().rows(); m++) {
      double dy = p.dy().get(m, n);
      for (int k = 0; k < dw.length; k++) {
        dw[k] += dy * p.x().get(m, k);
      }
    }
    return dw;
  }
}
