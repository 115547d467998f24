package dev.precis.training;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.Fixtures;
import dev.precis.T5;
import dev.precis.data.DataOptions;
import dev.precis.evaluation.Rouge;
import dev.precis.generation.Generation;
import dev.precis.generation.GenerationOptions;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import dev.precis.lora.LoraConfig;
import dev.precis.tensor.DType;
import dev.precis.text.PromptTemplate;
import dev.precis.text.Tokenizer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.node.ObjectNode;

/** Training that keeps the weights whose summaries are best. */
class RougeEvaluationTest {
  private static final Path MODEL = Fixtures.folder("t5-tiny");
  private static final Path DIALOGUES = MODEL.resolveSibling("dialogues.jsonl");
  private static final int NEW_TOKENS = 24;

  private static Tokenizer tokenizer;
  private static ExampleReader reader;

  /** The dialogues, with the summaries that the untrained model writes as their references. */
  private static List<RougeEvaluation.Source> sources;

  @BeforeAll
  static void read() {
    tokenizer = Tokenizer.load(MODEL);
    reader = new ExampleReader(tokenizer, PromptTemplate.DEFAULT, 200, 60, true, false);
    List<RougeEvaluation.Source> read = reader.readSources(DIALOGUES, DataOptions.STRICT, 6);
    sources = new ArrayList<>();
    try (T5 t5 = T5.load(MODEL, new T5.LoadOptions().dtype(DType.FLOAT32))) {
      List<String> own = summaries(t5, read);
      for (int i = 0; i < read.size(); i++) {
        sources.add(new RougeEvaluation.Source(read.get(i).tokens(), List.of(own.get(i))));
      }
    }
  }

  @AfterAll
  static void close() {
    tokenizer.close();
  }

  private static List<String> summaries(T5 t5, List<RougeEvaluation.Source> sources) {
    return t5
        .generateTokens(
            sources.stream().map(RougeEvaluation.Source::tokens).toList(),
            GenerationOptions.builder().maxNewTokens(NEW_TOKENS).build(),
            4,
            null)
        .stream()
        .map(results -> t5.decode(results.getFirst()))
        .map(Generation::text)
        .toList();
  }

  private static TrainableT5 trainable() {
    LoraConfig config = new LoraConfig(4, 8, 0.1f, List.of("q", "v", "wo"), false);
    return TrainableT5.lora(MODEL, config, DType.FLOAT32, 0.1f, 5, TrainingGoldenTest.device());
  }

  private static TrainingOptions options() {
    return TrainingOptions.builder()
        .learningRate(0.01f)
        .batchSize(4)
        .maxSteps(8)
        .evaluateEvery(2)
        .checkpointEvery(3)
        .keepCheckpoints(8)
        .seed(11)
        .build();
  }

  /** Trains, or resumes; the listener is made for the trainer. */
  private static Trainer.Result train(Path folder, Function<Trainer, Trainer.Listener> listener) {
    ObjectNode config = Json.mapper().createObjectNode().put("test", true);
    boolean going = Files.exists(folder.resolve("config.json"));
    List<Example> all = TrainingGoldenTest.dialogues();
    try (RunFolder run =
            going ? RunFolder.resume(folder, config) : RunFolder.create(folder, config);
        TrainableT5 t5 = trainable();
        RougeEvaluation summaries =
            new RougeEvaluation(t5, tokenizer, sources, Rouge.Metric.ROUGE_1, NEW_TOKENS, 4);
        Trainer trainer =
            new Trainer(t5, options(), all.subList(0, 20), all.subList(0, 8), summaries, run)) {
      if (going) {
        trainer.resume();
      }
      long planned = trainer.plan().parts().get("generation");
      Trainer.Result result = trainer.train(listener.apply(trainer));
      assertTrue(summaries.peak() <= planned, summaries.peak() + " of " + planned);
      return result;
    }
  }

  private static List<String> metrics(Path run) throws IOException {
    List<String> lines = new ArrayList<>();
    for (String line : Files.readAllLines(run.resolve("metrics.jsonl"))) {
      ObjectNode object = Json.parseObject(line, "metrics").node();
      object.remove("tokens_per_second");
      lines.add(object.toString());
    }
    return lines;
  }

  private static byte[] weights(Path folder) throws IOException {
    return Files.readAllBytes(folder.resolve("adapter/adapter_model.safetensors"));
  }

  @Test
  void theFiguresAreThoseOfGenerationAndRouge() {
    List<RougeEvaluation.Source> read = reader.readSources(DIALOGUES, DataOptions.STRICT, 0);
    Rouge rouge = Rouge.of(Rouge.Preset.STEMMER);
    Map<String, Double> scores;
    try (TrainableT5 t5 = trainable();
        RougeEvaluation evaluation =
            new RougeEvaluation(t5, tokenizer, read, Rouge.Metric.ROUGE_L, NEW_TOKENS, 3)) {
      scores = evaluation.scores();
      assertEquals(scores, evaluation.scores(), "a function of the weights alone");
    }
    double[] sums = new double[4];
    try (T5 t5 = T5.load(MODEL, new T5.LoadOptions().dtype(DType.FLOAT32))) {
      List<String> summaries = summaries(t5, read);
      for (int i = 0; i < read.size(); i++) {
        Rouge.Scores each =
            rouge.score(summaries.get(i), read.get(i).references(), Rouge.MultiReference.MAX);
        for (Rouge.Metric metric : Rouge.Metric.values()) {
          sums[metric.ordinal()] += metric.of(each).f1();
        }
      }
    }
    assertEquals(4, scores.size());
    for (Rouge.Metric metric : Rouge.Metric.values()) {
      assertEquals(sums[metric.ordinal()] / read.size(), scores.get(metric.id()), 0, metric.id());
    }
  }

  /** The references are what the untrained model writes, so that training makes ROUGE worse. */
  @Test
  void theBestSummariesAreKeptAndNotTheLowestLoss(@TempDir Path folder) throws IOException {
    Path run = folder.resolve("run");
    Trainer.Result result = train(run, trainer -> new Trainer.Listener() {});
    long bestStep = 0;
    double best = -1;
    long lowestStep = 0;
    double lowest = Double.POSITIVE_INFINITY;
    for (ObjectNode line : StepLog.read(run.resolve("metrics.jsonl"))) {
      if (line.has("eval_rouge1")) {
        assertTrue(
            line.has("eval_rouge2") && line.has("eval_rougeL") && line.has("eval_rougeLsum"));
        if (line.get("eval_rouge1").doubleValue() > best) {
          best = line.get("eval_rouge1").doubleValue();
          bestStep = line.get("step").longValue();
        }
        if (line.get("eval_loss").doubleValue() < lowest) {
          lowest = line.get("eval_loss").doubleValue();
          lowestStep = line.get("step").longValue();
        }
      }
    }
    assertTrue(best > 0, "the summaries have words in common");
    assertNotEquals(lowestStep, bestStep, "both metrics choose the same step: the test is blind");
    assertEquals(bestStep, result.bestStep());
    assertEquals("rouge1", result.metric());
    assertEquals(best, result.best());
    assertArrayEquals(weights(run.resolve("checkpoints/step-" + bestStep)), weights(run));
  }

  /** Every evaluation is interrupted twice, the second time after its line was written. */
  @Test
  void anInterruptedEvaluationIsMadeWhenTheRunIsResumed(@TempDir Path folder) throws IOException {
    Path whole = folder.resolve("whole");
    Trainer.Result undisturbed = train(whole, trainer -> new Trainer.Listener() {});
    Path parts = folder.resolve("parts");
    int interrupted = 0;
    int killed = 0;
    Trainer.Result result = null;
    while (result == null || result.end() == Trainer.End.INTERRUPTED) {
      try {
        boolean kills = interrupted > killed;
        result = train(parts, trainer -> disturbing(trainer, kills));
        interrupted += result.end() == Trainer.End.INTERRUPTED ? 1 : 0;
      } catch (Killed e) {
        killed++;
        // The next process is left alone until it is at the next evaluation.
        result = train(parts, trainer -> stoppingAfterAnEvaluation(trainer));
      }
    }
    assertEquals(4, interrupted);
    assertEquals(4, killed);
    assertEquals(undisturbed.bestStep(), result.bestStep());
    assertEquals(undisturbed.best(), result.best());
    assertEquals(metrics(whole), metrics(parts));
    assertArrayEquals(weights(whole), weights(parts));
  }

  private static final class Killed extends RuntimeException {
    private static final long serialVersionUID = 1;
  }

  private static Trainer.Listener disturbing(Trainer trainer, boolean kills) {
    return new Trainer.Listener() {
      @Override
      public void onEvaluating(long done, long total) {
        if (done == 2 && !kills) {
          trainer.stop();
        }
      }

      @Override
      public void onEvaluation(long step, Trainer.Evaluation evaluation, boolean best) {
        if (kills) {
          throw new Killed();
        }
      }
    };
  }

  private static Trainer.Listener stoppingAfterAnEvaluation(Trainer trainer) {
    return new Trainer.Listener() {
      @Override
      public void onCheckpoint(long step) {
        if (step % 2 == 0) {
          trainer.stop();
        }
      }
    };
  }

  @Test
  void rougeNeedsDialogues(@TempDir Path folder) {
    try (TrainableT5 t5 = trainable();
        RougeEvaluation summaries =
            new RougeEvaluation(t5, tokenizer, sources, Rouge.Metric.ROUGE_1, NEW_TOKENS, 4);
        RunFolder run = RunFolder.create(folder.resolve("run"), Json.mapper().createObjectNode())) {
      List<Example> all = TrainingGoldenTest.dialogues();
      assertThrows(
          InvalidInputException.class,
          () -> new Trainer(t5, options(), all, List.of(), summaries, run));
      assertThrows(
          InvalidInputException.class,
          () -> new RougeEvaluation(t5, tokenizer, List.of(), Rouge.Metric.ROUGE_1, NEW_TOKENS, 4));
    }
  }
}
