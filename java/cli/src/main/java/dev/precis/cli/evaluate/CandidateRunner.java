package dev.precis.cli.evaluate;

import dev.precis.T5;
import dev.precis.checkpoint.PeftAdapter;
import dev.precis.cli.common.BaseCommand;
import dev.precis.cli.common.Progress;
import dev.precis.cli.common.Prompts;
import dev.precis.data.DataOptions;
import dev.precis.data.Dialogue;
import dev.precis.generation.Generation;
import dev.precis.generation.GenerationOptions;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;

/**
 * Summarizes the dialogues with each candidate, and scores the summaries.
 *
 * @param rows all rows of the data, of which several can have the same dialogue
 */
public record CandidateRunner(
    BaseCommand command,
    List<Dialogue> rows,
    List<Dialogue> dialogues,
    Prompts prompts,
    int maxSourceLength,
    boolean truncate,
    boolean followsFolder) {

  /**
   * Returns the candidates' results in their order; a model is loaded once for all that share it,
   * those with IA3 adapters, soft prompts and the like apart.
   *
   * @param options those of a model
   * @param reading how files with summaries are read
   * @param source where the dialogues come from, for the errors' sentences
   */
  public List<EvaluationResult> run(
      List<Candidate> all,
      String source,
      Function<T5, GenerationOptions> options,
      DataOptions reading,
      int batchSize,
      List<Metric> metrics) {
    Map<Loaded, List<Candidate>> byModel = new LinkedHashMap<>();
    Map<Candidate, EvaluationResult> results = new LinkedHashMap<>();
    for (Candidate candidate : all) {
      if (candidate.isFile()) {
        // Read first: a file that does not fit is found before a model is loaded.
        List<String> summaries = SummaryFile.read(candidate.model(), reading, rows, dialogues);
        results.put(candidate, result(candidate, null, summaries, null, metrics));
      } else {
        byModel.computeIfAbsent(Loaded.of(candidate), any -> new ArrayList<>()).add(candidate);
      }
    }
    byModel.forEach(
        (loaded, sharing) -> {
          List<Path> inUse = sharing.getFirst().adapters();
          T5.LoadOptions loadOptions =
              command.common().loadOptions().adapters(inUse).generationConfig(followsFolder);
          try (T5 model = T5.load(loaded.model(), loadOptions)) {
            GenerationOptions own = options.apply(model);
            List<int[]> sources =
                prompts.encode(model.tokenizer(), dialogues, source, maxSourceLength, truncate);
            for (Candidate candidate : sharing) {
              if (!candidate.adapters().equals(inUse)) {
                inUse = candidate.adapters();
                model.useAdapters(inUse);
              }
              List<Generation> generations =
                  summarize(candidate.name(), model, sources, own, batchSize);
              List<String> summaries = generations.stream().map(Generation::text).toList();
              results.put(candidate, result(candidate, model, summaries, generations, metrics));
            }
          }
        });
    return all.stream().map(results::get).toList();
  }

  /**
   * A model as candidates share it.
   *
   * @param adapters those of a candidate, where one changes the model or its input and can only be
   *     given when the model is loaded; empty: LoRA adapters are exchanged
   */
  private record Loaded(Path model, List<Path> adapters) {
    static Loaded of(Candidate candidate) {
      boolean alone = candidate.adapters().stream().anyMatch(Loaded::changesBase);
      return new Loaded(candidate.model(), alone ? candidate.adapters() : List.of());
    }

    private static boolean changesBase(Path folder) {
      try (PeftAdapter adapter = PeftAdapter.open(folder)) {
        return adapter.changesBase();
      }
    }
  }

  private EvaluationResult result(
      Candidate candidate,
      T5 model,
      List<String> summaries,
      List<Generation> generations,
      List<Metric> metrics) {
    List<double[][]> scores =
        metrics.stream().map(metric -> metric.score(model, dialogues, summaries)).toList();
    return new EvaluationResult(candidate, summaries, generations, scores);
  }

  private List<Generation> summarize(
      String name, T5 model, List<int[]> sources, GenerationOptions options, int batchSize) {
    Generation[] summaries = new Generation[sources.size()];
    AtomicInteger done = new AtomicInteger();
    try (Progress progress = new Progress(command.terminal(), command.common().quiet())) {
      progress.show("%s  0/%d dialogues".formatted(name, sources.size()));
      model.generateTokens(
          sources,
          options,
          batchSize,
          (source, generated) -> {
            summaries[source] = model.decode(generated.getFirst());
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
