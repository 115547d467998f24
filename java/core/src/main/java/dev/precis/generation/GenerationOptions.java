package dev.precis.generation;

import dev.precis.io.InvalidInputException;
import java.time.Duration;
import java.util.Locale;

/**
 * Options of decoding. Names and meanings are those of transformers' generation options.
 *
 * @param maxNewTokens the most new tokens, the end token included
 * @param minNewTokens the fewest new tokens before the end token
 * @param numBeams beams of a beam search; 1: no beam search
 * @param lengthPenalty beams are ranked by log-probability / length^lengthPenalty
 * @param earlyStopping condition that ends a beam search
 * @param noRepeatNgramSize forbids that an n-gram of this size repeats; 0: off
 * @param repetitionPenalty logits of tokens that occurred are divided (or, negative, multiplied) by
 *     it; 1: off
 * @param numReturnSequences results for each prompt; more than one needs beams or sampling
 * @param sample true: sample tokens; false: greedy decoding or beam search
 * @param temperature of the distribution that is sampled from; below 1 sharper
 * @param topK sample among the k most probable tokens; 0: all
 * @param topP sample among the most probable tokens whose probabilities add up to p; 1: all
 * @param seed of the random numbers: the same seed samples the same tokens
 * @param tokenRules rules on single tokens and sequences of them
 * @param renormalizeLogits whether beams add up probabilities that sum to 1 after the rules
 * @param alternatives the most probable tokens that a listener hears of beside each chosen one, at
 *     most {@link #MOST_ALTERNATIVES}; 0: none
 * @param maxSourceTokens the longest source, in tokens; a longer one is refused, because the
 *     encoder's time grows with the square of its length
 * @param timeout after which the call ends with a {@link GenerationTimeoutException} and without a
 *     result, other than those that a listener has received; counted from the time that the call
 *     begins to run, not while it waits for another one; null: none
 * @param draft source of draft tokens, several of which one step verifies; changes the speed, never
 *     the tokens
 */
public record GenerationOptions(
    int maxNewTokens,
    int minNewTokens,
    int numBeams,
    float lengthPenalty,
    EarlyStopping earlyStopping,
    int noRepeatNgramSize,
    float repetitionPenalty,
    int numReturnSequences,
    boolean sample,
    float temperature,
    int topK,
    float topP,
    long seed,
    TokenRules tokenRules,
    boolean renormalizeLogits,
    int alternatives,
    int maxSourceTokens,
    Duration timeout,
    Draft draft) {

  /** Conditions that end a beam search. */
  public enum EarlyStopping {
    /**
     * Stop when no running beam looks able to beat the worst finished one at its present length.
     */
    FALSE,
    /** Stop as soon as there are as many finished sequences as beams. */
    TRUE,
    /** Stop when no running beam could beat the worst finished one at any length. */
    NEVER
  }

  /**
   * Sources of draft tokens. Speculative decoding (Leviathan et al. 2023) computes a sequence at
   * several positions in one step, as if the draft's tokens had been chosen already, and keeps
   * those that are. The paper accepts a token by chance, so that the distribution is the model's;
   * here the rule is deterministic: a draft token is accepted while it equals the token that is
   * chosen at its position, by the position's own random number where tokens are sampled. Tokens
   * and log-probabilities are therefore bitwise those of decoding without drafts.
   */
  public enum Draft {
    /** No draft: a step chooses one token of each sequence. */
    NONE,
    /**
     * Prompt lookup decoding: the newest tokens of the sequence, as many as occur earlier in the
     * source or in the sequence itself but at most 4, are followed by a draft of as many tokens,
     * those that followed there. Steps of more than 8 rows, drafts included, and steps on a GPU
     * have no drafts, and a sequence whose drafts fail has fewer of them. Not with beams.
     */
    LOOKUP
  }

  /** The most alternatives to a token. */
  public static final int MOST_ALTERNATIVES = 20;

  /** The longest source by default: its encoder takes minutes on two cores. */
  public static final int DEFAULT_MAX_SOURCE_TOKENS = 16_384;

  /** Greedy, at most 200 new tokens. */
  public static final GenerationOptions DEFAULT =
      new GenerationOptions(
          200,
          0,
          1,
          1f,
          EarlyStopping.FALSE,
          0,
          1f,
          1,
          false,
          1f,
          50,
          1f,
          0,
          TokenRules.NONE,
          false,
          0,
          DEFAULT_MAX_SOURCE_TOKENS,
          null,
          Draft.NONE);

  /**
   * Checks every value.
   *
   * @throws InvalidInputException if a value is out of range; the message is one sentence
   */
  public GenerationOptions {
    require(maxNewTokens >= 1 && maxNewTokens <= 1 << 20, "max-new-tokens", maxNewTokens, ">= 1");
    require(
        minNewTokens >= 0 && minNewTokens <= maxNewTokens,
        "min-new-tokens",
        minNewTokens,
        "between 0 and max-new-tokens, " + maxNewTokens);
    require(numBeams >= 1 && numBeams <= 64, "num-beams", numBeams, "between 1 and 64");
    require(Float.isFinite(lengthPenalty), "length-penalty", lengthPenalty, "a number");
    require(noRepeatNgramSize >= 0, "no-repeat-ngram-size", noRepeatNgramSize, ">= 0");
    require(
        repetitionPenalty > 0 && Float.isFinite(repetitionPenalty),
        "repetition-penalty",
        repetitionPenalty,
        "> 0");
    require(
        numReturnSequences >= 1 && numReturnSequences <= 1024,
        "num-return-sequences",
        numReturnSequences,
        "between 1 and 1024");
    require(
        sample || numReturnSequences <= numBeams,
        "num-return-sequences",
        numReturnSequences,
        "at most num-beams, " + numBeams + ", without sampling: there are no more results");
    require(
        !(sample && numBeams > 1), "num-beams", numBeams, "1 when sampling: beams are not sampled");
    require(
        temperature > 0 && Float.isFinite(temperature),
        "temperature",
        temperature,
        "> 0; for the most probable token do not sample");
    require(topK >= 0, "top-k", topK, ">= 0");
    require(topP > 0 && topP <= 1, "top-p", topP, "above 0 and at most 1");
    require(
        alternatives >= 0 && alternatives <= MOST_ALTERNATIVES,
        "alternatives",
        alternatives,
        "between 0 and " + MOST_ALTERNATIVES);
    require(
        alternatives == 0 || numBeams == 1,
        "alternatives",
        alternatives,
        "0 with num-beams " + numBeams + ": beams are ranked as wholes");
    require(maxSourceTokens >= 1, "max-source-tokens", maxSourceTokens, ">= 1");
    require(timeout == null || timeout.isPositive(), "timeout", timeout, "above 0");
    require(draft != null, "draft", null, "none or lookup");
    require(
        draft == Draft.NONE || numBeams == 1,
        "draft",
        draft.name().toLowerCase(Locale.ROOT),
        "none with num-beams " + numBeams + ": a draft continues one sequence");
  }

  /**
   * Makes sure that the rules on tokens are of a vocabulary.
   *
   * @throws InvalidInputException if one names a token outside
   */
  void checkTokens(int vocabSize) {
    if (tokenRules.largestToken() >= vocabSize) {
      throw new InvalidInputException(
          "A rule of the generation options names token %d, but the vocabulary ends with %d."
              .formatted(tokenRules.largestToken(), vocabSize - 1));
    }
  }

  private static void require(boolean condition, String name, Object value, String rule) {
    if (!condition) {
      throw new InvalidInputException(name + " is " + value + ", but must be " + rule + ".");
    }
  }

  /** Returns a builder that starts from these options. */
  public Builder with() {
    return new Builder(this);
  }

  /** Returns a builder that starts from {@link #DEFAULT}. */
  public static Builder builder() {
    return DEFAULT.with();
  }

  /** Collects options; {@link #build} checks them. */
  public static final class Builder {
    private int maxNewTokens;
    private int minNewTokens;
    private int numBeams;
    private float lengthPenalty;
    private EarlyStopping earlyStopping;
    private int noRepeatNgramSize;
    private float repetitionPenalty;
    private int numReturnSequences;
    private boolean sample;
    private float temperature;
    private int topK;
    private float topP;
    private long seed;
    private TokenRules tokenRules;
    private boolean renormalizeLogits;
    private int alternatives;
    private int maxSourceTokens;
    private Duration timeout;
    private Draft draft;

    private Builder(GenerationOptions o) {
      maxNewTokens = o.maxNewTokens;
      minNewTokens = o.minNewTokens;
      numBeams = o.numBeams;
      lengthPenalty = o.lengthPenalty;
      earlyStopping = o.earlyStopping;
      noRepeatNgramSize = o.noRepeatNgramSize;
      repetitionPenalty = o.repetitionPenalty;
      numReturnSequences = o.numReturnSequences;
      sample = o.sample;
      temperature = o.temperature;
      topK = o.topK;
      topP = o.topP;
      seed = o.seed;
      tokenRules = o.tokenRules;
      renormalizeLogits = o.renormalizeLogits;
      alternatives = o.alternatives;
      maxSourceTokens = o.maxSourceTokens;
      timeout = o.timeout;
      draft = o.draft;
    }

    int maxNewTokens() {
      return maxNewTokens;
    }

    int minNewTokens() {
      return minNewTokens;
    }

    int numBeams() {
      return numBeams;
    }

    boolean sample() {
      return sample;
    }

    public Builder maxNewTokens(int value) {
      maxNewTokens = value;
      return this;
    }

    public Builder minNewTokens(int value) {
      minNewTokens = value;
      return this;
    }

    public Builder numBeams(int value) {
      numBeams = value;
      return this;
    }

    public Builder lengthPenalty(float value) {
      lengthPenalty = value;
      return this;
    }

    public Builder earlyStopping(EarlyStopping value) {
      earlyStopping = value;
      return this;
    }

    public Builder noRepeatNgramSize(int value) {
      noRepeatNgramSize = value;
      return this;
    }

    public Builder repetitionPenalty(float value) {
      repetitionPenalty = value;
      return this;
    }

    public Builder numReturnSequences(int value) {
      numReturnSequences = value;
      return this;
    }

    public Builder sample(boolean value) {
      sample = value;
      return this;
    }

    public Builder temperature(float value) {
      temperature = value;
      return this;
    }

    public Builder topK(int value) {
      topK = value;
      return this;
    }

    public Builder topP(float value) {
      topP = value;
      return this;
    }

    public Builder seed(long value) {
      seed = value;
      return this;
    }

    public Builder tokenRules(TokenRules value) {
      tokenRules = value;
      return this;
    }

    public Builder renormalizeLogits(boolean value) {
      renormalizeLogits = value;
      return this;
    }

    public Builder alternatives(int value) {
      alternatives = value;
      return this;
    }

    public Builder maxSourceTokens(int value) {
      maxSourceTokens = value;
      return this;
    }

    public Builder timeout(Duration value) {
      timeout = value;
      return this;
    }

    public Builder draft(Draft value) {
      draft = value;
      return this;
    }

    /**
     * Builds the options.
     *
     * @throws InvalidInputException if a value is out of range; the message is one sentence
     */
    public GenerationOptions build() {
      return new GenerationOptions(
          maxNewTokens,
          minNewTokens,
          numBeams,
          lengthPenalty,
          earlyStopping,
          noRepeatNgramSize,
          repetitionPenalty,
          numReturnSequences,
          sample,
          temperature,
          topK,
          topP,
          seed,
          tokenRules,
          renormalizeLogits,
          alternatives,
          maxSourceTokens,
          timeout,
          draft);
    }
  }
}
