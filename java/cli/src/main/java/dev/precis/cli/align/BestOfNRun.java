package dev.precis.cli.align;

import dev.precis.T5;
import dev.precis.alignment.policy.Prompt;
import dev.precis.alignment.reward.BestOfN;
import dev.precis.alignment.reward.Reward;
import dev.precis.cli.common.BaseCommand;
import dev.precis.cli.common.PartialFile;
import dev.precis.cli.common.Progress;
import dev.precis.cli.options.DecodingOptions;
import dev.precis.generation.GeneratedTokens;
import dev.precis.generation.Generation;
import dev.precis.generation.GenerationOptions;
import dev.precis.io.InvalidInputException;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Samples responses to prompts, scores them and writes the best and the worst of each. A run that
 * ends early says what it leaves and how to resume it.
 *
 * <p>Sampling and scoring take turns, because both engines have threads that are pinned to the same
 * cores. A prompt's random numbers depend on the seed and the prompt's number alone, and its
 * samples are scored in a call of their own, so that the lines do not depend on how many prompts
 * are sampled between two turns.
 *
 * @param options with numReturnSequences, the number of samples
 * @param batchSize the most sequences that are decoded in one batch
 * @param firstPrompt number that the first prompt counts as when tokens are sampled
 * @param output null: standard output
 */
record BestOfNRun(
    BaseCommand command,
    T5 t5,
    Reward reward,
    List<Prompt> prompts,
    GenerationOptions options,
    int batchSize,
    long firstPrompt,
    BestOfNWriter results,
    Path output) {
  /** Sequences in one batch if the command does not say. */
  static final int BATCH_SIZE = 32;

  /** Batches between two turns: a batch takes in the next prompt as soon as one is done. */
  private static final int BATCHES = 4;

  /**
   * Returns the options of sampling; what they refuse is wrong usage of the option of that name.
   */
  static GenerationOptions options(
      BaseCommand command, DecodingOptions.Sampling flags, int samples, int maxSourceLength) {
    try {
      return GenerationOptions.builder()
          .sample(true)
          .seed(command.common().seed())
          .numReturnSequences(samples)
          .maxSourceTokens(maxSourceLength)
          .maxNewTokens(flags.maxNewTokens())
          .minNewTokens(flags.minNewTokens())
          .temperature(flags.temperature())
          .topK(flags.topK())
          .topP(flags.topP())
          .build();
    } catch (InvalidInputException e) {
      throw command.usage("--" + e.getMessage());
    }
  }

  /** Samples, scores and writes what is not written yet. */
  void write() {
    int total = prompts.size();
    if (results.written() > 0) {
      command.note("Resuming after %d of %d.".formatted(results.written(), total));
    }
    int promptsPerBatch = Math.max(1, batchSize / options.numReturnSequences());
    try (PartialFile.Farewell farewell =
            new PartialFile.Farewell(command, output, results::written, total);
        Progress progress = new Progress(command.terminal(), command.common().quiet())) {
      int resumedAt = results.written();
      while (results.written() < total) {
        int from = results.written();
        int to = Math.min(total, from + BATCHES * promptsPerBatch);
        List<List<GeneratedTokens>> samples = sample(from, to, promptsPerBatch, progress);
        for (int i = from; i < to; i++) {
          add(prompts.get(i), samples.get(i - from).stream().map(t5::decode).toList());
        }
        progress.show(
            "%d/%d dialogues  %s"
                .formatted(
                    to, total, progress.left((double) (to - resumedAt) / (total - resumedAt))));
      }
      results.commit();
      farewell.complete();
    }
  }

  private List<List<GeneratedTokens>> sample(
      int from, int to, int promptsPerBatch, Progress progress) {
    AtomicInteger done = new AtomicInteger(from);
    progress.show("%d/%d dialogues".formatted(from, prompts.size()));
    return t5.generateTokens(
        prompts.subList(from, to).stream().map(Prompt::source).toList(),
        options,
        promptsPerBatch,
        firstPrompt + from,
        (source, generated) ->
            progress.show(
                "%d/%d dialogues sampled".formatted(done.incrementAndGet(), prompts.size())));
  }

  private void add(Prompt prompt, List<Generation> samples) {
    List<String> texts = samples.stream().map(Generation::text).toList();
    results.add(
        prompt,
        BestOfN.of(reward, prompt.id(), prompt.text(), prompt.references(), texts),
        samples);
  }
}
