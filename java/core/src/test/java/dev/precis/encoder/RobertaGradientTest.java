package dev.precis.encoder;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.Fixtures;
import dev.precis.checkpoint.Checkpoint;
import dev.precis.device.DeviceOptions;
import dev.precis.layers.Parameters;
import dev.precis.layers.Parameters.Parameter;
import dev.precis.ops.Ops;
import dev.precis.ops.Tape;
import dev.precis.ops.Variable;
import dev.precis.tensor.DType;
import dev.precis.tensor.Ragged;
import dev.precis.tensor.Tensor;
import dev.precis.tensor.Workspace;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Gradients of every weight, against differences of the loss. */
class RobertaGradientTest {
  private static final Path MODEL = Fixtures.folder("roberta-tiny");
  private static final long SEED = 5;

  /** Ragged on purpose; the second holds a token twice and one that is padding's. */
  private static final List<int[]> BATCH =
      List.of(
          new int[] {0, 300, 17, 5, 44, 301, 99, 2},
          new int[] {0, 17, 17, 1, 120, 2},
          new int[] {0, 7, 2});

  /** Coefficients of the loss: the gradient of the logits. */
  private static final float[] WEIGHTS = {0.7f, -1.3f, 0.4f, 0.9f, -0.2f, 1.1f};

  /** A model whose weights are all trained. */
  private static final class Model implements AutoCloseable {
    final Ops ops = Ops.open(new DeviceOptions().threads(2));
    final Arena arena = Arena.ofShared();
    final Workspace workspace = ops.newWorkspace();
    final Parameters parameters;
    final EncoderWeights weights;
    final EncoderClassifier classifier;
    final Tape tape;
    final boolean types;

    Model(DType dtype, float dropout, boolean recompute) {
      this(MODEL, dtype, dropout, recompute, false);
    }

    /** Makes a model of any family; with types, every other token is of the second one. */
    Model(Path folder, DType dtype, float dropout, boolean recompute, boolean types) {
      this.types = types;
      EncoderConfig config = EncoderConfig.read(folder).withDropout(dropout);
      parameters = new Parameters(config.tensorShapes(), ops, arena);
      try (Checkpoint checkpoint = Checkpoint.open(folder)) {
        for (Parameter parameter : parameters.all()) {
          checkpoint.get(parameter.name()).toFloat32(parameter.value().memory());
        }
      }
      weights = EncoderWeights.train(parameters, config, ops, arena, dtype);
      classifier = new EncoderClassifier(weights, ops, dtype, true);
      tape = new Tape(ops, workspace, recompute);
    }

    double loss(boolean backward) {
      workspace.reset();
      tape.begin(true, SEED);
      int vocabulary = weights.config().vocabSize();
      List<int[]> ids =
          BATCH.stream()
              .map(row -> Arrays.stream(row).map(id -> id % vocabulary).toArray())
              .toList();
      Ragged tokens = Ragged.of(ids, vocabulary, workspace);
      Variable logits = classifier.logits(tape, tokens, types ? alternating(tokens) : null);
      double loss = 0;
      for (int i = 0; i < WEIGHTS.length; i++) {
        loss += WEIGHTS[i] * logits.value().get(i / 2, i % 2);
      }
      if (backward) {
        Tensor gradient = tape.gradientFor(logits, DType.FLOAT32);
        ops.zero(gradient);
        for (int i = 0; i < WEIGHTS.length; i++) {
          long at = i / 2 * gradient.columns() + i % 2;
          gradient.memory().setAtIndex(ValueLayout.JAVA_FLOAT, at, WEIGHTS[i]);
        }
        tape.collected(logits);
        tape.backward();
      }
      return loss;
    }

    private Tensor alternating(Ragged tokens) {
      Tensor tensor = workspace.tensor(DType.INT32, tokens.tokens());
      for (int i = 0; i < tokens.tokens(); i++) {
        tensor.memory().setAtIndex(ValueLayout.JAVA_INT, i, i % 2);
      }
      return tensor;
    }

    @Override
    public void close() {
      workspace.close();
      arena.close();
      ops.close();
    }
  }

  private static float[] floats(Tensor tensor) {
    float[] values = new float[(int) (tensor.rows() * tensor.columns())];
    MemorySegment.copy(tensor.memory(), ValueLayout.JAVA_FLOAT, 0, values, 0, values.length);
    return values;
  }

  @Test
  void ofEveryWeight() {
    assertDifferences(new Model(DType.FLOAT32, 0, false), 24);
  }

  @Test
  void ofEveryWeightUnderDropout() {
    assertDifferences(new Model(DType.FLOAT32, 0.15f, false), 24);
  }

  @ParameterizedTest
  @CsvSource({"bert-tiny, true, 24", "distilbert-tiny, false, 23", "electra-tiny, true, 26"})
  void ofEveryWeightOfAnotherFamily(String name, boolean types, int kinds) {
    Path folder = Fixtures.resource("encoders").resolve(name);
    assertDifferences(new Model(folder, DType.FLOAT32, 0.15f, false, types), kinds);
  }

  private static void assertDifferences(Model made, int kindsOfWeights) {
    TreeSet<String> kinds = new TreeSet<>();
    try (Model model = made) {
      model.parameters.clearGradients();
      model.loss(true);
      for (Parameter parameter : model.parameters.all()) {
        float[] gradient = floats(parameter.gradient());
        float[] values = floats(parameter.value());
        double squares = 0;
        for (float g : gradient) {
          squares += (double) g * g;
        }
        if (parameter.name().matches(".*(key|k_lin)\\.bias")) {
          // Softmax does not see what all scores of a query have in common.
          assertTrue(squares < 1e-9, parameter.name() + " " + squares);
          continue;
        }
        assertTrue(squares > 1e-9, parameter.name() + " " + squares);
        // Along the gradient itself, where the difference is largest.
        double step = 0.01 / Math.sqrt(squares);
        double up = lossAt(model, parameter, values, gradient, step);
        double down = lossAt(model, parameter, values, gradient, -step);
        lossAt(model, parameter, values, gradient, 0);
        double measured = (up - down) / (2 * step);
        // The losses' own rounding, besides the third derivative.
        double rounding = 2e-6 / step;
        assertEquals(squares, measured, 0.01 * squares + rounding, parameter.name());
        kinds.add(parameter.name().replaceAll("layer\\.\\d+", "layer"));
      }
    }
    assertEquals(kindsOfWeights, kinds.size(), kinds.toString());
  }

  private static double lossAt(
      Model model, Parameter parameter, float[] values, float[] direction, double step) {
    for (int i = 0; i < values.length; i++) {
      parameter
          .value()
          .memory()
          .setAtIndex(ValueLayout.JAVA_FLOAT, i, (float) (values[i] + step * direction[i]));
    }
    model.weights.update(model.ops);
    return model.loss(false);
  }

  @Test
  void positionsAndTokensThatAreNotThereHaveNone() {
    try (Model model = new Model(DType.FLOAT32, 0, false)) {
      model.loss(true);
      Tensor words = model.parameters.find("roberta.embeddings.word_embeddings.weight").gradient();
      Tensor positions =
          model.parameters.find("roberta.embeddings.position_embeddings.weight").gradient();
      List<Integer> read = new ArrayList<>();
      for (int i = 0; i < words.rows(); i++) {
        if (norm(words.row(i)) > 0) {
          read.add(i);
        }
      }
      assertEquals(List.of(0, 1, 2, 5, 7, 17, 44, 99, 120, 300, 301), read);
      for (int i = 0; i < positions.rows(); i++) {
        // Eight tokens from 2 on; 1 is that of the padding's token in the text.
        assertEquals(i >= 1 && i < 10, norm(positions.row(i)) > 0, "position " + i);
      }
    }
  }

  private static double norm(float[] values) {
    double sum = 0;
    for (float value : values) {
      sum += (double) value * value;
    }
    return sum;
  }

  @Test
  void recomputingChangesNoBit() {
    List<float[]> all = new ArrayList<>();
    for (boolean recompute : new boolean[] {false, true}) {
      try (Model model = new Model(DType.BFLOAT16, 0.1f, recompute)) {
        model.loss(true);
        all.add(floats(model.parameters.gradients()));
      }
    }
    assertArrayEquals(all.get(0), all.get(1));
  }

  @Test
  void bfloat16IsNear() {
    try (Model exact = new Model(DType.FLOAT32, 0, false);
        Model narrow = new Model(DType.BFLOAT16, 0, false)) {
      exact.loss(true);
      narrow.loss(true);
      double error =
          Fixtures.relativeError(
              floats(narrow.parameters.gradients()), floats(exact.parameters.gradients()));
      assertTrue(error > 0 && error < 0.03, "error " + error);
    }
  }

  @Test
  void nothingIsAllocatedAfterTheFirstStep() {
    try (Model model = new Model(DType.FLOAT32, 0.1f, false)) {
      model.loss(true);
      model.loss(true);
      long before = model.ops.device().describe().allocations();
      model.loss(true);
      assertEquals(before, model.ops.device().describe().allocations());
    }
  }
}
