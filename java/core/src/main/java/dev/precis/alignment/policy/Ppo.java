package dev.precis.alignment.policy;

import dev.precis.alignment.Reference;
import dev.precis.alignment.policy.PpoMode.EarlyStop;
import dev.precis.generation.Generator;
import dev.precis.generation.SampledTokens;
import dev.precis.heads.ValueHead;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import dev.precis.ops.Ops;
import dev.precis.ops.Tape;
import dev.precis.ops.Variable;
import dev.precis.random.SplitMix64;
import dev.precis.t5.T5Model;
import dev.precis.t5.T5Model.Encoded;
import dev.precis.tensor.DType;
import dev.precis.tensor.MemoryPlan;
import dev.precis.tensor.Ragged;
import dev.precis.tensor.Tensor;
import dev.precis.tensor.Workspace;
import dev.precis.text.Tokenizer;
import dev.precis.training.DivergedException;
import dev.precis.training.Optimizer;
import dev.precis.training.TrainableT5;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * Proximal policy optimisation of a T5 (Schulman et al. 2017; Ziegler et al. 2019), and GRPO and
 * RLOO, a step at a time: {@link #rollout}, a score for each response from wherever it comes,
 * {@link #update}. {@link PpoTrainer} makes a run of it.
 *
 * <p>Policy, reference and critic share one frozen base where they can, and the encoder runs once
 * for a prompt wherever its weights do not change between them.
 *
 * <p>Not for several threads.
 */
public final class Ppo implements AutoCloseable {
  private static final double STOP_FACTOR = 1.5;
  private static final long ORDER = 0x6f72646572L;
  private static final long LIMIT = 0x6c696d6974L;
  private static final long DROPOUT = 0x64726f70L;

  private final TrainableT5 t5;
  private final Reference reference;
  private final Tokenizer tokenizer;
  private final PpoOptions options;
  private final Ops ops;
  private final Arena arena = Arena.ofShared();
  private final ValueHead head;
  private final Optimizer policyOptimizer;
  private final Optimizer headOptimizer;
  private final KlController kl;
  private final RunningMoments moments = new RunningMoments();
  private final Generator generator;
  private final Workspace prompts;
  private final Workspace passing;
  private final Workspace updating;
  private final Tape tape;
  private final boolean trainsEncoder;
  private Begun begun;
  private long updates;
  private long salt;
  private float learningRateFactor = 1;

  /**
   * A policy to align.
   *
   * @param t5 the policy; its owner closes it
   * @param reference what it is held close to; its owner closes it
   * @param tokenizer the policy's, which turns responses into text; null: they have no text
   */
  public Ppo(TrainableT5 t5, Reference reference, Tokenizer tokenizer, PpoOptions options) {
    this.t5 = t5;
    this.reference = reference;
    this.tokenizer = tokenizer;
    this.options = options;
    ops = t5.ops();
    trainsEncoder = t5.trainsEncoder();
    kl =
        new KlController(
            options.kl().adaptive(),
            options.kl().coefficient(),
            options.kl().target(),
            options.kl().horizon());
    generator = new Generator(t5.model());
    prompts = new Workspace(t5.context());
    passing = new Workspace(t5.context());
    updating = new Workspace(t5.context());
    tape = new Tape(ops, updating, false);
    Optimizer.Settings adam = Optimizer.Settings.of(Optimizer.Kind.ADAM, 0);
    try {
      policyOptimizer = Optimizer.create(adam, t5.parameters(), ops, arena);
      head =
          options.algorithm() == PolicyAlgorithm.PPO
              ? new ValueHead(t5.config().dModel(), ops, arena, options.seed())
              : null;
      headOptimizer = head == null ? null : Optimizer.create(adam, head.parameters(), ops, arena);
    } catch (RuntimeException | Error e) {
      close();
      throw e;
    }
  }

  public PpoOptions options() {
    return options;
  }

  /** The policy. */
  public TrainableT5 policy() {
    return t5;
  }

  public Reference reference() {
    return reference;
  }

  /** The critic; null for GRPO and RLOO, which have none. */
  public ValueHead head() {
    return head;
  }

  /** The coefficient of the KL penalty. */
  public KlController kl() {
    return kl;
  }

  RunningMoments moments() {
    return moments;
  }

  Optimizer policyOptimizer() {
    return policyOptimizer;
  }

  Optimizer headOptimizer() {
    return headOptimizer;
  }

  /** Optimizer steps so far. */
  public long updates() {
    return updates;
  }

  /**
   * Goes on where a run was.
   *
   * @param updates optimizer steps so far
   * @param salt changes everything that is drawn from here on
   * @param learningRateFactor what the learning rate is multiplied by
   */
  void restore(long updates, long salt, float learningRateFactor) {
    this.updates = updates;
    this.salt = salt;
    this.learningRateFactor = learningRateFactor;
  }

  /**
   * What steps on some prompts need, whatever is drawn: measured on four tiny steps, because it
   * grows with the tokens alone. The memory between operations is taken at once, on a GPU that
   * which kernels work in too, by one step of the full size; nothing else changes. What a reward
   * needs comes on top.
   *
   * @param all what steps take their prompts from
   * @throws InvalidInputException where a prompt is empty or outside the vocabulary
   */
  public MemoryPlan plan(List<Prompt> all) {
    int prompts = options.batch().prompts();
    int together = options.batch().miniBatchPrompts();
    int longest = all.stream().mapToInt(prompt -> prompt.source().length).max().orElseThrow();
    long decoding =
        generator.reserve(
            prompts, longest, options.batch().groupSize(), options.sampling().maxNewTokens());
    // Once to size the workspaces: only in one piece is memory given back on the way.
    measure(96, 24);
    long[] base = measure(32, 8);
    long[] source = measure(96, 8);
    long[] response = measure(32, 24);
    long most = tokens(longest(all, prompts));
    long[] sources = {most, most, tokens(longest(all, together))};
    long[] responses = {prompts, prompts, together};
    // What is computed apart for the first mini-batch and for the others is copied together.
    long row = 4L * t5.config().dModel() + 4;
    long newTokens = (long) options.batch().batchSize() * options.sampling().maxNewTokens();
    long[] copied = {sources[0] * row, (sources[1] + newTokens) * row, 0};
    List<Workspace> workspaces = List.of(this.prompts, passing, updating);
    long[] bytes = new long[base.length];
    for (int i = 0; i < bytes.length; i++) {
      double tokens = (double) responses[i] * options.sampling().maxNewTokens() - 8;
      double needed =
          base[i]
              + (source[i] - base[i]) / 64.0 * (sources[i] - 32)
              + (response[i] - base[i]) / 16.0 * tokens
              + copied[i];
      // What is rounded up to whole cache lines, and the offsets of the sequences.
      bytes[i] = (long) (needed * 1.01) + (1 << 16);
      workspaces.get(i).reserve(bytes[i]);
    }
    if (t5.context().onGpu()) {
      measure(longest(all, prompts).toList(), options.sampling().maxNewTokens(), together);
    }
    workspaces.forEach(Workspace::resetPeak);
    Map<String, Long> parts = new LinkedHashMap<>();
    parts.put("weights", t5.weightBytes());
    parts.put("reference", reference.weightBytes());
    long trained = t5.parameters().values().memory().byteSize();
    long state = bytes(policyOptimizer);
    if (head != null) {
      trained += head.parameters().values().memory().byteSize();
      state += bytes(headOptimizer);
    }
    parts.put("trained weights and gradients", 2 * trained);
    parts.put("optimizer", state);
    parts.put("decoding", decoding);
    parts.put("scoring", bytes[0] + bytes[1]);
    parts.put("update", bytes[2]);
    parts.put("kernels", t5.context().describe().scratchBytes());
    return new MemoryPlan(parts);
  }

  /** The most memory that was in use since {@link #plan}, by the plan's parts. */
  Map<String, Long> peak() {
    return Map.of(
        "decoding",
        generator.peak(),
        "scoring",
        prompts.peak() + passing.peak(),
        "update",
        updating.peak());
  }

  private static long bytes(Optimizer optimizer) {
    return optimizer.state().values().stream().mapToLong(t -> t.memory().byteSize()).sum();
  }

  /** The longest prompts that a step of so many can have. */
  private static Stream<Prompt> longest(List<Prompt> all, int count) {
    // Where one pass over all of them ends and the next begins, the same one can come again.
    int copies = count / all.size() + 2;
    return all.stream()
        .sorted(Comparator.comparingInt(prompt -> -prompt.source().length))
        .flatMap(prompt -> Collections.nCopies(copies, prompt).stream())
        .limit(count);
  }

  private static long tokens(Stream<Prompt> prompts) {
    return prompts.mapToLong(prompt -> prompt.source().length).sum();
  }

  /** What one prompt with its responses takes in each workspace. */
  private long[] measure(int sourceTokens, int responseTokens) {
    int[] source = new int[sourceTokens];
    Arrays.fill(source, t5.config().eosTokenId());
    return measure(List.of(new Prompt("", "", source, List.of())), responseTokens, 1);
  }

  /** The same of several prompts, of which so many are learnt from together. */
  private long[] measure(List<Prompt> batch, int responseTokens, int together) {
    int[] response = new int[responseTokens];
    Arrays.fill(response, t5.config().eosTokenId());
    int count = batch.size() * options.batch().groupSize();
    List<Workspace> all = List.of(prompts, passing, updating);
    all.forEach(Workspace::resetPeak);
    Rollout rollout = rollout(batch, Collections.nCopies(count, response), 0, false);
    double[] scores = new double[count];
    PolicyTargets targets = PolicyTargets.of(rollout, scores, options, kl.coefficient());
    int[] part = IntStream.range(0, Math.min(together, batch.size())).toArray();
    accumulate(rollout, targets, part, 0, 0, null);
    clearGradients();
    return all.stream().mapToLong(Workspace::peak).toArray();
  }

  /** Bytes that values, gradients and caches take now. */
  public long workspaceBytes() {
    return prompts.bytes() + passing.bytes() + updating.bytes();
  }

  /**
   * Samples responses, and has policy, reference and critic look at them.
   *
   * @param batch prompts of the step; groupSize responses for each
   * @param step from 0: draws are a function of the seed and the step
   * @throws InvalidInputException where a prompt is empty or outside the vocabulary
   */
  public Rollout rollout(List<Prompt> batch, long step) {
    long start = System.nanoTime();
    Encoded encoded = encode(batch, step, true);
    long seed = salt == 0 ? options.seed() : SplitMix64.mix(options.seed(), salt);
    List<SampledTokens> samples = new ArrayList<>();
    generator
        .sample(encoded, options.generation(seed), limits(batch.size(), step), step * batch.size())
        .forEach(samples::addAll);
    double generated = seconds(start);
    Rollout rollout = score(step, batch, encoded, samples);
    rollout.generateSeconds = generated;
    rollout.scoreSeconds = seconds(start) - generated;
    return rollout;
  }

  /**
   * As {@link #rollout(List, long)}, of responses that are there already.
   *
   * @param responses token ids for each prompt in turn, without the start token
   * @throws InvalidInputException where one has no tokens or is outside the vocabulary
   */
  public Rollout rollout(List<Prompt> batch, List<int[]> responses, long step) {
    return rollout(batch, responses, step, true);
  }

  private Rollout rollout(
      List<Prompt> batch, List<int[]> responses, long step, boolean beginsUpdate) {
    if (responses.size() != batch.size() * options.batch().groupSize()) {
      throw new InvalidInputException(
          "%d responses to %d prompts: %d of each are needed"
              .formatted(responses.size(), batch.size(), options.batch().groupSize()));
    }
    int vocab = t5.config().vocabSize();
    for (int i = 0; i < responses.size(); i++) {
      String to = batch.get(i / options.batch().groupSize()).id();
      if (responses.get(i).length == 0) {
        throw new InvalidInputException(
            "The response to %s has no tokens: give it the end token at least".formatted(to));
      }
      for (int token : responses.get(i)) {
        if (token < 0 || token >= vocab) {
          throw new InvalidInputException(
              "The response to %s has the token id %d, but the model's vocabulary has %d"
                  .formatted(to, token, vocab));
        }
      }
    }
    Encoded encoded = encode(batch, step, beginsUpdate);
    List<SampledTokens> samples = new ArrayList<>();
    for (int[] tokens : responses) {
      boolean ended = tokens.length > 0 && tokens[tokens.length - 1] == t5.config().eosTokenId();
      samples.add(new SampledTokens(tokens, null, null, ended));
    }
    return score(step, batch, encoded, samples);
  }

  /**
   * The forward pass of an update's first mini-batch, which the rollout makes on its way: no weight
   * changes in between, and what trains has the bits of what scores.
   */
  private static final class Begun {
    final int[] part;
    final int[] rest;
    final Ragged source;
    final Variable encoded;
    Ragged target;
    Variable hidden;
    Rollout rollout;

    Begun(int[] part, int[] rest, Ragged source, Variable encoded) {
      this.part = part;
      this.rest = rest;
      this.source = source;
      this.encoded = encoded;
    }
  }

  /**
   * What the policy's encoder makes of some prompts.
   *
   * @param beginsUpdate whether the first mini-batch's share is kept for the update, where it can
   */
  private Encoded encode(List<Prompt> batch, long step, boolean beginsUpdate) {
    begun = null;
    prompts.reset();
    passing.reset();
    int vocab = t5.config().vocabSize();
    Ragged source = Ragged.of(batch.stream().map(Prompt::source).toList(), vocab, prompts);
    // With dropout an update sees other values than a rollout does.
    if (!beginsUpdate || t5.dropsOut()) {
      return t5.model().encode(source, prompts);
    }
    int[] order = order(batch.size(), step, 0);
    int[] part = Arrays.copyOf(order, Math.min(order.length, options.batch().miniBatchPrompts()));
    int[] rest = Arrays.copyOfRange(order, part.length, order.length);
    updating.reset();
    tape.begin(true, 0);
    Ragged partSource = sources(batch, part, updating);
    if (!trainsEncoder) {
      Encoded encoded = t5.model().encode(source, prompts);
      Tensor share = rows(encoded, part, partSource, updating);
      begun = new Begun(part, rest, partSource, tape.constant(share));
      return encoded;
    }
    Variable first = t5.training().encode(tape, partSource);
    Tensor hidden = prompts.tensor(first.value().dtype(), source.tokens(), first.value().columns());
    Encoded encoded = new Encoded(source, hidden);
    spread(first.value(), partSource, part, 1, hidden, source);
    if (rest.length > 0) {
      Workspace.Mark mark = prompts.mark();
      Encoded others = t5.model().encode(sources(batch, rest, prompts), prompts);
      spread(others.hidden(), others.source(), rest, 1, hidden, source);
      prompts.release(mark);
    }
    begun = new Begun(part, rest, partSource, first);
    return encoded;
  }

  /**
   * What the policy's decoder makes of all responses; the first mini-batch's share is the update's.
   */
  private Tensor decode(
      List<Prompt> batch, Encoded encoded, List<SampledTokens> samples, Ragged target) {
    T5Model policy = t5.model();
    if (begun == null) {
      return policy.decode(encoded, target, passing);
    }
    int each = samples.size() / batch.size();
    begun.target = inputs(responses(samples, begun.part, each), updating);
    begun.hidden = t5.training().decode(tape, begun.encoded, begun.source, begun.target);
    Tensor first = begun.hidden.value();
    Tensor hidden = passing.tensor(first.dtype(), target.tokens(), first.columns());
    spread(first, begun.target, begun.part, each, hidden, target);
    int[] rest = begun.rest;
    if (rest.length > 0) {
      Workspace.Mark mark = passing.mark();
      Ragged source = sources(batch, rest, passing);
      Encoded others = new Encoded(source, rows(encoded, rest, source, passing));
      Ragged its = inputs(responses(samples, rest, each), passing);
      spread(policy.decode(others, its, passing), its, rest, each, hidden, target);
      passing.release(mark);
    }
    return hidden;
  }

  private Ragged sources(List<Prompt> batch, int[] part, Workspace workspace) {
    List<int[]> sources = Arrays.stream(part).mapToObj(p -> batch.get(p).source()).toList();
    return Ragged.of(sources, t5.config().vocabSize(), workspace);
  }

  /** All responses to some of the prompts. */
  private static List<SampledTokens> responses(List<SampledTokens> all, int[] part, int each) {
    List<SampledTokens> some = new ArrayList<>();
    for (int p : part) {
      some.addAll(all.subList(p * each, (p + 1) * each));
    }
    return some;
  }

  /** Puts the rows of some prompts' sequences where they are among all. */
  private void spread(Tensor some, Ragged their, int[] part, int each, Tensor all, Ragged places) {
    for (int i = 0; i < part.length * each; i++) {
      int place = part[i / each] * each + i % each;
      int length = their.length(i);
      ops.convert(some.rows(their.begin(i), length), all.rows(places.begin(place), length));
    }
  }

  private static double seconds(long since) {
    return (System.nanoTime() - since) / 1e9;
  }

  private int[] limits(int count, long step) {
    int[] limits = new int[count];
    Arrays.fill(limits, options.sampling().maxNewTokens());
    if (options.sampling().shortestLimit() > 0) {
      SplitMix64 random = new SplitMix64(SplitMix64.mix(options.seed(), LIMIT, salt, step));
      int span = options.sampling().maxNewTokens() - options.sampling().shortestLimit() + 1;
      for (int i = 0; i < count; i++) {
        limits[i] = options.sampling().shortestLimit() + random.below(span);
      }
    }
    return limits;
  }

  private Rollout score(
      long step, List<Prompt> batch, Encoded encoded, List<SampledTokens> samples) {
    int[] offsets = new int[samples.size() + 1];
    List<String> texts = new ArrayList<>();
    for (int i = 0; i < samples.size(); i++) {
      offsets[i + 1] = offsets[i] + samples.get(i).tokens().length;
      texts.add(tokenizer == null ? "" : tokenizer.decode(samples.get(i).tokens(), true));
    }
    boolean[] mask = new boolean[offsets[samples.size()]];
    Arrays.fill(mask, true);
    if (!options.mode().trainsFirstToken()) {
      for (int i = 0; i < samples.size(); i++) {
        mask[offsets[i]] = false;
      }
    }
    Rollout rollout =
        new Rollout(step, List.copyOf(batch), List.copyOf(samples), texts, mask, offsets, encoded);
    passing.reset();
    Ragged target = inputs(samples, passing);
    Tensor labels = labels(samples, null, 0, passing);
    T5Model policy = t5.model();
    Tensor hidden = decode(batch, encoded, samples, target);
    if (begun != null) {
      begun.rollout = rollout;
    }
    Tensor numbers = passing.tensor(DType.FLOAT32, target.tokens());
    Tensor more = passing.tensor(DType.FLOAT32, target.tokens());
    boolean full = options.kl().penalty() == KlPenalty.FULL;
    policy.logProbabilities(hidden, labels, numbers, more);
    copy(numbers, rollout.logProbabilities);
    copy(more, rollout.entropies);
    if (head != null) {
      copy(head.values(hidden, passing), rollout.values);
    }
    reference.with(
        () -> {
          T5Model other = reference.model();
          Encoded its =
              reference.sharesEncoder() ? encoded : other.encode(encoded.source(), passing);
          Tensor itsHidden = other.decode(its, target, passing);
          other.logProbabilities(itsHidden, labels, numbers, null);
          copy(numbers, rollout.referenceLogProbabilities);
          if (full) {
            policy.divergences(hidden, other, itsHidden, labels, numbers, more);
            copy(more, rollout.penalties);
          }
          return null;
        });
    if (!full) {
      for (int t = 0; t < mask.length; t++) {
        double d = rollout.logProbabilities[t] - rollout.referenceLogProbabilities[t];
        rollout.penalties[t] =
            switch (options.kl().penalty()) {
              case KL -> d;
              case ABS -> Math.abs(d);
              case MSE -> 0.5 * d * d;
              case FULL -> throw new IllegalStateException();
            };
      }
    }
    return rollout;
  }

  /** What the decoder reads: the start token, then each token but the last. */
  private Ragged inputs(List<SampledTokens> samples, Workspace workspace) {
    List<int[]> inputs = new ArrayList<>();
    for (SampledTokens sample : samples) {
      int[] tokens = sample.tokens();
      int[] input = new int[tokens.length];
      if (tokens.length > 0) {
        input[0] = t5.config().decoderStartTokenId();
        System.arraycopy(tokens, 0, input, 1, tokens.length - 1);
      }
      inputs.add(input);
    }
    return Ragged.of(inputs, t5.config().vocabSize(), workspace);
  }

  /** The tokens themselves; -100 where a mask, read from an offset on, leaves one out. */
  private static Tensor labels(
      List<SampledTokens> samples, boolean[] mask, int from, Workspace workspace) {
    int count = 0;
    for (SampledTokens sample : samples) {
      count += sample.tokens().length;
    }
    Tensor labels = workspace.tensor(DType.INT32, count);
    int at = 0;
    for (SampledTokens sample : samples) {
      for (int token : sample.tokens()) {
        boolean kept = mask == null || mask[from + at];
        labels.memory().setAtIndex(ValueLayout.JAVA_INT, at, kept ? token : -100);
        at++;
      }
    }
    return labels;
  }

  private static void copy(Tensor from, double[] to) {
    for (int i = 0; i < to.length; i++) {
      to[i] = from.memory().getAtIndex(ValueLayout.JAVA_FLOAT, i);
    }
  }

  /**
   * One step: rewards, advantages, then a few passes of updates over the rollout's responses.
   *
   * @param scores one for each response; higher is better
   * @return statistics by TRL's names
   * @throws InvalidInputException where a score is not a number
   * @throws IllegalStateException where the loss or the gradient is not a number any more
   */
  public Map<String, Double> update(Rollout rollout, double[] scores) {
    long start = System.nanoTime();
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
    double[] processed = processed(scores);
    PpoStatistics statistics =
        new PpoStatistics(rollout, scores, processed, options, kl.coefficient());
    PolicyTargets targets = PolicyTargets.of(rollout, processed, options, kl.coefficient());
    statistics.rewards(targets);
    double prepared = seconds(start);
    passes(rollout, targets, statistics);
    kl.update(statistics.kl(), scores.length);
    Map<String, Double> all = new LinkedHashMap<>(statistics.result());
    all.put("ppo/learning_rate", Json.shortest(learningRate()));
    all.put("time/ppo/generate", rollout.generateSeconds);
    all.put("time/ppo/forward_pass", rollout.scoreSeconds);
    all.put("time/ppo/compute_advantages", prepared);
    all.put("time/ppo/optimize_step", seconds(start) - prepared);
    return all;
  }

  private float learningRate() {
    return options.optimization().learningRate() * learningRateFactor;
  }

  private double[] processed(double[] scores) {
    double[] processed = scores.clone();
    if (options.rewards().scaleScores()) {
      moments.update(scores);
      double divisor = moments.deviation() + Math.ulp(1f);
      for (int i = 0; i < processed.length; i++) {
        processed[i] =
            (scores[i] - (options.rewards().centerScores() ? moments.mean() : 0)) / divisor;
      }
    }
    if (options.rewards().scoreClip() > 0) {
      for (int i = 0; i < processed.length; i++) {
        processed[i] =
            Math.clamp(processed[i], -options.rewards().scoreClip(), options.rewards().scoreClip());
      }
    }
    return processed;
  }

  private void passes(Rollout rollout, PolicyTargets targets, PpoStatistics statistics) {
    int each = rollout.perPrompt();
    int together = options.batch().miniBatchPrompts();
    for (int epoch = 0; epoch < options.optimization().ppoEpochs(); epoch++) {
      int[] order = order(rollout, epoch);
      int waiting = 0;
      boolean stop = false;
      for (int at = 0; at < order.length && !stop; at += together) {
        int[] part = Arrays.copyOfRange(order, at, Math.min(order.length, at + together));
        if (waiting == 0) {
          clearGradients();
        }
        accumulate(rollout, targets, part, epoch, at, statistics);
        waiting++;
        if (waiting == options.optimization().gradientAccumulation()
            || at + together >= order.length) {
          step(statistics);
          waiting = 0;
          stop = options.mode().earlyStop() == EarlyStop.OPTIMIZER_STEP && tooFar(statistics);
        }
      }
      if (stop || tooFar(statistics)) {
        statistics.stoppedEarly();
        return;
      }
    }
  }

  /**
   * The order in which a pass takes the prompts.
   *
   * @param epoch which pass over the step's samples, from 0
   */
  int[] order(Rollout rollout, int epoch) {
    return order(rollout.prompts().size(), rollout.step(), epoch);
  }

  private int[] order(int prompts, long step, int epoch) {
    int[] order = new int[prompts];
    for (int i = 0; i < order.length; i++) {
      order[i] = i;
    }
    new SplitMix64(SplitMix64.mix(options.seed(), ORDER, salt, step, epoch)).shuffle(order);
    return order;
  }

  private boolean tooFar(PpoStatistics statistics) {
    return options.optimization().earlyStopKl() > 0
        && statistics.lastPolicyKl() > STOP_FACTOR * options.optimization().earlyStopKl();
  }

  private void clearGradients() {
    t5.parameters().clearGradients();
    if (head != null) {
      head.parameters().clearGradients();
    }
  }

  /**
   * Forward and backward of one mini-batch: all responses to some prompts.
   *
   * @param statistics can keep a batch from being learnt from; or null
   */
  private void accumulate(
      Rollout rollout,
      PolicyTargets targets,
      int[] part,
      int epoch,
      int at,
      PpoStatistics statistics) {
    Variable hidden;
    if (begun != null && begun.rollout == rollout && epoch == 0 && at == 0) {
      hidden = begun.hidden;
    } else {
      updating.reset();
      long seed =
          SplitMix64.mix(options.seed(), DROPOUT, salt, rollout.step(), (long) epoch << 32 | at);
      tape.begin(true, seed);
      Ragged source = sources(rollout.prompts(), part, updating);
      Ragged target = inputs(responses(rollout.samples(), part, rollout.perPrompt()), updating);
      Variable encoded =
          trainsEncoder
              ? t5.training().encode(tape, source)
              : tape.constant(rows(rollout.encoded, part, source, updating));
      hidden = t5.training().decode(tape, encoded, source, target);
    }
    begun = null;
    MiniBatch batch = MiniBatch.of(rollout, targets, part, options, kl.coefficient(), updating);
    Variable values = head == null ? null : head.values(tape, hidden);
    t5.training()
        .ppoLoss(tape, hidden, values, batch.inputs(), batch.coefficients(), batch.outputs());
    if (statistics == null
        || statistics.miniBatch(batch, values == null ? null : values.value(), targets)) {
      tape.backward();
    }
  }

  /** What the encoder made of some of the prompts, side by side. */
  private Tensor rows(Encoded all, int[] part, Ragged source, Workspace workspace) {
    Tensor rows = workspace.tensor(all.hidden().dtype(), source.tokens(), all.hidden().columns());
    for (int i = 0; i < part.length; i++) {
      int length = source.length(i);
      Tensor from = all.hidden().rows(all.source().begin(part[i]), length);
      ops.convert(from, rows.rows(source.begin(i), length));
    }
    return rows;
  }

  private void step(PpoStatistics statistics) {
    double squares = ops.sumOfSquares(t5.parameters().gradients());
    if (head != null) {
      squares += ops.sumOfSquares(head.parameters().gradients());
    }
    double norm = Math.sqrt(squares);
    if (!Double.isFinite(norm) || !Double.isFinite(statistics.lastLoss())) {
      throw new DivergedException(
          "The loss is "
              + statistics.lastLoss()
              + " and the gradient's norm "
              + norm
              + ": lower the learning rate");
    }
    statistics.gradNorm(norm);
    double clip =
        options.optimization().maxGradNorm() > 0
            ? options.optimization().maxGradNorm() / (norm + 1e-6)
            : 1;
    float scale = (float) Math.min(1, clip);
    updates++;
    policyOptimizer.step(updates, learningRate(), scale);
    t5.update();
    if (head != null) {
      headOptimizer.step(updates, learningRate(), scale);
      head.update();
    }
  }

  @Override
  public void close() {
    generator.close();
    prompts.close();
    passing.close();
    updating.close();
    arena.close();
  }
}
