package dev.precis.alignment.policy;

import static dev.precis.io.InvalidInputException.require;

import dev.precis.io.InvalidInputException;

/**
 * Generalized advantage estimation (Schulman et al. 2016), which PPO uses.
 *
 * @param gamma discount factor of later rewards
 * @param lambda trade-off between bias (0) and variance (1) of the advantages
 */
public record GaeOptions(double gamma, double lambda) {
  /**
   * Checks the ranges.
   *
   * @throws InvalidInputException where a value is outside its range
   */
  public GaeOptions {
    require(gamma >= 0 && gamma <= 1, "gamma", "between 0 and 1", gamma);
    require(lambda >= 0 && lambda <= 1, "lambda", "between 0 and 1", lambda);
  }

  /** Returns a builder that starts from the defaults. */
  public static Builder builder() {
    return new Builder();
  }

  /** Collects the options. */
  public static final class Builder {
    private double gamma = 1;
    private double lambda = 0.95;

    private Builder() {}

    public Builder gamma(double gamma) {
      this.gamma = gamma;
      return this;
    }

    public Builder lambda(double lambda) {
      this.lambda = lambda;
      return this;
    }

    /**
     * Returns the options.
     *
     * @throws InvalidInputException where a value is outside its range
     */
    public GaeOptions build() {
      return new GaeOptions(gamma, lambda);
    }
  }
}
