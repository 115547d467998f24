package dev.precis.cli.generate;

import dev.precis.T5;
import dev.precis.cli.common.BaseCommand;
import dev.precis.cli.common.PartialFile;
import dev.precis.cli.common.Progress;
import dev.precis.generation.BatchLoad;
import dev.precis.generation.GenerationOptions;
import dev.precis.generation.GenerationOptions.Draft;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Generates and writes results as they come. A run that ends early says what it leaves and how to
 * resume it.
 *
 * @param output null: standard output
 */
record GenerationRun(
    BaseCommand command,
    T5 t5,
    List<int[]> sources,
    GenerationOptions options,
    int batchSize,
    ResultWriter results,
    Path output) {

  void write() {
    int total = sources.size();
    int from = results.written();
    if (from > 0) {
      command.note("Resuming after %d of %d.".formatted(from, total));
    }
    long tokens;
    BatchLoad before = t5.batchLoad();
    Progress progress = new Progress(command.terminal(), command.common().quiet());
    try (PartialFile.Farewell farewell =
            new PartialFile.Farewell(command, output, results::written, total);
        progress) {
      tokens = generate(from, progress);
      results.commit();
      farewell.complete();
    }
    if (command.terminal().errIsTerminal()) {
      command.note(
          "%,d dialogues, %,d tokens in %s (%,.0f tokens/s%s)."
              .formatted(
                  total - from,
                  tokens,
                  Progress.clock(progress.seconds()),
                  tokens / progress.seconds(),
                  options.draft() == Draft.NONE ? "" : ", " + drafts(before)));
    }
  }

  /** Returns what drafts have gained since a moment: the tokens that a step gives a dialogue. */
  private String drafts(BatchLoad before) {
    t5.device(); // answered after the last step, which counts too
    BatchLoad after = t5.batchLoad();
    long tokens = after.tokens() - before.tokens();
    long accepted = after.accepted() - before.accepted();
    return "%.2f tokens a step, %,d of %,d draft tokens accepted"
        .formatted(
            tokens / (double) Math.max(1, tokens - accepted),
            accepted,
            after.drafted() - before.drafted());
  }

  /** Generates for the sources that are left and returns how many tokens that were. */
  private long generate(int from, Progress progress) {
    int total = sources.size();
    AtomicLong tokens = new AtomicLong();
    AtomicInteger done = new AtomicInteger();
    progress.show("%d/%d dialogues".formatted(from, total));
    t5.generateTokens(
        sources.subList(from, total),
        options,
        batchSize,
        from,
        (source, generated) -> {
          generated.forEach(each -> tokens.addAndGet(each.tokens().length));
          results.add(from + source, generated.stream().map(t5::decode).toList());
          progress.show(
              "%d/%d dialogues  %,.0f tokens/s  %s"
                  .formatted(
                      from + done.incrementAndGet(),
                      total,
                      tokens.get() / progress.seconds(),
                      progress.left((double) done.get() / (total - from))));
        });
    return tokens.get();
  }
}
