package dev.precis.cuda;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.abort;

import dev.precis.Fixtures;
import dev.precis.T5;
import dev.precis.checkpoint.Checkpoint;
import dev.precis.device.DeviceOptions;
import dev.precis.generation.GeneratedTokens;
import dev.precis.generation.GenerationCall;
import dev.precis.generation.GenerationOptions;
import dev.precis.generation.GenerationRequest;
import dev.precis.io.InvalidInputException;
import dev.precis.ops.Ops;
import dev.precis.tensor.DType;
import dev.precis.tensor.Tensor;
import dev.precis.tensor.Workspace;
import dev.precis.training.Example;
import dev.precis.training.FineTuning;
import dev.precis.training.Optimizer;
import dev.precis.training.TrainableT5;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/**
 * Models on two GPUs, of which the emulator has as many, in one process and in one thread: each
 * gives the tokens that it gives alone.
 */
@Tag("cuda")
class CudaDevicesTest {
  private static final Path MODEL = Fixtures.folder("t5-tiny");
  private static final int STEPS = 4;

  /** Passes over the test on a machine with one GPU. */
  @BeforeAll
  static void requireTwo() {
    try {
      Ops.open(new DeviceOptions().device("cuda:1")).close();
    } catch (InvalidInputException e) {
      abort(e.getMessage());
    }
  }

  private static List<int[]> sources() {
    try (Checkpoint golden = Fixtures.arrays("forward_t5-tiny.safetensors")) {
      return Fixtures.unpadded(golden.get("input_ids"), golden.get("attention_mask"));
    }
  }

  private static T5 load(String device, DType dtype) {
    return T5.load(MODEL, new T5.LoadOptions().device(device).threads(1).dtype(dtype));
  }

  private static GenerationOptions options(int seed) {
    return GenerationOptions.builder()
        .maxNewTokens(STEPS)
        .minNewTokens(STEPS)
        .sample(seed > 0)
        .seed(seed)
        .build();
  }

  private static int[] tokens(T5 t5, int source, int seed) {
    return t5.generateTokens(sources().subList(source, source + 1), options(seed), 1, null)
        .getFirst()
        .getFirst()
        .tokens();
  }

  @Test
  void twoGenerateInTurns() {
    List<int[]> want = new ArrayList<>();
    try (T5 alone = load("cuda:0", DType.BFLOAT16)) {
      for (int turn = 0; turn < 3; turn++) {
        want.add(tokens(alone, turn % 2, turn));
      }
    }
    try (T5 first = load("cuda:0", DType.BFLOAT16);
        T5 second = load("cuda:1", DType.BFLOAT16)) {
      assertEquals(0, first.device().gpu().index());
      assertEquals(1, second.device().gpu().index());
      for (int turn = 0; turn < 3; turn++) {
        assertArrayEquals(want.get(turn), tokens(first, turn % 2, turn), "cuda:0, " + turn);
        assertArrayEquals(want.get(turn), tokens(second, turn % 2, turn), "cuda:1, " + turn);
      }
      assertTrue(first.device().replays() > 0 && second.device().replays() > 0);
      // Each has its model in memory of its own.
      assertNotEquals(0, first.device().gpu().bytes() - first.device().gpu().freeBytes());
      assertNotEquals(0, second.device().gpu().bytes() - second.device().gpu().freeBytes());
    }
  }

  private static TrainableT5 adapters(String device) {
    return TrainableT5.loraFrom(
        MODEL,
        Fixtures.folder("t5-tiny-lora"),
        0.1f,
        DType.BFLOAT16,
        0.1f,
        new DeviceOptions().device(device).threads(1));
  }

  /**
   * Trains one step after another with each model in turns, in this thread, and returns the losses.
   */
  private static List<List<Double>> losses(List<TrainableT5> models) {
    List<Example> batch =
        List.of(
            new Example(new int[] {8, 21, 5, 40, 33, 7, 1}, new int[] {12, 9, 1}),
            new Example(new int[] {30, 11, 1}, new int[] {4, 17, 25, 6, 1}));
    List<List<Double>> all = new ArrayList<>();
    List<FineTuning> tunings = new ArrayList<>();
    List<Optimizer> optimizers = new ArrayList<>();
    try (Arena arena = Arena.ofShared()) {
      for (TrainableT5 each : models) {
        all.add(new ArrayList<>());
        tunings.add(new FineTuning(each, 0.1f, false));
        optimizers.add(
            Optimizer.create(
                Optimizer.Settings.of(Optimizer.Kind.ADAMW, 0.01f),
                each.parameters(),
                each.ops(),
                arena));
      }
      for (int step = 1; step <= 2; step++) {
        for (int i = 0; i < models.size(); i++) {
          models.get(i).parameters().clearGradients();
          all.get(i).add(tunings.get(i).accumulate(batch, 0.1f, step));
          optimizers.get(i).step(step, 1e-2f, 1);
          models.get(i).update();
        }
      }
      tunings.forEach(FineTuning::close);
    }
    return all;
  }

  @Test
  void oneThreadTrainsOnTwoInTurns() {
    List<Double> want;
    try (TrainableT5 alone = adapters("cuda:0")) {
      want = losses(List.of(alone)).getFirst();
    }
    assertNotEquals(want.get(0), want.get(1));
    try (TrainableT5 first = adapters("cuda:0");
        TrainableT5 second = adapters("cuda:1")) {
      assertEquals(List.of(want, want), losses(List.of(first, second)));
    }
  }

  @Test
  void bothGenerateAtTheSameTime() {
    List<GenerationRequest> requests = new ArrayList<>();
    for (int i = 0; i < 4; i++) {
      int source = i % sources().size();
      requests.add(GenerationRequest.of(sources().subList(source, source + 1), options(i)));
    }
    List<int[]> want = new ArrayList<>();
    try (T5 alone = load("cuda:1", DType.FLOAT32)) {
      for (GenerationRequest each : requests) {
        want.add(alone.submit(each, null, null).await().getFirst().getFirst().tokens());
      }
    }
    try (T5 first = load("cuda:0", DType.FLOAT32);
        T5 second = load("cuda:1", DType.FLOAT32)) {
      List<GenerationCall> calls = new ArrayList<>();
      for (GenerationRequest each : requests) {
        calls.add(first.submit(each, null, null));
        calls.add(second.submit(each, null, null));
      }
      for (int i = 0; i < calls.size(); i++) {
        GeneratedTokens got = calls.get(i).await().getFirst().getFirst();
        assertArrayEquals(want.get(i / 2), got.tokens(), "call " + i);
      }
    }
  }

  @Test
  void closingOneLeavesTheOtherAlone() {
    try (Ops second = Ops.open(new DeviceOptions().device("cuda:1"));
        Workspace workspace = second.newWorkspace()) {
      Tensor x = workspace.tensor(DType.FLOAT32, 1, 4);
      x.write(to -> to.copyFrom(MemorySegment.ofArray(new float[] {1, 2, 3, 4})));
      load("cuda:0", DType.FLOAT32).close();
      second.zero(x.columns(0, 1));
      assertArrayEquals(new float[] {0, 2, 3, 4}, x.row(0));
    }
  }

  @Test
  void aNumberThatDoesNotExistIsRefusedInOneSentence() {
    InvalidInputException refused =
        assertThrows(InvalidInputException.class, () -> load("cuda:99", DType.FLOAT32).close());
    assertTrue(
        refused
            .getMessage()
            .matches(
                "Device cuda:99 cannot be used: there is no GPU 99: this machine has \\d+, from 0"),
        refused.getMessage());
  }
}
