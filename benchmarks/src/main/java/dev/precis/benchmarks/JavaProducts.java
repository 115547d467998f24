package dev.precis.benchmarks;

import static dev.precis.benchmarks.JavaArrays.addOuter;
import static dev.precis.benchmarks.JavaArrays.addProduct;
import static dev.precis.benchmarks.JavaArrays.call;
import static dev.precis.benchmarks.JavaArrays.copy;
import static dev.precis.benchmarks.JavaArrays.floats;
import static dev.precis.benchmarks.JavaArrays.size;
import static dev.precis.benchmarks.JavaArrays.transpose;
import static dev.precis.benchmarks.JavaArrays.transposed;

import dev.precis.benchmarks.Provider.Call;
import java.util.Arrays;

/** Matrix products, their packed weights and their gradients in plain Java. */
final class JavaProducts {
  private final JavaArrays arrays;

  JavaProducts(JavaArrays arrays) {
    this.arrays = arrays;
  }

  Call prepare(ProductProblem problem) {
    return switch (problem) {
      case ProductProblem.Matmul p -> matmul(p);
      case ProductProblem.LoraMatmul p -> loraMatmul(p);
      case ProductProblem.LoraBackward p -> loraBackward(p);
      case ProductProblem.MatmulPack p -> matmulPack(p);
      case ProductProblem.TransposePacked p -> transposePacked(p);
      case ProductProblem.WeightGradient p -> weightGradient(p);
    };
  }

  private Call matmul(ProductProblem.Matmul p) {
    int m = size(p.x().rows());
    int k = size(p.x().columns());
    int n = size(p.w().rows());
    float[] x = arrays.of(p.x());
    float[] w = transposed(p.w());
    float[] y = arrays.of(p.y());
    return call(
        () -> {
          Arrays.fill(y, 0);
          addProduct(x, w, y, m, k, n, 1);
        },
        y,
        p.y());
  }

  private Call loraMatmul(ProductProblem.LoraMatmul p) {
    int m = size(p.x().rows());
    int k = size(p.x().columns());
    int n = size(p.w().rows());
    int rank = size(p.a().rows());
    float[] x = arrays.of(p.x());
    float[] w = transposed(p.w());
    float[] a = transposed(p.a());
    float[] b = transposed(p.b());
    float[] low = new float[m * rank];
    float[] y = arrays.of(p.y());
    return call(
        () -> {
          Arrays.fill(low, 0);
          Arrays.fill(y, 0);
          addProduct(x, a, low, m, k, rank, p.scaling());
          addProduct(x, w, y, m, k, n, 1);
          addProduct(low, b, y, m, rank, n, 1);
        },
        y,
        p.y());
  }

  private Call loraBackward(ProductProblem.LoraBackward p) {
    int m = size(p.x().rows());
    int k = size(p.x().columns());
    int n = size(p.w().rows());
    int rank = size(p.a().rows());
    float[] x = arrays.of(p.x());
    float[] dy = arrays.of(p.dy());
    float[] w = arrays.of(p.w());
    float[] a = arrays.of(p.a());
    float[] b = arrays.of(p.b());
    float[] t = arrays.of(p.t());
    float[] dt = new float[m * rank];
    float[] dx = arrays.of(p.dx());
    float[] da = arrays.of(p.da());
    float[] db = arrays.of(p.db());
    return new Call() {
      @Override
      public void run() {
        Arrays.fill(dt, 0);
        Arrays.fill(dx, 0);
        Arrays.fill(da, 0);
        Arrays.fill(db, 0);
        addProduct(dy, b, dt, m, n, rank, p.scaling());
        addProduct(dy, w, dx, m, n, k, 1);
        addProduct(dt, a, dx, m, rank, k, 1);
        addOuter(dt, x, da, m, rank, k);
        addOuter(dy, t, db, m, n, rank);
      }

      @Override
      public void publish() {
        copy(dx, p.dx());
        copy(da, p.da());
        copy(db, p.db());
      }
    };
  }

  /** Transposes (N, K) to (K, N), the layout that the products here read. */
  private static Call matmulPack(ProductProblem.MatmulPack p) {
    float[] w = floats(p.w());
    float[] packed = new float[w.length];
    return call(
        () -> transpose(w, packed, size(p.w().rows()), size(p.w().columns())),
        packed,
        p.unpacked());
  }

  /** Transposes (K, N) back to (N, K). */
  private static Call transposePacked(ProductProblem.TransposePacked p) {
    float[] packed = transposed(p.w());
    float[] w = new float[packed.length];
    return call(
        () -> transpose(packed, w, size(p.w().columns()), size(p.w().rows())), w, p.unpacked());
  }

  private Call weightGradient(ProductProblem.WeightGradient p) {
    int m = size(p.x().rows());
    int k = size(p.x().columns());
    int n = size(p.dy().columns());
    float[] x = arrays.of(p.x());
    float[] dy = arrays.of(p.dy());
    float[] dw = arrays.of(p.dw());
    return call(
        () -> {
          Arrays.fill(dw, 0);
          addOuter(dy, x, dw, m, n, k);
        },
        dw,
        p.dw());
  }
}
