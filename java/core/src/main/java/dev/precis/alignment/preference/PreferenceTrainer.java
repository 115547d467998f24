package dev.precis.alignment.preference;

import dev.precis.alignment.Reference;
import dev.precis.io.InvalidInputException;
import dev.precis.tensor.MemoryPlan;
import dev.precis.training.Batches;
import dev.precis.training.RunFolder;
import dev.precis.training.TrainableT5;
import dev.precis.training.TrainingLoop;
import dev.precis.training.TrainingOptions;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Aligns a T5 with preference data, without a reward model: DPO and its family on pairs, KTO on
 * single completions. A prompt is encoded once for both of its completions. The reference's
 * log-probabilities are computed once, before the first step, and kept in the run folder.
 *
 * <p>A step's loss is the mean over its examples, however many batches it is computed in. Metrics
 * have TRL's names: rewards/chosen, rewards/rejected, rewards/accuracies, rewards/margins,
 * logps/chosen, logps/rejected and, for KTO, kl; an evaluation's begin with eval_.
 * Log-probabilities are sums over a completion's tokens, or means if the loss takes means. The
 * accuracy of KTO is the share of pairs of a desirable and an undesirable completion of a batch in
 * which the desirable one has the greater reward.
 *
 * <p>Not thread-safe, except {@link #stop}.
 */
public final class PreferenceTrainer extends TrainingLoop {
  private final TrainableT5 t5;
  private final Objective objective;
  private final Reference reference;
  private final boolean startsAtReference;
  private final List<TokenizedPair> training;
  private final List<TokenizedPair> evaluation;
  private final Batches<TokenizedPair> batches;
  private final CompletionScorer scorer;
  private final MemoryPlan plan;
  private double[][] referenceScores;

  /**
   * Prepares a run on pairs, which starts from the beginning unless it is resumed.
   *
   * @param evaluation pairs to evaluate on; may be empty
   * @param reference policy that the loss regularizes towards; null if the loss needs none
   * @param startsAtReference whether the policy must start as its reference: the run then refuses
   *     to start unless all margins are exactly zero
   * @param run folder that everything is written to; the caller owns it and the reference, and must
   *     close both
   */
  public static PreferenceTrainer onPairs(
      TrainableT5 t5,
      TrainingOptions options,
      PreferenceLoss loss,
      List<PreferenceExample> training,
      List<PreferenceExample> evaluation,
      Reference reference,
      boolean startsAtReference,
      RunFolder run) {
    return new PreferenceTrainer(
        t5,
        options,
        new Objective.Pairs(loss),
        Objective.Pairs.items(training, 0),
        Objective.Pairs.items(evaluation, training.size()),
        reference,
        startsAtReference,
        run);
  }

  /** Prepares a run on single completions (KTO), as {@link #onPairs} does on pairs. */
  public static PreferenceTrainer onFeedback(
      TrainableT5 t5,
      TrainingOptions options,
      UnpairedLoss loss,
      List<FeedbackExample> training,
      List<FeedbackExample> evaluation,
      Reference reference,
      boolean startsAtReference,
      RunFolder run) {
    return new PreferenceTrainer(
        t5,
        options,
        new Objective.Unpaired(loss),
        Objective.Unpaired.items(training, 0),
        Objective.Unpaired.items(evaluation, training.size()),
        reference,
        startsAtReference,
        run);
  }

  private PreferenceTrainer(
      TrainableT5 t5,
      TrainingOptions options,
      Objective objective,
      List<TokenizedPair> training,
      List<TokenizedPair> evaluation,
      Reference reference,
      boolean startsAtReference,
      RunFolder run) {
    if (training.isEmpty()) {
      throw new InvalidInputException("There is no example to train on.");
    }
    if (objective.needsReference() && reference == null) {
      throw new InvalidInputException("This loss compares the policy with a reference: name one.");
    }
    options.requireBatchesOfExamples();
    Batches<TokenizedPair> batches =
        new Batches<>(
            training,
            TokenizedPair::tokens,
            Batches.Size.of(options),
            options.shuffle(),
            options.seed());
    super(t5, options, batches, !evaluation.isEmpty(), run);
    this.t5 = t5;
    this.objective = objective;
    this.reference = objective.needsReference() ? reference : null;
    this.startsAtReference = startsAtReference;
    this.training = training;
    this.evaluation = evaluation;
    this.batches = batches;
    scorer = new CompletionScorer(t5, options.recompute());
    try {
      long workspace =
          scorer.plan(
              this.reference,
              Batches.longest(all(), i -> i.source().length, options.batchSize()),
              Batches.longest(all(), TokenizedPair::answerTokens, options.batchSize()));
      Map<String, Long> parts = new LinkedHashMap<>(plan(workspace).parts());
      if (this.reference != null) {
        parts.put("reference", this.reference.weightBytes());
      }
      plan = new MemoryPlan(parts);
      scorer.reserve(workspace);
    } catch (RuntimeException | Error e) {
      close();
      throw e;
    }
  }

  private List<TokenizedPair> all() {
    List<TokenizedPair> all = new ArrayList<>(training);
    all.addAll(evaluation);
    return all;
  }

  /** Returns the memory that the run needs, whatever lengths come. */
  @Override
  public MemoryPlan plan() {
    return plan;
  }

  /** Returns the most memory that activations took in a step, in bytes. */
  long peak() {
    return scorer.peak();
  }

  /**
   * Computes or reads the reference's log-probabilities, and checks that a policy that starts as
   * its reference has no margin.
   *
   * @throws InvalidInputException where it has
   */
  @Override
  protected void prepare(Listener listener) {
    prepare(
        (done, total) -> {
          listener.onPreparation(done, total);
          return !stopped();
        });
  }

  private interface Going {
    boolean on(long done, long total);
  }

  private void prepare(Going going) {
    if (reference == null || referenceScores != null) {
      return;
    }
    List<TokenizedPair> all = all();
    double[][] scores =
        ReferenceScores.of(
            run(),
            t5,
            scorer,
            reference,
            all,
            options().batchSize(),
            at -> going.on(at, all.size()));
    if (scores == null) {
      return;
    }
    if (done() == 0 && startsAtReference) {
      checkStart(scores);
    }
    referenceScores = scores;
  }

  private void checkStart(double[][] scores) {
    for (List<TokenizedPair> batch : batches.batches(0)) {
      double[][] policy = scorer.policy(batch, 0, 2);
      for (int i = 0; i < policy.length; i++) {
        double[] wanted = scores[batch.get(i).index()];
        for (int j = 0; j < 2; j++) {
          if (policy[i][j] != wanted[j]) {
            throw new InvalidInputException(
                "The policy should start as the reference "
                    + reference.name()
                    + ", but it gives a completion of example "
                    + (batch.get(i).index() + 1)
                    + " a log-probability of "
                    + policy[i][j]
                    + ", the reference "
                    + wanted[j]
                    + ": their weights or their arithmetic differ");
          }
        }
      }
    }
  }

  private double[] referenceOf(TokenizedPair item) {
    return reference == null ? null : referenceScores[item.index()];
  }

  @Override
  protected BatchLoss accumulateGradients(long step) {
    prepare((done, total) -> true);
    List<List<TokenizedPair>> parts = batches.batches(step);
    List<TokenizedPair> batch = Batches.join(parts);
    double divergence = divergence(batch);
    PreferenceMetrics metrics = new PreferenceMetrics();
    int first = 0;
    long tokens = 0;
    for (List<TokenizedPair> micro : parts) {
      scorer.accumulate(
          micro,
          0,
          objective.trainedCompletions(),
          numbers(first, micro.size()),
          dropoutSeed(step),
          sums -> gradients(micro, sums, divergence, batch.size(), metrics));
      first += micro.size();
    }
    for (TokenizedPair item : batch) {
      tokens += item.tokens();
    }
    return new BatchLoss(metrics.loss(), tokens, metrics.metrics());
  }

  /** Returns the gradients of the mean over a step's examples; null if the loss is not finite. */
  private double[][] gradients(
      List<TokenizedPair> items,
      double[][] sums,
      double divergence,
      int examples,
      PreferenceMetrics metrics) {
    double[][] gradients = new double[sums.length][];
    for (int i = 0; i < sums.length; i++) {
      TokenizedPair item = items.get(i);
      gradients[i] = objective.cost(item, sums[i], referenceOf(item), divergence, metrics);
      for (int j = 0; j < gradients[i].length; j++) {
        gradients[i][j] /= examples;
      }
    }
    return Double.isFinite(metrics.loss()) ? gradients : null;
  }

  /** Returns the estimate of the policy's KL from the reference on completions of other prompts. */
  private double divergence(List<TokenizedPair> items) {
    if (!objective.measuresDivergence()) {
      return 0;
    }
    double sum = 0;
    for (List<TokenizedPair> batch : Batches.split(items, options().batchSize())) {
      checkStopped();
      double[][] policy = scorer.policy(batch, 1, 2);
      for (int i = 0; i < policy.length; i++) {
        sum += policy[i][0] - referenceOf(batch.get(i))[1];
      }
    }
    return UnpairedLoss.divergence(sum, items.size());
  }

  @Override
  protected Evaluation evaluation(Listener listener) {
    return evaluate(evaluation);
  }

  /** Evaluates the present policy on its training examples. */
  public Evaluation evaluateTraining() {
    return evaluate(training);
  }

  private Evaluation evaluate(List<TokenizedPair> items) {
    prepare((done, total) -> true);
    double divergence = divergence(items);
    PreferenceMetrics metrics = new PreferenceMetrics();
    for (List<TokenizedPair> batch : Batches.split(items, options().batchSize())) {
      checkStopped();
      double[][] sums = scorer.policy(batch, 0, objective.trainedCompletions());
      for (int i = 0; i < sums.length; i++) {
        objective.cost(batch.get(i), sums[i], referenceOf(batch.get(i)), divergence, metrics);
      }
    }
    return new Evaluation(metrics.loss(), metrics.metrics());
  }

  @Override
  public void close() {
    scorer.close();
    super.close();
  }
}
