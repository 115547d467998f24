package dev.precis.alignment.preference;

import static dev.precis.io.InvalidInputException.require;

import dev.precis.io.InvalidInputException;
import java.util.Locale;

/**
 * What a pair of answers costs, one of which people prefer: formulas in double over the
 * log-probabilities of whole answers.
 *
 * <p>With {@code h = (pi_c - ref_c) - (pi_r - ref_r)}, where pi and ref are the log-probabilities
 * that policy and reference give to the chosen (c) and the rejected (r) answer, summed over tokens,
 * and a bar for their mean over the answer's n tokens:
 *
 * <pre>
 *   SIGMOID  -(1 - e) log s(beta h) - e log s(-beta h)                   Rafailov et al. 2023; e > 0: cDPO, Mitchell 2023
 *   ROBUST   (-(1 - e) log s(beta h) + e log s(-beta h)) / (1 - 2 e)     Chowdhury et al. 2024
 *   IPO      (h' - 1 / (2 beta))^2, h' of the means                      Azar et al. 2023
 *   HINGE    max(0, 1 - beta h)                                          Zhao et al. 2023
 *   ORPO     -pi_c' - beta log s(o(pi_c') - o(pi_r')), of the means,     Hong et al. 2024
 *            o(x) = x - log(1 - e^x), the log of the odds
 *   SIMPO    as SIGMOID of pi_c' - pi_r' - margin / beta, of the means   Meng et al. 2024
 * </pre>
 *
 * <p>To each but ORPO's, which has it already, {@code alpha} times the chosen answer's likelihood
 * can be added, {@code -alpha pi_c'} (Pang et al. 2024): pairs alone only ask that the rejected
 * answer become rarer still, and both may.
 *
 * <p>s is the logistic function, e the label smoothing: how often the labels are wrong. A batch's
 * loss is the mean over its pairs. ORPO's first term, the likelihood of the chosen answer, is a
 * mean over each answer's tokens as in the paper; TRL takes it over all tokens of a batch.
 *
 * @param beta how much the policy is held to the reference; ORPO: the weight of the odds (lambda);
 *     SIMPO: the scale of the rewards
 * @param labelSmoothing e; for SIGMOID, ROBUST and SIMPO
 * @param margin SIMPO: by how much the chosen reward should be the greater (gamma)
 * @param alpha weight of the chosen answer's likelihood
 */
public record PreferenceLoss(
    Kind kind, double beta, double labelSmoothing, double margin, double alpha) {
  /** Which formula. */
  public enum Kind {
    SIGMOID,
    ROBUST,
    IPO,
    HINGE,
    ORPO,
    SIMPO;

    /** Whether it compares the policy with a reference. */
    public boolean needsReference() {
      return this != ORPO && this != SIMPO;
    }

    /** Whether it looks at the mean over an answer's tokens rather than the sum. */
    public boolean averages() {
      return this == IPO || this == ORPO || this == SIMPO;
    }

    private boolean smooths() {
      return this == SIGMOID || this == ROBUST || this == SIMPO;
    }
  }

  /** The mean log-probability of a certain answer: its odds stay finite. */
  private static final double CERTAIN = -1e-6;

  /** Checks the numbers. */
  public PreferenceLoss {
    require(beta > 0 && beta < 1e6, "beta", "above 0", beta);
    boolean smoothing = labelSmoothing >= 0 && labelSmoothing < 0.5;
    require(smoothing, "label-smoothing", "at least 0 and below 0.5", labelSmoothing);
    require(margin >= 0 && margin < 1e6, "simpo-gamma", "0 or more", margin);
    require(alpha >= 0 && alpha < 1e6, "rpo-alpha", "0 or more", alpha);
    if (labelSmoothing > 0 && !kind.smooths()) {
      throw noPart("label-smoothing", kind);
    }
    if (alpha > 0 && kind == Kind.ORPO) {
      throw noPart("rpo-alpha", kind);
    }
  }

  /** Of pairs alone: alpha is 0. */
  public PreferenceLoss(Kind kind, double beta, double labelSmoothing, double margin) {
    this(kind, beta, labelSmoothing, margin, 0);
  }

  private static InvalidInputException noPart(String name, Kind kind) {
    return new InvalidInputException(
        name + " has no part in " + kind.name().toLowerCase(Locale.ROOT) + ": leave it 0");
  }

  /**
   * The log-probability of an answer, summed over its tokens.
   *
   * @param reference likewise; ignored where the loss needs none
   * @param tokens the end token included
   */
  public record Answer(double policy, double reference, int tokens) {}

  /**
   * What a pair costs.
   *
   * @param chosenGradient the derivative with respect to the policy's summed log-probability of the
   *     chosen answer, and so to that of each of its tokens
   * @param chosenReward what the loss takes for the chosen answer's worth: {@code beta (pi - ref)},
   *     or {@code beta pi} without a reference
   */
  public record Cost(
      double loss,
      double chosenGradient,
      double rejectedGradient,
      double chosenReward,
      double rejectedReward) {
    /** By how much the chosen answer is the better one. */
    public double margin() {
      return chosenReward - rejectedReward;
    }

    /** Whether the pair is in the right order. */
    public boolean right() {
      return chosenReward > rejectedReward;
    }
  }

  /** The cost of a pair. */
  public Cost of(Answer chosen, Answer rejected) {
    double c = worth(chosen);
    double r = worth(rejected);
    double h = c - r;
    double z = beta * h;
    double e = labelSmoothing;
    double loss;
    // The derivatives with respect to c and to r.
    double dc;
    double dr;
    switch (kind) {
      case SIGMOID, SIMPO -> {
        z -= kind == Kind.SIMPO ? margin : 0;
        loss = -(1 - e) * logSigmoid(z) - e * logSigmoid(-z);
        dc = beta * (e * sigmoid(z) - (1 - e) * sigmoid(-z));
        dr = -dc;
      }
      case ROBUST -> {
        loss = (-(1 - e) * logSigmoid(z) + e * logSigmoid(-z)) / (1 - 2 * e);
        dc = -beta * ((1 - e) * sigmoid(-z) + e * sigmoid(z)) / (1 - 2 * e);
        dr = -dc;
      }
      case IPO -> {
        double off = h - 1 / (2 * beta);
        loss = off * off;
        dc = 2 * off;
        dr = -dc;
      }
      case HINGE -> {
        // Not a number stays one.
        loss = z >= 1 ? 0 : 1 - z;
        dc = z >= 1 ? 0 : -beta;
        dr = -dc;
      }
      case ORPO -> {
        double ratio = logOdds(c) - logOdds(r);
        double push = beta * sigmoid(-ratio);
        loss = -c - beta * logSigmoid(ratio);
        dc = -1 - push * logOddsSlope(c);
        dr = push * logOddsSlope(r);
      }
      default -> throw new AssertionError(kind);
    }
    double perChosen = kind.averages() ? chosen.tokens : 1;
    double perRejected = kind.averages() ? rejected.tokens : 1;
    double likelihood = alpha / chosen.tokens;
    return new Cost(
        // Without it nothing is added, be the answer as unlikely as it may.
        alpha == 0 ? loss : loss - likelihood * chosen.policy,
        dc / perChosen - likelihood,
        dr / perRejected,
        beta * c,
        beta * r);
  }

  /** What the loss reads of an answer. */
  private double worth(Answer answer) {
    double sum = kind.needsReference() ? answer.policy - answer.reference : answer.policy;
    return kind.averages() ? sum / answer.tokens : sum;
  }

  /** {@code log(1 / (1 + e^-x))} without overflow. */
  static double logSigmoid(double x) {
    return Math.min(x, 0) - StrictMath.log1p(StrictMath.exp(-Math.abs(x)));
  }

  static double sigmoid(double x) {
    double small = StrictMath.exp(-Math.abs(x));
    return (x >= 0 ? 1 : small) / (1 + small);
  }

  private static double logOdds(double x) {
    double below = Math.min(x, CERTAIN);
    return x - StrictMath.log(-StrictMath.expm1(below));
  }

  /** {@code 1 / (1 - e^x)}. */
  private static double logOddsSlope(double x) {
    return x > CERTAIN ? 1 : -1 / StrictMath.expm1(x);
  }
}
