package dev.precis.cli.evaluate;

import dev.precis.T5;
import dev.precis.cli.common.BaseCommand;
import dev.precis.cli.common.Progress;
import dev.precis.cli.common.Prompts;
import dev.precis.data.Dialogue;
import dev.precis.generation.GenerationOptions;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;

/** Summarizes the dialogues with each candidate, and scores the summaries. */
record CandidateRunner(
    BaseCommand command,
    List<Dialogue> dialogues,
    Prompts prompts,
    int maxSourceLength,
    boolean truncate,
    boolean followsFolder) {

  /**
   * Returns the candidates' results in their order; a model is loaded once for all that share it.
   *
   * @param options those of a model
   * @param source where the dialogues come from, for the errors' sentences
   */
  List<EvaluationResult> run(
      List<Candidate> all,
      String source,
      Function<T5, GenerationOptions> options,
      int batchSize,
      List<Metric> metrics) {
    Map<Path, List<Candidate>> byModel = new LinkedHashMap<>();
    all.forEach(c -> byModel.computeIfAbsent(c.model(), any -> new ArrayList<>()).add(c));
    Map<Candidate, EvaluationResult> results = new LinkedHashMap<>();
    byModel.forEach(
        (folder, sharing) -> {
          T5.LoadOptions loadOptions =
              command
                  .common()
                  .loadOptions()
                  .adapters(sharing.getFirst().adapters())
                  .generationConfig(followsFolder);
          try (T5 model = T5.load(folder, loadOptions)) {
            GenerationOptions own = options.apply(model);
            List<int[]> sources =
                prompts.encode(model.tokenizer(), dialogues, source, maxSourceLength, truncate);
            for (Candidate candidate : sharing) {
              model.useAdapters(candidate.adapters());
              List<String> summaries = summarize(candidate.name(), model, sources, own, batchSize);
              List<double[][]> scores =
                  metrics.stream()
                      .map(metric -> metric.score(model, dialogues, summaries))
                      .toList();
              results.put(candidate, new EvaluationResult(candidate, summaries, scores));
            }
          }
        });
    return all.stream().map(results::get).toList();
  }

  private List<String> summarize(
      String name, T5 model, List<int[]> sources, GenerationOptions options, int batchSize) {
    String[] summaries = new String[sources.size()];
    AtomicInteger done = new AtomicInteger();
    try (Progress progress = new Progress(command.terminal(), command.common().quiet())) {
      progress.show("%s  0/%d dialogues".formatted(name, sources.size()));
      model.generateTokens(
          sources,
          options,
          batchSize,
          (source, generated) -> {
            summaries[source] = model.decode(generated.getFirst()).text();
            progress.show(
                "%s  %d/%d dialogues  %s"
                    .formatted(
                        name,
                        done.incrementAndGet(),
                        sources.size(),
                        progress.left((double) done.get() / sources.size())));
          });
    }
    return List.of(summaries);
  }
}
