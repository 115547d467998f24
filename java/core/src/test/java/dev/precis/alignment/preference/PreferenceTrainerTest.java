package dev.precis.alignment.preference;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.Fixtures;
import dev.precis.alignment.Reference;
import dev.precis.alignment.preference.PreferenceLoss.Kind;
import dev.precis.device.DeviceOptions;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import dev.precis.layers.Parameters.Parameter;
import dev.precis.lora.LoraConfig;
import dev.precis.tensor.DType;
import dev.precis.tensor.Tensor;
import dev.precis.training.Optimizer;
import dev.precis.training.RunFolder;
import dev.precis.training.Schedule;
import dev.precis.training.TrainableT5;
import dev.precis.training.TrainingLoop.End;
import dev.precis.training.TrainingLoop.Evaluation;
import dev.precis.training.TrainingLoop.Listener;
import dev.precis.training.TrainingLoop.Result;
import dev.precis.training.TrainingLoop.Step;
import dev.precis.training.TrainingOptions;
import java.io.IOException;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import tools.jackson.databind.node.ObjectNode;

class PreferenceTrainerTest {
  private static final Path MODEL = Fixtures.folder("t5-tiny");
  private static final Path TRAINED = Fixtures.folder("t5-tiny-lora-after20");
  private static final PreferenceLoss DPO = new PreferenceLoss(Kind.SIGMOID, 0.1, 0, 0);

  private static final List<String> ADAPTERS =
      List.of("lora_A", "lora_B", "decoder.block.1.layer.1.EncDecAttention.q", "encoder.block.0.");

  @TempDir private Path folder;

  private static TrainableT5 fresh(DType dtype) {
    return TrainableT5.lora(
        MODEL,
        new LoraConfig(4, 8, 0, List.of("q", "v"), false),
        dtype,
        0,
        1,
        new DeviceOptions().threads(2));
  }

  private static TrainableT5 trained(DType dtype) {
    return TrainableT5.loraFrom(MODEL, TRAINED, 0, dtype, 0, new DeviceOptions().threads(2));
  }

  private static Reference reference(TrainableT5 t5, String name) {
    return Reference.open(name, t5, Path::of);
  }

  private RunFolder run(String name) {
    return RunFolder.create(folder.resolve(name), Json.mapper().createObjectNode());
  }

  private static TrainingOptions.Builder options() {
    return TrainingOptions.builder()
        .batchSize(4)
        .learningRate(2e-2f)
        .schedule(Schedule.Shape.CONSTANT)
        .maxSteps(12);
  }

  private static final PreferenceLoss[] ALL = {
    DPO,
    new PreferenceLoss(Kind.SIGMOID, 0.2, 0.1, 0),
    new PreferenceLoss(Kind.ROBUST, 0.1, 0.1, 0),
    new PreferenceLoss(Kind.IPO, 0.5, 0, 0),
    new PreferenceLoss(Kind.HINGE, 0.1, 0, 0),
    new PreferenceLoss(Kind.ORPO, 4, 0, 0),
    new PreferenceLoss(Kind.SIMPO, 2, 0, 1)
  };

  private static float[] floats(Tensor tensor) {
    return tensor.toHost().toArray(ValueLayout.JAVA_FLOAT);
  }

  /** Three steps of DPO by PyTorch, transformers and PEFT in float32, AdamW without decay. */
  @Test
  void theRunOfPyTorch() {
    double[][] wanted = {
      {0.6536190, 5.588281, -660.31677, -687.08698, 0.1427895},
      {0.6317551, 3.262769, -653.42737, -761.58685, 0.1766701},
      {0.6034440, 4.153739, -618.98383, -681.14587, 0.2438816}
    };
    TrainingOptions options =
        TrainingOptions.builder()
            .optimizer(Optimizer.Settings.of(Optimizer.Kind.ADAMW, 0))
            .learningRate(1e-3f)
            .schedule(Schedule.Shape.CONSTANT)
            .batchSize(4)
            .gradientAccumulation(2)
            .shuffle(false)
            .maxSteps(3)
            .build();
    try (TrainableT5 t5 = trained(DType.FLOAT32);
        Reference reference = reference(t5, "base");
        RunFolder run = run("run");
        PreferenceTrainer trainer =
            PreferenceTrainer.onPairs(
                t5,
                options,
                DPO,
                PreferenceData.wholePairs(24),
                List.of(),
                reference,
                false,
                run)) {
      for (double[] want : wanted) {
        Step step = trainer.step();
        assertEquals(want[0], step.loss(), 1e-4 * want[0]);
        assertEquals(want[1], step.gradNorm(), 1e-3 * want[1]);
        assertEquals(want[2], step.metrics().get("logps/chosen"), 1e-5 * -want[2]);
        assertEquals(want[3], step.metrics().get("logps/rejected"), 1e-5 * -want[3]);
        assertEquals(want[4], step.metrics().get("rewards/margins"), 1e-3 * want[4]);
      }
    }
  }

  /** The gradient of the whole step, along itself, against differences of the loss. */
  @ParameterizedTest
  @EnumSource(Kind.class)
  void theGradientIsThatOfTheLoss(Kind kind) {
    PreferenceLoss loss = new PreferenceLoss(kind, kind == Kind.IPO ? 0.5 : 0.1, 0, 0);
    List<PreferenceExample> pairs = PreferenceData.pairs().subList(0, 4);
    try (TrainableT5 t5 = trained(DType.FLOAT32);
        Reference reference = reference(t5, "base");
        RunFolder run = run("run");
        PreferenceTrainer trainer =
            PreferenceTrainer.onPairs(
                t5, options().build(), loss, pairs, List.of(), reference, false, run)) {
      t5.parameters().clearGradients();
      double computed = trainer.accumulateGradients(0).loss();
      assertEquals(computed, trainer.evaluateTraining().loss(), 1e-9 * Math.abs(computed));
      checkGradients(t5, ADAPTERS, () -> trainer.evaluateTraining().loss());
    }
  }

  /** With all weights trained, the output layer has its gradient from the log-probabilities. */
  @Test
  void theGradientOfAllWeights() {
    try (TrainableT5 t5 =
            TrainableT5.full(MODEL, DType.FLOAT32, 0, new DeviceOptions().threads(2));
        Reference reference = reference(t5, "base");
        RunFolder run = run("run");
        PreferenceTrainer trainer =
            PreferenceTrainer.onPairs(
                t5,
                options().build(),
                DPO,
                PreferenceData.pairs().subList(0, 4),
                List.of(),
                reference,
                true,
                run)) {
      t5.parameters().clearGradients();
      trainer.accumulateGradients(0);
      checkGradients(
          t5,
          List.of("lm_head.weight", "shared.weight", "decoder.block.0.layer.0.SelfAttention.k"),
          () -> trainer.evaluateTraining().loss());
    }
  }

  private interface Loss {
    double now();
  }

  /** Along the gradient of all parameters that have a name in theirs. */
  private static void checkGradients(TrainableT5 t5, List<String> names, Loss loss) {
    float[] all = floats(t5.parameters().gradients());
    float[] values = floats(t5.parameters().values());
    for (String which : names) {
      float[] direction = new float[all.length];
      int at = 0;
      double squares = 0;
      long base = t5.parameters().values().memory().address();
      for (Parameter parameter : t5.parameters().all()) {
        at = (int) ((parameter.value().memory().address() - base) / 4);
        for (int i = 0; parameter.name().contains(which) && i < parameter.elements(); i++) {
          direction[at + i] = all[at + i];
          squares += (double) all[at + i] * all[at + i];
        }
      }
      assertTrue(squares > 0, which);
      double step = 2e-3 / Math.sqrt(squares);
      double up = lossAt(t5, values, direction, step, loss);
      double down = lossAt(t5, values, direction, -step, loss);
      lossAt(t5, values, direction, 0, loss);
      assertEquals(squares, (up - down) / (2 * step), 0.01 * squares, which);
    }
  }

  private static double lossAt(
      TrainableT5 t5, float[] values, float[] direction, double step, Loss loss) {
    for (int i = 0; i < values.length; i++) {
      float moved = (float) (values[i] + step * direction[i]);
      t5.parameters().values().memory().setAtIndex(ValueLayout.JAVA_FLOAT, i, moved);
    }
    t5.update();
    return loss.now();
  }

  /** KTO's divergence has no gradient: differences are taken with it held still. */
  @Test
  void theGradientOfSingleAnswers() {
    UnpairedLoss loss = new UnpairedLoss(0.1, 1.2, 0.8);
    List<FeedbackExample> answers = PreferenceData.feedback().subList(0, 6);
    try (TrainableT5 t5 = trained(DType.FLOAT32);
        Reference reference = reference(t5, "base");
        RunFolder run = run("run");
        CompletionScorer scorer = new CompletionScorer(t5, false);
        PreferenceTrainer trainer =
            PreferenceTrainer.onFeedback(
                t5,
                options().batchSize(6).build(),
                loss,
                answers,
                List.of(),
                reference,
                false,
                run)) {
      List<TokenizedPair> items = Objective.Unpaired.items(answers, 0);
      double[][] wanted = scorer.reference(reference, items, 0, 2);
      double[][] others = scorer.policy(items, 1, 2);
      double sum = 0;
      for (int i = 0; i < 6; i++) {
        sum += others[i][0] - wanted[i][1];
      }
      double z = UnpairedLoss.divergence(sum, 6);
      t5.parameters().clearGradients();
      double computed = trainer.accumulateGradients(0).loss();
      Loss still =
          () -> {
            double[][] policy = scorer.policy(items, 0, 1);
            double total = 0;
            for (int i = 0; i < 6; i++) {
              total += loss.of(items.get(i).desirable(), policy[i][0], wanted[i][0], z).loss();
            }
            return total / 6;
          };
      assertEquals(still.now(), computed, 1e-9);
      checkGradients(t5, ADAPTERS, still);
    }
  }

  @Test
  void accumulationIsOneLargeBatch() {
    List<PreferenceExample> pairs = PreferenceData.pairs().subList(0, 8);
    List<FeedbackExample> answers = PreferenceData.feedback().subList(0, 8);
    for (boolean unpaired : new boolean[] {false, true}) {
      List<float[]> gradients = new ArrayList<>();
      List<Step> steps = new ArrayList<>();
      for (int batch : new int[] {8, 3, 1}) {
        TrainingOptions options =
            options()
                .batchSize(batch)
                .gradientAccumulation(Math.ceilDiv(8, batch))
                .shuffle(true)
                .build();
        try (TrainableT5 t5 = trained(DType.FLOAT32);
            Reference reference = reference(t5, "base");
            RunFolder run = run("run-" + unpaired + batch);
            PreferenceTrainer trainer =
                unpaired
                    ? PreferenceTrainer.onFeedback(
                        t5,
                        options,
                        new UnpairedLoss(0.3, 1, 1),
                        answers,
                        List.of(),
                        reference,
                        false,
                        run)
                    : PreferenceTrainer.onPairs(
                        t5, options, DPO, pairs, List.of(), reference, false, run)) {
          steps.add(trainer.step());
          gradients.add(floats(t5.parameters().gradients()));
        }
      }
      for (int i = 1; i < 3; i++) {
        assertEquals(steps.get(0).loss(), steps.get(i).loss(), 1e-6);
        assertEquals(
            steps.get(0).metrics().get("rewards/margins"),
            steps.get(i).metrics().get("rewards/margins"),
            1e-6);
        double error = Fixtures.relativeError(gradients.get(i), gradients.get(0));
        assertTrue(error < 1e-5, "batch " + i + ": " + error);
      }
    }
  }

  /** Before the first update all margins are zero, to the bit, whatever the arithmetic. */
  @ParameterizedTest
  @CsvSource({
    "FLOAT32, fresh, base",
    "BFLOAT16, fresh, base",
    "FLOAT32, trained, adapter",
    "BFLOAT16, trained, adapter",
    "BFLOAT16, fresh, checkpoint",
    "FLOAT32, full, base",
    "BFLOAT16, full, base"
  })
  void aPolicyThatIsItsReferenceHasNoMargin(DType dtype, String policy, String kind) {
    String name =
        switch (kind) {
          case "adapter" -> "adapter:" + TRAINED;
          case "checkpoint" -> "checkpoint:" + MODEL;
          default -> kind;
        };
    try (TrainableT5 t5 =
            switch (policy) {
              case "fresh" -> fresh(dtype);
              case "trained" -> trained(dtype);
              default -> TrainableT5.full(MODEL, dtype, 0, new DeviceOptions().threads(2));
            };
        Reference reference = reference(t5, name);
        RunFolder run = run("run");
        PreferenceTrainer trainer =
            PreferenceTrainer.onPairs(
                t5,
                options().build(),
                DPO,
                PreferenceData.pairs(),
                List.of(),
                reference,
                true,
                run)) {
      assertEquals(0, trainer.evaluateTraining().metrics().get("rewards/margins"));
      Step step = trainer.step();
      assertEquals(Math.log(2), step.loss(), 1e-15);
      assertEquals(0, step.metrics().get("rewards/margins"));
      assertEquals(0, step.metrics().get("rewards/chosen"));
      assertTrue(trainer.step().metrics().get("rewards/margins") != 0);
    }
  }

  @Test
  void anotherReferenceThanSaidIsRefused() {
    try (TrainableT5 t5 = trained(DType.FLOAT32);
        Reference reference = reference(t5, "base");
        RunFolder run = run("run");
        PreferenceTrainer trainer =
            PreferenceTrainer.onPairs(
                t5,
                options().build(),
                DPO,
                PreferenceData.pairs(),
                List.of(),
                reference,
                true,
                run)) {
      refused("should start as the reference base", () -> trainer.train(new Listener() {}));
      assertEquals(0, trainer.done());
    }
  }

  @ParameterizedTest
  @CsvSource({"0", "1", "2", "3", "4", "5", "6", "7"})
  void everyLossLearnsTheOrder(int which) {
    List<PreferenceExample> pairs = PreferenceData.pairs();
    List<FeedbackExample> answers = PreferenceData.feedback();
    TrainingOptions options = options().batchSize(8).maxSteps(20).seed(3).build();
    boolean kto = which == ALL.length;
    try (TrainableT5 t5 = fresh(DType.FLOAT32);
        Reference reference = reference(t5, "base");
        RunFolder run = run("run");
        PreferenceTrainer trainer =
            kto
                ? PreferenceTrainer.onFeedback(
                    t5,
                    options,
                    new UnpairedLoss(0.1, 1, 1),
                    answers.subList(0, 64),
                    answers.subList(64, answers.size()),
                    reference,
                    true,
                    run)
                : PreferenceTrainer.onPairs(
                    t5,
                    options,
                    ALL[which],
                    pairs.subList(0, 32),
                    pairs.subList(32, pairs.size()),
                    reference,
                    true,
                    run)) {
      Evaluation before = trainer.evaluation(new Listener() {});
      Result result = trainer.train(new Listener() {});
      Evaluation after = trainer.evaluation(new Listener() {});
      assertEquals(End.DONE, result.end());
      assertTrue(after.loss() < before.loss(), before + " then " + after);
      double accuracy = after.metrics().get("rewards/accuracies");
      assertTrue(
          accuracy >= 0.85 && accuracy > before.metrics().get("rewards/accuracies"),
          before + " then " + after);
      assertEquals(result.best(), after.loss(), "the result is the best");
      ObjectNode last = run.metrics().getLast();
      assertTrue(last.has("eval_loss") && last.has("eval_rewards/accuracies"));
      assertTrue(last.has("eval_kl") == kto);
      ObjectNode first = run.metrics().getFirst();
      for (String name :
          List.of(
              "loss",
              "rewards/accuracies",
              "learning_rate",
              "grad_norm",
              "tokens_per_second",
              "epoch")) {
        assertTrue(first.has(name), name);
      }
      assertTrue(Files.exists(folder.resolve("run/adapter/adapter_model.safetensors")));
    }
  }

  @ParameterizedTest
  @CsvSource({"FLOAT32, false", "BFLOAT16, false", "BFLOAT16, true"})
  void thePlanHolds(DType dtype, boolean recompute) {
    try (TrainableT5 t5 = fresh(dtype);
        Reference reference = reference(t5, "base");
        RunFolder run = run("run");
        PreferenceTrainer trainer =
            PreferenceTrainer.onPairs(
                t5,
                options().batchSize(6).recompute(recompute).build(),
                DPO,
                PreferenceData.pairs(),
                List.of(),
                reference,
                true,
                run)) {
      long planned = trainer.plan().parts().get("activations");
      trainer.step();
      long before = t5.device().describe().allocations();
      for (int i = 1; i < 12; i++) {
        trainer.step();
        assertTrue(trainer.peak() <= planned, trainer.peak() + " of " + planned);
      }
      assertTrue(trainer.peak() > planned / 2, trainer.peak() + " of " + planned);
      long scratch = t5.device().describe().allocations() - before;
      assertTrue(scratch <= 4, scratch + " allocations, of scratch that grows with the longest");
    }
  }

  @Test
  void theReferencesScoresAreComputedOnce() throws IOException {
    List<PreferenceExample> pairs = PreferenceData.pairs();
    ObjectNode config = Json.mapper().createObjectNode();
    List<Double> losses = new ArrayList<>();
    Path file = folder.resolve("run/reference.jsonl");
    for (int i = 0; i < 4; i++) {
      try (TrainableT5 t5 = fresh(DType.FLOAT32);
          Reference reference =
              reference(t5, i < 3 ? "base" : "adapter:" + Fixtures.folder("t5-tiny-lora-after20"));
          RunFolder run = i == 0 ? run("run") : RunFolder.resume(folder.resolve("run"), config);
          PreferenceTrainer trainer =
              PreferenceTrainer.onPairs(
                  t5, options().build(), DPO, pairs, List.of(), reference, false, run)) {
        losses.add(trainer.evaluateTraining().loss());
      }
      if (i == 1) {
        // Were they computed again, nobody would see what the file says.
        String text = Files.readString(file);
        int begin = text.indexOf("[-") + 2;
        Files.writeString(file, text.substring(0, begin) + "9" + text.substring(begin));
      }
    }
    assertEquals(losses.get(0), losses.get(1));
    assertTrue(!losses.get(2).equals(losses.get(1)), "the file is not read");
    assertTrue(losses.get(3) < 2, "scores of another reference were used: " + losses.get(3));
  }

  /** Listens to a run while the reference scores, and then stops it. */
  private List<Long> preparation(String name, List<PreferenceExample> pairs, long stopAt) {
    ObjectNode config = Json.mapper().createObjectNode();
    List<Long> heard = new ArrayList<>();
    boolean going = Files.exists(folder.resolve(name));
    try (TrainableT5 t5 = fresh(DType.FLOAT32);
        Reference reference = reference(t5, "base");
        RunFolder run = going ? RunFolder.resume(folder.resolve(name), config) : run(name);
        PreferenceTrainer trainer =
            PreferenceTrainer.onPairs(
                t5, options().maxSteps(2).build(), DPO, pairs, List.of(), reference, true, run)) {
      if (going) {
        trainer.resume();
      }
      Result result =
          trainer.train(
              new Listener() {
                @Override
                public void onPreparation(long done, long total) {
                  assertEquals(pairs.size(), total);
                  heard.add(done);
                  if (done == stopAt) {
                    trainer.stop();
                  }
                }
              });
      assertEquals(stopAt < 0 ? End.DONE : End.INTERRUPTED, result.end());
      assertEquals(stopAt < 0 ? 2 : 0, result.steps());
    }
    return heard;
  }

  private static List<Long> inFours(long from, long to) {
    List<Long> all = new ArrayList<>();
    for (long at = from; at < to; at += 4) {
      all.add(at);
    }
    all.add(to);
    return all;
  }

  @Test
  void stoppedWhileTheReferenceScoresItGoesOnFromThere() throws IOException {
    List<PreferenceExample> pairs = PreferenceData.pairs();
    int n = pairs.size();
    assertEquals(inFours(0, n), preparation("whole", pairs, -1));
    assertEquals(inFours(0, 20), preparation("stopped", pairs, 20));
    assertEquals(inFours(20, n), preparation("stopped", pairs, n));
    Path file = folder.resolve("stopped/reference.jsonl");
    String whole = Files.readString(folder.resolve("whole/reference.jsonl"));
    assertEquals(whole, Files.readString(file));
    assertEquals(1 + n, whole.lines().count());
    // Nothing is left to score.
    assertEquals(List.of((long) n), preparation("stopped", pairs, n));
    assertEquals(whole, Files.readString(file));
    // Other examples, or the same in another order, are scored again.
    assertEquals(inFours(0, n), preparation("stopped", pairs.reversed(), n));
  }

  @Test
  void whatWasCutShortIsScoredAgain() throws IOException {
    List<PreferenceExample> pairs = PreferenceData.pairs();
    long n = pairs.size();
    preparation("run", pairs, n);
    Path file = folder.resolve("run/reference.jsonl");
    String whole = Files.readString(file);
    List<String> lines = whole.lines().toList();
    String last = lines.getLast() + "\n";
    String before = whole.substring(0, whole.length() - last.length());
    List<String> others = new ArrayList<>(lines);
    others.remove(11);
    String[] damaged = {
      whole.substring(0, whole.length() - 1),
      before + last.substring(0, 20),
      before + "\0".repeat(20) + "\n",
      before + last.replaceFirst("-.*,", "null,"),
      before + last.replaceFirst("-.*,", ""),
      before + "\u00fc\n" + last,
      String.join("\n", others) + "\n",
      "",
      "{}\n" + whole,
      whole.substring(0, 40),
    };
    long[] left = {n - 1, n - 1, n - 1, n - 1, n - 1, n - 1, 10, 0, 0, 0};
    for (int i = 0; i < damaged.length; i++) {
      Files.writeString(file, damaged[i]);
      assertEquals(inFours(left[i], n), preparation("run", pairs, n), damaged[i]);
      assertEquals(whole, Files.readString(file));
    }
    // More lines than examples are another file's.
    Files.writeString(file, whole + last);
    assertEquals(List.of(n), preparation("run", pairs, n));
    assertEquals(whole, Files.readString(file));
  }

  @Test
  void whatCannotBeLearntFromIsRefused() {
    List<PreferenceExample> pairs = PreferenceData.pairs();
    int[] source = {5, 1};
    List<PreferenceExample> equal =
        List.of(pairs.get(0), new PreferenceExample(source, new int[] {7, 1}, new int[] {7, 1}));
    List<PreferenceExample> empty =
        List.of(new PreferenceExample(source, new int[] {7, 1}, new int[] {}));
    List<FeedbackExample> onePrompt =
        List.of(
            new FeedbackExample(source, new int[] {7, 1}, true),
            new FeedbackExample(source.clone(), new int[] {8, 1}, false));
    try (TrainableT5 t5 = fresh(DType.FLOAT32);
        Reference reference = reference(t5, "base");
        RunFolder run = run("run")) {
      TrainingOptions options = options().build();
      refused(
          "pair 2 are the same",
          () ->
              PreferenceTrainer.onPairs(t5, options, DPO, equal, List.of(), reference, true, run));
      refused(
          "Pair 1 has an empty answer",
          () ->
              PreferenceTrainer.onPairs(t5, options, DPO, empty, List.of(), reference, true, run));
      refused(
          "no example",
          () ->
              PreferenceTrainer.onPairs(
                  t5, options, DPO, List.of(), List.of(), reference, true, run));
      refused(
          "name one",
          () -> PreferenceTrainer.onPairs(t5, options, DPO, pairs, List.of(), null, true, run));
      refused(
          "the same prompt",
          () ->
              PreferenceTrainer.onFeedback(
                  t5,
                  options,
                  new UnpairedLoss(0.1, 1, 1),
                  onePrompt,
                  List.of(),
                  reference,
                  true,
                  run));
    }
  }

  @Test
  void aReferenceThatGivesNoNumbersIsRefused() {
    Path damaged = folder.resolve("damaged");
    try (TrainableT5 t5 =
        TrainableT5.full(MODEL, DType.FLOAT32, 0, new DeviceOptions().threads(2))) {
      Parameter parameter = t5.parameters().find("decoder.final_layer_norm.weight");
      parameter.value().memory().setAtIndex(ValueLayout.JAVA_FLOAT, 3, Float.MAX_VALUE);
      t5.write(damaged);
    }
    try (TrainableT5 t5 = fresh(DType.FLOAT32);
        Reference reference = reference(t5, "checkpoint:" + damaged);
        RunFolder run = run("run");
        PreferenceTrainer trainer =
            PreferenceTrainer.onPairs(
                t5,
                options().build(),
                DPO,
                PreferenceData.pairs(),
                List.of(),
                reference,
                false,
                run)) {
      refused("not a number", trainer::step);
    }
  }

  @Test
  void aLossThatIsNoNumberEndsTheRunAndChangesNothing() {
    try (TrainableT5 t5 = fresh(DType.FLOAT32);
        RunFolder run = run("run");
        PreferenceTrainer trainer =
            PreferenceTrainer.onPairs(
                t5,
                options().build(),
                ALL[6],
                PreferenceData.pairs(),
                List.of(),
                null,
                false,
                run)) {
      Parameter parameter = t5.parameters().all().getLast();
      parameter.value().memory().setAtIndex(ValueLayout.JAVA_FLOAT, 0, Float.NaN);
      t5.update();
      float[] before = floats(t5.parameters().values());
      String said = assertThrows(IllegalStateException.class, trainer::step).getMessage();
      assertTrue(said.contains("The loss of step 1 is NaN"), said);
      assertArrayEquals(before, floats(t5.parameters().values()));
    }
  }

  private static void refused(String what, Executable done) {
    String said = assertThrows(InvalidInputException.class, done).getMessage();
    assertTrue(said.contains(what), said);
  }
}
