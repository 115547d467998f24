package dev.precis.alignment.policy;

import dev.precis.alignment.Reference;
import dev.precis.generation.SampledTokens;
import dev.precis.heads.ValueHead;
import dev.precis.t5.T5Model.Encoded;
import dev.precis.tensor.MemoryPlan;
import dev.precis.tensor.Workspace;
import dev.precis.training.Optimizer;
import dev.precis.training.TrainableT5;
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
 * Plans the memory of a run before it starts. Activations grow linearly with the tokens of prompts
 * and responses, so that four tiny steps measure what any step takes.
 */
final class PolicyPlan {
  private static final int SHORT_SOURCE = 32;
  private static final int LONG_SOURCE = 96;
  private static final int SHORT_RESPONSE = 8;
  private static final int LONG_RESPONSE = 24;

  private final TrainableT5 t5;
  private final Reference reference;
  private final ValueHead head;
  private final PpoOptions options;
  private final RolloutSampler sampler;
  private final Scorer scorer;
  private final PolicyUpdate update;
  private final List<Workspace> workspaces;

  /**
   * Plans for these parts of a run.
   *
   * @param head the critic; null for GRPO and RLOO
   */
  PolicyPlan(
      TrainableT5 t5,
      Reference reference,
      ValueHead head,
      PpoOptions options,
      RolloutSampler sampler,
      Scorer scorer,
      PolicyUpdate update,
      UpdateForward forward) {
    this.t5 = t5;
    this.reference = reference;
    this.head = head;
    this.options = options;
    this.sampler = sampler;
    this.scorer = scorer;
    this.update = update;
    workspaces = new ArrayList<>(scorer.workspaces());
    workspaces.add(forward.workspace());
  }

  /**
   * Returns the memory that steps on some prompts need, whatever is sampled, and allocates the
   * activations at once. On a GPU one step of the full size follows, which allocates the scratch
   * memory of the kernels.
   *
   * @param all prompts that steps are made of
   * @param klCoefficient at the start
   */
  MemoryPlan of(List<Prompt> all, double klCoefficient) {
    int prompts = options.batch().prompts();
    int together = options.batch().miniBatchPrompts();
    int maxNewTokens = options.sampling().maxNewTokens();
    int longest = all.stream().mapToInt(prompt -> prompt.source().length).max().orElseThrow();
    long sampling = sampler.reserve(longest);
    // Once to size the workspaces: memory is given back on the way only if it is one block.
    measure(LONG_SOURCE, LONG_RESPONSE, klCoefficient);
    long[] base = measure(SHORT_SOURCE, SHORT_RESPONSE, klCoefficient);
    long[] source = measure(LONG_SOURCE, SHORT_RESPONSE, klCoefficient);
    long[] response = measure(SHORT_SOURCE, LONG_RESPONSE, klCoefficient);
    long most = tokens(longest(all, prompts));
    long[] sources = {most, most, tokens(longest(all, together))};
    long[] responses = {prompts, prompts, together};
    // The states of the first mini-batch and of the others are computed apart and copied together.
    long row = 4L * t5.config().dModel() + 4;
    long newTokens = (long) options.batch().batchSize() * maxNewTokens;
    long[] copied = {sources[0] * row, (sources[1] + newTokens) * row, 0};
    long[] bytes = new long[base.length];
    for (int i = 0; i < bytes.length; i++) {
      double tokens = (double) responses[i] * maxNewTokens - SHORT_RESPONSE;
      double needed =
          base[i]
              + (source[i] - base[i])
                  / (double) (LONG_SOURCE - SHORT_SOURCE)
                  * (sources[i] - SHORT_SOURCE)
              + (response[i] - base[i]) / (double) (LONG_RESPONSE - SHORT_RESPONSE) * tokens
              + copied[i];
      // Room for rounding up to whole cache lines, and for the offsets of the sequences.
      bytes[i] = (long) (needed * 1.01) + (1 << 16);
      workspaces.get(i).reserve(bytes[i]);
    }
    if (t5.ops().onGpu()) {
      measure(longest(all, prompts).toList(), maxNewTokens, together, klCoefficient);
    }
    workspaces.forEach(Workspace::resetPeak);
    Map<String, Long> parts = new LinkedHashMap<>();
    parts.put("weights", t5.weightBytes());
    parts.put("reference", reference.weightBytes());
    long trained = t5.parameters().values().address().byteSize();
    long state = bytes(update.policyOptimizer());
    if (head != null) {
      trained += head.parameters().values().address().byteSize();
      state += bytes(update.headOptimizer());
    }
    parts.put("trained weights and gradients", 2 * trained);
    parts.put("optimizer", state);
    parts.put("decoding", sampling);
    parts.put("scoring", bytes[0] + bytes[1]);
    parts.put("update", bytes[2]);
    parts.put("kernels", t5.ops().scratchBytes());
    return new MemoryPlan(parts);
  }

  /** Returns the most memory that was in use since {@link #of}, by the plan's parts. */
  Map<String, Long> peak() {
    return Map.of(
        "decoding",
        sampler.peak(),
        "scoring",
        workspaces.get(0).peak() + workspaces.get(1).peak(),
        "update",
        workspaces.get(2).peak());
  }

  /** Returns the bytes that values, gradients and caches hold now. */
  long workspaceBytes() {
    return workspaces.stream().mapToLong(Workspace::bytes).sum();
  }

  private static long bytes(Optimizer optimizer) {
    return optimizer.state().values().stream().mapToLong(t -> t.address().byteSize()).sum();
  }

  /** Returns the longest prompts that a step of so many can have. */
  private static Stream<Prompt> longest(List<Prompt> all, int count) {
    // A prompt can come twice at the border between two passes over all prompts.
    int copies = count / all.size() + 2;
    return all.stream()
        .sorted(Comparator.comparingInt(prompt -> -prompt.source().length))
        .flatMap(prompt -> Collections.nCopies(copies, prompt).stream())
        .limit(count);
  }

  private static long tokens(Stream<Prompt> prompts) {
    return prompts.mapToLong(prompt -> prompt.source().length).sum();
  }

  /** Returns the bytes that one prompt with its responses takes in each workspace. */
  private long[] measure(int sourceTokens, int responseTokens, double klCoefficient) {
    int[] source = new int[sourceTokens];
    Arrays.fill(source, t5.config().eosTokenId());
    Prompt prompt = new Prompt("", "", source, List.of());
    return measure(List.of(prompt), responseTokens, 1, klCoefficient);
  }

  /** Returns the same for several prompts, of which so many form a mini-batch. */
  private long[] measure(
      List<Prompt> batch, int responseTokens, int together, double klCoefficient) {
    int[] response = new int[responseTokens];
    Arrays.fill(response, t5.config().eosTokenId());
    int count = batch.size() * options.batch().groupSize();
    workspaces.forEach(Workspace::resetPeak);
    Encoded encoded = scorer.encode(batch, 0, false);
    Rollout rollout =
        Rollout.of(
            0,
            batch,
            Collections.nCopies(count, new SampledTokens(response, null, null, true)),
            Collections.nCopies(count, ""),
            options.mode().trainsFirstToken(),
            encoded);
    scorer.score(rollout);
    PolicyTargets targets = PolicyTargets.of(rollout, new double[count], options, klCoefficient);
    int[] part = IntStream.range(0, Math.min(together, batch.size())).toArray();
    update.measure(rollout, targets, part, klCoefficient);
    return workspaces.stream().mapToLong(Workspace::peak).toArray();
  }
}
