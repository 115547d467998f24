package dev.precis.alignment.preference;

import static dev.precis.io.InvalidInputException.require;

import dev.precis.io.InvalidInputException;
import java.util.Locale;

/**
 * Losses of preference optimization on pairs, in double precision over the log-probabilities of
 * whole completions.
 *
 * <p>With {@code h = (pi_c - ref_c) - (pi_r - ref_r)}, where pi and ref are the log-probabilities
 * of the chosen (c) and the rejected (r) completion under policy and reference, summed over tokens;
 * a prime marks their mean over the completion's tokens:
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
 * <p>Except for ORPO, which has that term already, {@code alpha} adds the negative log-likelihood
 * of the chosen completion, {@code -alpha pi_c'} (Pang et al. 2024). Without it, both completions
 * may become less likely.
 *
 * <p>s is the logistic function, e the label smoothing: the assumed share of wrong labels. A
 * batch's loss is the mean over its pairs. ORPO's first term is a mean over each completion's
 * tokens as in the paper; TRL takes it over all tokens of a batch.
 *
 * @param beta strength of the regularization towards the reference; ORPO: weight of the odds ratio
 *     (lambda); SIMPO: scale of the rewards
 * @param labelSmoothing e; for SIGMOID, ROBUST and SIMPO
 * @param margin SIMPO: target margin between chosen and rejected reward (gamma)
 * @param alpha weight of the chosen completion's negative log-likelihood
 */
public record PreferenceLoss(
    Kind kind, double beta, double labelSmoothing, double margin, double alpha) {
  /** Formulas of the loss. */
  public enum Kind {
    SIGMOID,
    ROBUST,
    IPO,
    HINGE,
    ORPO,
    SIMPO;

    /** Returns true if the loss compares the policy with a reference. */
    public boolean needsReference() {
      return this != ORPO && this != SIMPO;
    }

    /** Returns true if the loss reads means over a completion's tokens instead of sums. */
    public boolean averages() {
      return this == IPO || this == ORPO || this == SIMPO;
    }

    private boolean smooths() {
      return this == SIGMOID || this == ROBUST || this == SIMPO;
    }
  }

  /** Largest mean log-probability in ORPO's odds, which keeps them finite. */
  private static final double CERTAIN = -1e-6;

  /** Checks the ranges. */
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

  /** Creates a loss with an alpha of 0. */
  public PreferenceLoss(Kind kind, double beta, double labelSmoothing, double margin) {
    this(kind, beta, labelSmoothing, margin, 0);
  }

  private static InvalidInputException noPart(String name, Kind kind) {
    return new InvalidInputException(
        name + " has no part in " + kind.name().toLowerCase(Locale.ROOT) + ": leave it 0");
  }

  /**
   * Log-probabilities of a completion, summed over its tokens.
   *
   * @param reference the reference's; ignored if the loss needs none
   * @param tokens number of tokens, the end token included
   */
  public record Answer(double policy, double reference, int tokens) {}

  /**
   * Loss of a pair with its gradients and rewards.
   *
   * @param chosenGradient derivative with respect to the policy's summed log-probability of the
   *     chosen completion, and so to that of each of its tokens
   * @param chosenReward implicit reward of the chosen completion: {@code beta (pi - ref)}, or
   *     {@code beta pi} without a reference
   */
  public record Cost(
      double loss,
      double chosenGradient,
      double rejectedGradient,
      double chosenReward,
      double rejectedReward) {
    /** Returns the chosen reward minus the rejected one. */
    public double margin() {
      return chosenReward - rejectedReward;
    }

    /** Returns true if the chosen reward is the greater one. */
    public boolean right() {
      return chosenReward > rejectedReward;
    }
  }

  /** Computes the loss of a pair. */
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
        // NaN stays NaN.
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
        // Without alpha nothing is added, even if the log-probability is infinite.
        alpha == 0 ? loss : loss - likelihood * chosen.policy,
        dc / perChosen - likelihood,
        dr / perRejected,
        beta * c,
        beta * r);
  }

  /** Returns the log-ratio or log-probability that the loss reads. */
  private double worth(Answer answer) {
    double sum = kind.needsReference() ? answer.policy - answer.reference : answer.policy;
    return kind.averages() ? sum / answer.tokens : sum;
  }

  /** Returns {@code log(1 / (1 + e^-x))} without overflow. */
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

  /** Returns {@code 1 / (1 - e^x)}. */
  private static double logOddsSlope(double x) {
    return x > CERTAIN ? 1 : -1 / StrictMath.expm1(x);
  }
}
