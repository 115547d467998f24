package dev.precis.alignment.policy.replay;

import dev.precis.alignment.policy.replay.DoubleTape.Node;
import dev.precis.alignment.policy.replay.PpoFormulas.Predictions;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;

/** Policy optimization of a T5 with adapters in double precision: passes and Adam's steps. */
abstract class PolicyReplay {
  private static final double BETA1 = 0.9;
  private static final double BETA2 = 0.999;
  private static final double EPSILON = 1e-8;

  private final DoubleT5 model;
  private final double learningRate;
  private final Map<Node, double[][]> firstMoments = new LinkedHashMap<>();
  private final Map<Node, double[][]> secondMoments = new LinkedHashMap<>();
  private int updates;

  PolicyReplay(DoubleT5 model, double learningRate) {
    this.model = model;
    this.learningRate = learningRate;
    for (Node parameter : model.parameters().values()) {
      firstMoments.put(parameter, new double[parameter.rows()][parameter.columns()]);
      secondMoments.put(parameter, new double[parameter.rows()][parameter.columns()]);
    }
  }

  /** A pass over one sequence; each token of the response is predicted from those before it. */
  record Pass(Predictions predictions, Node distributions) {}

  /**
   * Runs the model.
   *
   * @param response after the start token
   */
  final Pass pass(DoubleTape tape, int[] prompt, int[] response, boolean adapted) {
    // TRL feeds the last token as well and drops what comes of it.
    int[] inputs = Arrays.copyOf(response, response.length - 1);
    int[] predicted = Arrays.copyOfRange(response, 1, response.length);
    Node encoded = model.encode(tape, prompt, adapted);
    Node hidden = model.decode(tape, encoded, inputs, adapted);
    Node distributions = tape.logSoftmax(model.logits(tape, hidden));
    return new Pass(
        new Predictions(
            tape.pick(distributions, predicted),
            tape.entropy(distributions),
            model.values(tape, hidden)),
        distributions);
  }

  /**
   * Steps down a loss.
   *
   * @return the norm of its gradient, which is cut to the largest one
   */
  final double step(DoubleTape tape, Node loss, double maxGradNorm) {
    model.parameters().values().forEach(Node::clearGradient);
    tape.backward(loss);
    double norm = gradientNorm();
    adam(Math.min(1, maxGradNorm / (norm + 1e-6)));
    return norm;
  }

  private double gradientNorm() {
    double squares = 0;
    for (Node parameter : model.parameters().values()) {
      for (double[] row : parameter.gradient) {
        squares += Arrays.stream(row).map(g -> g * g).sum();
      }
    }
    return Math.sqrt(squares);
  }

  /** Adam without weight decay (Kingma and Ba 2015) of the gradients times a factor. */
  private void adam(double factor) {
    updates++;
    double correction1 = 1 - Math.pow(BETA1, updates);
    double correction2 = 1 - Math.pow(BETA2, updates);
    for (Node parameter : model.parameters().values()) {
      double[][] m = firstMoments.get(parameter);
      double[][] v = secondMoments.get(parameter);
      for (int i = 0; i < m.length; i++) {
        for (int j = 0; j < m[i].length; j++) {
          double g = factor * parameter.gradient[i][j];
          m[i][j] = BETA1 * m[i][j] + (1 - BETA1) * g;
          v[i][j] = BETA2 * v[i][j] + (1 - BETA2) * g * g;
          parameter.value[i][j] -=
              learningRate * (m[i][j] / correction1) / (Math.sqrt(v[i][j] / correction2) + EPSILON);
        }
      }
    }
  }
}
