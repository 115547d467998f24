package dev.precis.alignment.policy.replay;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.DoubleUnaryOperator;

/**
 * Reverse-mode differentiation of double matrices: each operation computes its result and notes how
 * the result's gradient flows back. Plain loops and nothing of the engine, so that the engine can
 * be held against it.
 */
final class DoubleTape {
  /** A matrix, rows first; its gradient is null where nothing that it came from is trained. */
  static final class Node {
    final double[][] value;
    final double[][] gradient;
    private double[][] transposed;

    private Node(double[][] value, boolean differentiable) {
      this.value = value;
      this.gradient = differentiable ? new double[value.length][value[0].length] : null;
    }

    int rows() {
      return value.length;
    }

    int columns() {
      return value[0].length;
    }

    double scalar() {
      return value[0][0];
    }

    /** The transpose, which a constant keeps: most of them are weights that are used again. */
    private double[][] transposed() {
      if (gradient != null) {
        return DoubleTape.transposed(value);
      }
      if (transposed == null) {
        transposed = DoubleTape.transposed(value);
      }
      return transposed;
    }

    void clearGradient() {
      for (double[] row : gradient) {
        Arrays.fill(row, 0);
      }
    }
  }

  private final List<Runnable> steps = new ArrayList<>();

  static Node constant(double[][] value) {
    return new Node(value, false);
  }

  /** A matrix that is trained: gradients add up in it, from any number of tapes. */
  static Node parameter(double[][] value) {
    return new Node(value, true);
  }

  /** Adds the gradients of a 1 x 1 result to all that it came from. Once per tape. */
  void backward(Node result) {
    result.gradient[0][0] = 1;
    steps.reversed().forEach(Runnable::run);
  }

  private static Node result(int rows, int columns, Node... from) {
    boolean differentiable = Arrays.stream(from).anyMatch(node -> node.gradient != null);
    return new Node(new double[rows][columns], differentiable);
  }

  private Node then(Node result, Runnable backward) {
    if (result.gradient != null) {
      steps.add(backward);
    }
    return result;
  }

  /** a (n, k) times b (k, m). */
  Node matmul(Node a, Node b) {
    Node y = result(a.rows(), b.columns(), a, b);
    addProduct(a.value, b.value, y.value);
    return then(
        y,
        () -> {
          if (a.gradient != null) {
            addProduct(y.gradient, b.transposed(), a.gradient);
          }
          if (b.gradient != null) {
            addProduct(a.transposed(), y.gradient, b.gradient);
          }
        });
  }

  /** c += a b. */
  private static void addProduct(double[][] a, double[][] b, double[][] c) {
    for (int i = 0; i < a.length; i++) {
      for (int k = 0; k < b.length; k++) {
        addScaled(a[i][k], b[k], c[i]);
      }
    }
  }

  private static void addScaled(double factor, double[] x, double[] y) {
    for (int j = 0; j < y.length; j++) {
      y[j] += factor * x[j];
    }
  }

  static double[][] transposed(double[][] x) {
    double[][] y = new double[x[0].length][x.length];
    for (int i = 0; i < x.length; i++) {
      for (int j = 0; j < y.length; j++) {
        y[j][i] = x[i][j];
      }
    }
    return y;
  }

  /** a + factor b; b is of a's shape, or 1 x 1 and added everywhere. */
  Node add(Node a, double factor, Node b) {
    boolean everywhere = b.rows() < a.rows() || b.columns() < a.columns();
    Node y = result(a.rows(), a.columns(), a, b);
    for (int i = 0; i < y.rows(); i++) {
      for (int j = 0; j < y.columns(); j++) {
        y.value[i][j] = a.value[i][j] + factor * b.value[everywhere ? 0 : i][everywhere ? 0 : j];
      }
    }
    return then(
        y,
        () -> {
          for (int i = 0; i < y.rows(); i++) {
            for (int j = 0; j < y.columns(); j++) {
              if (a.gradient != null) {
                a.gradient[i][j] += y.gradient[i][j];
              }
              if (b.gradient != null) {
                b.gradient[everywhere ? 0 : i][everywhere ? 0 : j] += factor * y.gradient[i][j];
              }
            }
          }
        });
  }

  Node add(Node a, Node b) {
    return add(a, 1, b);
  }

  /** Element times element. */
  Node multiply(Node a, Node b) {
    Node y = result(a.rows(), a.columns(), a, b);
    for (int i = 0; i < y.rows(); i++) {
      for (int j = 0; j < y.columns(); j++) {
        y.value[i][j] = a.value[i][j] * b.value[i][j];
      }
    }
    return then(
        y,
        () -> {
          for (int i = 0; i < y.rows(); i++) {
            for (int j = 0; j < y.columns(); j++) {
              if (a.gradient != null) {
                a.gradient[i][j] += y.gradient[i][j] * b.value[i][j];
              }
              if (b.gradient != null) {
                b.gradient[i][j] += y.gradient[i][j] * a.value[i][j];
              }
            }
          }
        });
  }

  /** The larger of two elements; equal ones share the gradient. */
  Node max(Node a, Node b) {
    Node y = result(a.rows(), a.columns(), a, b);
    for (int i = 0; i < y.rows(); i++) {
      for (int j = 0; j < y.columns(); j++) {
        y.value[i][j] = Math.max(a.value[i][j], b.value[i][j]);
      }
    }
    return then(
        y,
        () -> {
          for (int i = 0; i < y.rows(); i++) {
            for (int j = 0; j < y.columns(); j++) {
              double toA = 0.5 * (1 + Math.signum(a.value[i][j] - b.value[i][j]));
              if (a.gradient != null) {
                a.gradient[i][j] += toA * y.gradient[i][j];
              }
              if (b.gradient != null) {
                b.gradient[i][j] += (1 - toA) * y.gradient[i][j];
              }
            }
          }
        });
  }

  /** Each element as near as the range allows to that of a constant. */
  Node clamp(Node x, Node centre, double range) {
    return clamp(x, centre, range, range);
  }

  /** Each element, from so far below that of a constant to so far above it. */
  Node clamp(Node x, Node centre, double below, double above) {
    Node y = result(x.rows(), x.columns(), x);
    boolean[][] inside = new boolean[x.rows()][x.columns()];
    for (int i = 0; i < y.rows(); i++) {
      for (int j = 0; j < y.columns(); j++) {
        double low = centre.value[i][j] - below;
        double high = centre.value[i][j] + above;
        y.value[i][j] = Math.clamp(x.value[i][j], low, high);
        inside[i][j] = y.value[i][j] == x.value[i][j];
      }
    }
    return then(
        y,
        () -> {
          for (int i = 0; i < y.rows(); i++) {
            for (int j = 0; j < y.columns(); j++) {
              x.gradient[i][j] += inside[i][j] ? y.gradient[i][j] : 0;
            }
          }
        });
  }

  /** A function of each element. */
  private Node map(Node x, DoubleUnaryOperator f, DoubleUnaryOperator derivative) {
    Node y = result(x.rows(), x.columns(), x);
    for (int i = 0; i < y.rows(); i++) {
      for (int j = 0; j < y.columns(); j++) {
        y.value[i][j] = f.applyAsDouble(x.value[i][j]);
      }
    }
    return then(
        y,
        () -> {
          for (int i = 0; i < y.rows(); i++) {
            for (int j = 0; j < y.columns(); j++) {
              x.gradient[i][j] += y.gradient[i][j] * derivative.applyAsDouble(x.value[i][j]);
            }
          }
        });
  }

  Node exp(Node x) {
    return map(x, Math::exp, Math::exp);
  }

  Node square(Node x) {
    return map(x, v -> v * v, v -> 2 * v);
  }

  Node scale(Node x, double factor) {
    return map(x, v -> factor * v, v -> factor);
  }

  Node relu(Node x) {
    return map(x, v -> Math.max(v, 0), v -> v > 0 ? 1 : 0);
  }

  /** x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))). */
  Node geluTanh(Node x) {
    double c = Math.sqrt(2 / Math.PI);
    return map(
        x,
        v -> 0.5 * v * (1 + Math.tanh(c * (v + 0.044715 * v * v * v))),
        v -> {
          double t = Math.tanh(c * (v + 0.044715 * v * v * v));
          return 0.5 * (1 + t) + 0.5 * v * (1 - t * t) * c * (1 + 3 * 0.044715 * v * v);
        });
  }

  /** Each row over its root mean square, times the weight. */
  Node rmsNorm(Node x, double[] weight, double epsilon) {
    Node y = result(x.rows(), x.columns(), x);
    int n = x.columns();
    double[] inverse = new double[x.rows()];
    for (int i = 0; i < x.rows(); i++) {
      double squares = 0;
      for (double v : x.value[i]) {
        squares += v * v;
      }
      inverse[i] = 1 / Math.sqrt(squares / n + epsilon);
      for (int j = 0; j < n; j++) {
        y.value[i][j] = x.value[i][j] * inverse[i] * weight[j];
      }
    }
    return then(
        y,
        () -> {
          for (int i = 0; i < x.rows(); i++) {
            double along = 0;
            for (int j = 0; j < n; j++) {
              along += y.gradient[i][j] * weight[j] * x.value[i][j];
            }
            along *= inverse[i] * inverse[i] / n;
            for (int j = 0; j < n; j++) {
              x.gradient[i][j] +=
                  inverse[i] * (y.gradient[i][j] * weight[j] - x.value[i][j] * along);
            }
          }
        });
  }

  /**
   * softmax(q k' + bias) v in each head, without T5's missing scale. q is (n, heads x width), k and
   * v (m, heads x width), bias (heads, n, m) with minus infinity where nothing is attended to.
   */
  Node attention(Node q, Node k, Node v, double[][][] bias) {
    int heads = bias.length;
    int width = q.columns() / heads;
    int n = q.rows();
    int m = k.rows();
    Node y = result(n, q.columns(), q, k, v);
    double[][][] p = new double[heads][n][m];
    for (int h = 0; h < heads; h++) {
      int offset = h * width;
      for (int i = 0; i < n; i++) {
        for (int j = 0; j < m; j++) {
          p[h][i][j] = dot(q.value[i], k.value[j], offset, width) + bias[h][i][j];
        }
        double logSum = logSumExp(p[h][i]);
        for (int j = 0; j < m; j++) {
          p[h][i][j] = Math.exp(p[h][i][j] - logSum);
          for (int c = offset; c < offset + width; c++) {
            y.value[i][c] += p[h][i][j] * v.value[j][c];
          }
        }
      }
    }
    return then(
        y,
        () -> {
          double[] dp = new double[m];
          for (int h = 0; h < heads; h++) {
            int offset = h * width;
            for (int i = 0; i < n; i++) {
              double mean = 0;
              for (int j = 0; j < m; j++) {
                dp[j] = dot(y.gradient[i], v.value[j], offset, width);
                mean += p[h][i][j] * dp[j];
              }
              for (int j = 0; j < m; j++) {
                double ds = p[h][i][j] * (dp[j] - mean);
                for (int c = offset; c < offset + width; c++) {
                  if (q.gradient != null) {
                    q.gradient[i][c] += ds * k.value[j][c];
                  }
                  if (k.gradient != null) {
                    k.gradient[j][c] += ds * q.value[i][c];
                  }
                  if (v.gradient != null) {
                    v.gradient[j][c] += p[h][i][j] * y.gradient[i][c];
                  }
                }
              }
            }
          }
        });
  }

  private static double dot(double[] a, double[] b, int offset, int width) {
    double sum = 0;
    for (int c = offset; c < offset + width; c++) {
      sum += a[c] * b[c];
    }
    return sum;
  }

  private static double logSumExp(double[] x) {
    double max = Arrays.stream(x).max().orElseThrow();
    double sum = 0;
    for (double v : x) {
      sum += Math.exp(v - max);
    }
    return max + Math.log(sum);
  }

  /** The logarithm of each row's softmax. */
  Node logSoftmax(Node x) {
    Node y = result(x.rows(), x.columns(), x);
    for (int i = 0; i < x.rows(); i++) {
      double logSum = logSumExp(x.value[i]);
      for (int j = 0; j < x.columns(); j++) {
        y.value[i][j] = x.value[i][j] - logSum;
      }
    }
    return then(
        y,
        () -> {
          for (int i = 0; i < x.rows(); i++) {
            double sum = Arrays.stream(y.gradient[i]).sum();
            for (int j = 0; j < x.columns(); j++) {
              x.gradient[i][j] += y.gradient[i][j] - Math.exp(y.value[i][j]) * sum;
            }
          }
        });
  }

  /** Of each row the element that its id names: (rows, 1). */
  Node pick(Node x, int[] ids) {
    Node y = result(x.rows(), 1, x);
    for (int i = 0; i < x.rows(); i++) {
      y.value[i][0] = x.value[i][ids[i]];
    }
    return then(
        y,
        () -> {
          for (int i = 0; i < x.rows(); i++) {
            x.gradient[i][ids[i]] += y.gradient[i][0];
          }
        });
  }

  /** Each row's sum: (rows, 1). */
  Node rowSums(Node x) {
    Node y = result(x.rows(), 1, x);
    for (int i = 0; i < x.rows(); i++) {
      y.value[i][0] = Arrays.stream(x.value[i]).sum();
    }
    return then(
        y,
        () -> {
          for (int i = 0; i < x.rows(); i++) {
            for (int j = 0; j < x.columns(); j++) {
              x.gradient[i][j] += y.gradient[i][0];
            }
          }
        });
  }

  /** The entropy of each row of logarithms of probabilities: (rows, 1). */
  Node entropy(Node logProbabilities) {
    return scale(rowSums(multiply(exp(logProbabilities), logProbabilities)), -1);
  }

  /** The sum of a column's elements, each times its weight: 1 x 1. */
  Node weightedSum(Node column, double[] weights) {
    Node y = result(1, 1, column);
    for (int i = 0; i < column.rows(); i++) {
      y.value[0][0] += weights[i] * column.value[i][0];
    }
    return then(
        y,
        () -> {
          for (int i = 0; i < column.rows(); i++) {
            column.gradient[i][0] += weights[i] * y.gradient[0][0];
          }
        });
  }
}
