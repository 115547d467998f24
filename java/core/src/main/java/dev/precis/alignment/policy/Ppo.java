package dev.precis.alignment.policy;

import dev.precis.alignment.Reference;
import dev.precis.generation.SampledTokens;
import dev.precis.heads.ValueHead;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import dev.precis.t5.T5Model.Encoded;
import dev.precis.tensor.MemoryPlan;
import dev.precis.text.Tokenizer;
import dev.precis.training.DivergedException;
import dev.precis.training.Optimizer;
import dev.precis.training.TrainableT5;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Proximal policy optimization of a T5 (Schulman et al. 2017; Ziegler et al. 2019), and GRPO and
 * RLOO, step by step: {@link #rollout}, a score for each response from wherever it comes, {@link
 * #update}. {@link PpoTrainer} makes a run of it.
 *
 * <p>Policy, reference and critic share one frozen base where they can.
 *
 * <p>Not thread-safe.
 */
public final class Ppo implements AutoCloseable {
  private final TrainableT5 t5;
  private final Reference reference;
  private final Tokenizer tokenizer;
  private final PpoOptions options;
  private final Arena arena = Arena.ofShared();
  private final PolicyRandom random;
  private final KlController kl;
  private final RunningMoments moments = new RunningMoments();
  private final RolloutSampler sampler;
  private final UpdateForward forward;
  private ValueHead head;
  private Scorer scorer;
  private PolicyUpdate update;
  private PolicyPlan plan;

  /**
   * Prepares the training of a policy.
   *
   * @param t5 the policy; the caller owns it and must close it
   * @param reference policy that the KL penalty regularizes towards; the caller owns it and must
   *     close it
   * @param tokenizer the policy's, which turns responses into text; null: they have no text
   */
  public Ppo(TrainableT5 t5, Reference reference, Tokenizer tokenizer, PpoOptions options) {
    this(t5, reference, tokenizer, options, null);
  }

  /**
   * Prepares the training of a policy whose responses are sampled somewhere else.
   *
   * @param elsewhere samples the responses; null: the policy does, on its own device
   */
  public Ppo(
      TrainableT5 t5,
      Reference reference,
      Tokenizer tokenizer,
      PpoOptions options,
      ResponseSampler elsewhere) {
    t5.requireNoPrompt();
    this.t5 = t5;
    this.reference = reference;
    this.tokenizer = tokenizer;
    this.options = options;
    random = new PolicyRandom(options.seed());
    kl = new KlController(options.kl());
    SequenceBatches sequences = new SequenceBatches(t5.config(), t5.ops());
    sampler = new RolloutSampler(t5, elsewhere, options, random);
    forward = new UpdateForward(t5, sequences);
    try {
      if (options.algorithm() == PolicyAlgorithm.PPO) {
        head = new ValueHead(t5.config().dModel(), t5.ops(), arena, options.seed());
      }
      scorer = new Scorer(t5, reference, head, options, random, sequences, forward);
      update = new PolicyUpdate(t5, head, options, random, forward, arena);
      plan = new PolicyPlan(t5, reference, head, options, sampler, scorer, update, forward);
    } catch (RuntimeException | Error e) {
      close();
      throw e;
    }
  }

  /** Returns the options. */
  public PpoOptions options() {
    return options;
  }

  /** Returns the policy. */
  public TrainableT5 policy() {
    return t5;
  }

  /** Returns the reference policy. */
  public Reference reference() {
    return reference;
  }

  /** Returns the critic; null for GRPO and RLOO, which have none. */
  public ValueHead head() {
    return head;
  }

  /** Returns the controller of the KL penalty's coefficient. */
  public KlController kl() {
    return kl;
  }

  RunningMoments moments() {
    return moments;
  }

  /** Returns the optimizers by the prefix of their tensors in a checkpoint. */
  Map<String, Optimizer> optimizers() {
    Map<String, Optimizer> optimizers = new LinkedHashMap<>();
    optimizers.put("policy.", update.policyOptimizer());
    if (head != null) {
      optimizers.put("value_head.", update.headOptimizer());
    }
    return optimizers;
  }

  /** Returns the number of optimizer steps so far. */
  public long updates() {
    return update.optimizerSteps();
  }

  /**
   * Continues where a run was.
   *
   * @param updates optimizer steps so far
   * @param salt changes everything that is sampled from here on
   * @param learningRateFactor multiplies the learning rate
   */
  void restore(long updates, long salt, float learningRateFactor) {
    random.salt(salt);
    update.restore(updates, learningRateFactor);
  }

  /**
   * Returns the memory that steps on some prompts need, whatever is sampled, and allocates the
   * activations; no number changes by it. A reward's memory is not included.
   *
   * @param all prompts that steps are made of
   * @throws InvalidInputException where a prompt is empty or outside the vocabulary
   */
  public MemoryPlan plan(List<Prompt> all) {
    return plan.of(all, kl.coefficient());
  }

  /** Returns the most memory that was in use since {@link #plan}, by the plan's parts. */
  Map<String, Long> peak() {
    return plan.peak();
  }

  /** Returns the bytes that values, gradients and caches hold now. */
  public long workspaceBytes() {
    return plan.workspaceBytes();
  }

  /**
   * Samples responses and scores them with policy, reference and critic.
   *
   * @param batch prompts of the step; each gets {@link BatchOptions#groupSize} responses
   * @param step from 0: samples are a function of the seed and the step
   * @throws InvalidInputException where a prompt is empty or outside the vocabulary
   */
  public Rollout rollout(List<Prompt> batch, long step) {
    long start = System.nanoTime();
    Encoded encoded = scorer.encode(batch, step, true);
    List<SampledTokens> samples = sampler.sample(batch, encoded, step);
    double generated = seconds(start);
    Rollout rollout = scored(step, batch, encoded, samples);
    rollout.generateSeconds = generated;
    rollout.scoreSeconds = seconds(start) - generated;
    return rollout;
  }

  /**
   * Scores given responses, as {@link #rollout(List, long)} scores its samples.
   *
   * @param responses token ids for each prompt in turn, without the start token
   * @throws InvalidInputException where one has no tokens or is outside the vocabulary
   */
  public Rollout rollout(List<Prompt> batch, List<int[]> responses, long step) {
    int each = options.batch().groupSize();
    if (responses.size() != batch.size() * each) {
      throw new InvalidInputException(
          "%d responses to %d prompts: %d of each are needed"
              .formatted(responses.size(), batch.size(), each));
    }
    for (int i = 0; i < responses.size(); i++) {
      check(responses.get(i), batch.get(i / each));
    }
    Encoded encoded = scorer.encode(batch, step, true);
    List<SampledTokens> samples = new ArrayList<>();
    for (int[] tokens : responses) {
      boolean ended = t5.config().ends(tokens[tokens.length - 1]);
      samples.add(new SampledTokens(tokens, null, null, ended));
    }
    return scored(step, batch, encoded, samples);
  }

  private void check(int[] response, Prompt to) {
    if (response.length == 0) {
      throw new InvalidInputException(
          "The response to %s has no tokens: give it the end token at least".formatted(to.id()));
    }
    int vocab = t5.config().vocabSize();
    for (int token : response) {
      if (token < 0 || token >= vocab) {
        throw new InvalidInputException(
            "The response to %s has the token id %d, but the model's vocabulary has %d"
                .formatted(to.id(), token, vocab));
      }
    }
  }

  private Rollout scored(
      long step, List<Prompt> batch, Encoded encoded, List<SampledTokens> samples) {
    List<String> texts =
        samples.stream()
            .map(sample -> tokenizer == null ? "" : tokenizer.decode(sample.tokens(), true))
            .toList();
    Rollout rollout =
        Rollout.of(step, batch, samples, texts, options.mode().trainsFirstToken(), encoded);
    scorer.score(rollout);
    return rollout;
  }

  private static double seconds(long since) {
    return (System.nanoTime() - since) / 1e9;
  }

  /** Returns the order in which a PPO epoch, from 0, trains on the prompts of a rollout. */
  int[] order(Rollout rollout, int epoch) {
    return random.order(rollout.prompts().size(), rollout.step(), epoch);
  }

  /**
   * Trains one step: rewards, advantages, then the PPO epochs over the rollout's responses.
   *
   * @param scores one for each response; higher is better
   * @return statistics by TRL's names
   * @throws InvalidInputException where a score is not finite
   * @throws DivergedException where the loss or the gradient is not finite
   */
  public Map<String, Double> update(Rollout rollout, double[] scores) {
    long start = System.nanoTime();
    check(scores, rollout);
    double[] normalized = moments.normalized(scores, options.rewards());
    PpoStatistics statistics =
        new PpoStatistics(rollout, scores, normalized, options, kl.coefficient());
    PolicyTargets targets = PolicyTargets.of(rollout, normalized, options, kl.coefficient());
    statistics.rewards(targets);
    double prepared = seconds(start);
    update.run(rollout, targets, kl.coefficient(), statistics);
    kl.update(statistics.kl(), scores.length);
    Map<String, Double> all = new LinkedHashMap<>(statistics.result());
    all.put("ppo/learning_rate", Json.shortest(update.learningRate(rollout.step())));
    if (head != null) {
      all.put("ppo/value_learning_rate", Json.shortest(update.valueLearningRate()));
    }
    all.put("time/ppo/generate", rollout.generateSeconds);
    all.put("time/ppo/forward_pass", rollout.scoreSeconds);
    all.put("time/ppo/compute_advantages", prepared);
    all.put("time/ppo/optimize_step", seconds(start) - prepared);
    return all;
  }

  private static void check(double[] scores, Rollout rollout) {
    if (scores.length != rollout.samples().size()) {
      throw new InvalidInputException(
          scores.length + " scores for " + rollout.samples().size() + " responses");
    }
    for (int i = 0; i < scores.length; i++) {
      if (!Double.isFinite(scores[i])) {
        throw new InvalidInputException(
            "The score of the response to %s is %s: a reward must be a number"
                .formatted(rollout.prompts().get(i / rollout.perPrompt()).id(), scores[i]));
      }
    }
  }

  @Override
  public void close() {
    sampler.close();
    if (scorer != null) {
      scorer.close();
    }
    forward.close();
    arena.close();
  }
}
