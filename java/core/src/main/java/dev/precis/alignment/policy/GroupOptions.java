package dev.precis.alignment.policy;

/**
 * Options of the algorithms that compare responses to the same prompt, GRPO and RLOO.
 *
 * @param importanceSampling level of the ratio that is clipped; null: that of the algorithm's
 *     paper, which is the token for GRPO and the whole response for RLOO
 * @param loss weights of the tokens in GRPO's loss
 * @param scale divisor of GRPO's advantages
 */
public record GroupOptions(ImportanceSampling importanceSampling, GrpoLoss loss, ScoreScale scale) {
  /** Returns a builder that starts from the defaults. */
  public static Builder builder() {
    return new Builder();
  }

  /** Returns the level of an algorithm's ratio; PPO's is the token. */
  ImportanceSampling importanceSampling(PolicyAlgorithm algorithm) {
    if (importanceSampling != null) {
      return importanceSampling;
    }
    return algorithm == PolicyAlgorithm.RLOO
        ? ImportanceSampling.SEQUENCE
        : ImportanceSampling.TOKEN;
  }

  /** Collects the options. */
  public static final class Builder {
    private ImportanceSampling importanceSampling;
    private GrpoLoss loss = GrpoLoss.GRPO;
    private ScoreScale scale = ScoreScale.GROUP;

    private Builder() {}

    public Builder importanceSampling(ImportanceSampling importanceSampling) {
      this.importanceSampling = importanceSampling;
      return this;
    }

    public Builder loss(GrpoLoss loss) {
      this.loss = loss;
      return this;
    }

    public Builder scale(ScoreScale scale) {
      this.scale = scale;
      return this;
    }

    /** Returns the options. */
    public GroupOptions build() {
      return new GroupOptions(importanceSampling, loss, scale);
    }
  }
}
