package dev.precis.cuda;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.Fixtures;
import dev.precis.T5;
import dev.precis.checkpoint.Checkpoint;
import dev.precis.device.DeviceOptions;
import dev.precis.device.NativeException;
import dev.precis.generation.GeneratedTokens;
import dev.precis.generation.GenerationCall;
import dev.precis.generation.GenerationOptions;
import dev.precis.generation.GenerationRequest;
import dev.precis.generation.TokenRules;
import dev.precis.ops.Ops;
import dev.precis.tensor.DType;
import dev.precis.tensor.MirroredMemory;
import dev.precis.tensor.Tensor;
import dev.precis.tensor.Workspace;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/**
 * A whole model on a GPU, or on the emulated one, gives the CPU's tokens. Run with {@code
 * precis.native.path} at a library that has a GPU.
 */
@Tag("cuda")
class CudaGenerationTest {
  private static final Path MODEL = Fixtures.folder("t5-tiny");

  private static List<int[]> sources() {
    try (Checkpoint golden = Fixtures.arrays("forward_t5-tiny.safetensors")) {
      return Fixtures.unpadded(golden.get("input_ids"), golden.get("attention_mask"));
    }
  }

  private static T5 load(String device, DType dtype, List<Path> adapters) {
    return T5.load(
        MODEL, new T5.LoadOptions().device(device).threads(1).dtype(dtype).adapters(adapters));
  }

  private static void assertSame(GenerationOptions options, List<Path> adapters) {
    List<int[]> sources = sources();
    List<GeneratedTokens> want = new ArrayList<>();
    List<GeneratedTokens> got = new ArrayList<>();
    try (T5 cpu = load("cpu", DType.FLOAT32, adapters)) {
      cpu.generateTokens(sources, options, 3, null).forEach(want::addAll);
    }
    try (T5 gpu = load("cuda", DType.FLOAT32, adapters)) {
      assertTrue(gpu.device().gpu().computeCapability() >= 80);
      gpu.generateTokens(sources, options, 3, null).forEach(got::addAll);
      // Most steps are replayed; where rows come and go some are not.
      assertTrue(gpu.device().replays() > 0, "no step was replayed");
    }
    assertEquals(want.size(), got.size());
    for (int i = 0; i < want.size(); i++) {
      assertArrayEquals(want.get(i).tokens(), got.get(i).tokens(), "sequence " + i);
      assertEquals(want.get(i).score(), got.get(i).score(), 1e-4 * Math.abs(want.get(i).score()));
    }
  }

  @Test
  void greedyTokensAreTheCpus() {
    assertSame(
        GenerationOptions.builder()
            .maxNewTokens(8)
            .minNewTokens(3)
            .repetitionPenalty(1.3f)
            .noRepeatNgramSize(2)
            .build(),
        List.of(Fixtures.folder("t5-tiny-lora-after20")));
  }

  @Test
  void allStepsButTheFirstAreReplayed() {
    int steps = 24;
    GenerationOptions options =
        GenerationOptions.builder().maxNewTokens(steps).minNewTokens(steps).build();
    List<int[]> one = sources().subList(0, 1);
    try (T5 cpu = load("cpu", DType.FLOAT32, List.of());
        T5 gpu = load("cuda", DType.FLOAT32, List.of())) {
      for (int turn = 1; turn <= 2; turn++) {
        assertArrayEquals(
            cpu.generateTokens(one, options, 1, null).getFirst().getFirst().tokens(),
            gpu.generateTokens(one, options, 1, null).getFirst().getFirst().tokens());
        // The second call replays the first one's graph.
        assertEquals(turn * steps - 1, gpu.device().replays());
      }
    }
  }

  @Test
  void beamsAreTheCpus() {
    assertSame(
        GenerationOptions.builder().maxNewTokens(6).numBeams(3).numReturnSequences(2).build(),
        List.of());
  }

  @Test
  void drawnTokensAreTheCpus() {
    assertSame(
        GenerationOptions.builder()
            .maxNewTokens(6)
            .sample(true)
            .topK(40)
            .topP(0.95f)
            .temperature(1.1f)
            .seed(7)
            .build(),
        List.of());
  }

  /** Requests of all kinds, which share batches: rows of other options and other adapters. */
  private static List<GenerationRequest> mixedRequests() {
    TokenRules rules =
        new TokenRules(
            List.of(),
            1.3f,
            0,
            List.of(List.of(5, 6)),
            null,
            List.of(),
            null,
            List.of(9),
            List.of());
    GenerationOptions plain = GenerationOptions.builder().maxNewTokens(5).minNewTokens(2).build();
    List<GenerationOptions> kinds =
        List.of(
            plain,
            plain.with().sample(true).seed(3).topK(0).numReturnSequences(2).build(),
            plain.with().sample(true).seed(7).topK(20).topP(0.9f).temperature(1.5f).build(),
            plain.with().maxNewTokens(8).repetitionPenalty(1.5f).noRepeatNgramSize(2).build(),
            plain.with().maxNewTokens(3).tokenRules(rules).build(),
            plain.with().sample(true).seed(2).tokenRules(rules).build(),
            plain.with().maxNewTokens(4).numBeams(2).build(),
            plain.with().maxNewTokens(4).numBeams(2).tokenRules(rules).build());
    List<int[]> sources = sources();
    List<GenerationRequest> all = new ArrayList<>();
    String[] adapters = {null, "a", "b"};
    for (int i = 0; i < 2 * kinds.size(); i++) {
      List<int[]> own = sources.subList(i % sources.size(), i % sources.size() + 1);
      all.add(GenerationRequest.of(own, kinds.get(i % kinds.size())).withAdapter(adapters[i % 3]));
    }
    return all;
  }

  @Test
  void rowsOfDifferentRequestsAreTheCpus() {
    Map<String, Path> adapters =
        Map.of("a", Fixtures.folder("t5-tiny-lora-after20"), "b", Fixtures.folder("t5-tiny-lora"));
    T5.LoadOptions options = new T5.LoadOptions().threads(1).namedAdapters(adapters);
    List<GenerationRequest> requests = mixedRequests();
    List<List<GeneratedTokens>> want = new ArrayList<>();
    try (T5 cpu = T5.load(MODEL, options.device("cpu"))) {
      for (GenerationRequest each : requests) {
        want.addAll(cpu.submit(each, null, null).await());
      }
    }
    try (T5 gpu = T5.load(MODEL, options.device("cuda"))) {
      List<GenerationCall> calls = new ArrayList<>();
      requests.forEach(each -> calls.add(gpu.submit(each, null, null)));
      for (int i = 0; i < calls.size(); i++) {
        List<GeneratedTokens> got = calls.get(i).await().getFirst();
        assertEquals(want.get(i).size(), got.size());
        for (int j = 0; j < got.size(); j++) {
          GeneratedTokens expected = want.get(i).get(j);
          assertArrayEquals(expected.tokens(), got.get(j).tokens(), "request " + i);
          assertArrayEquals(
              expected.logProbabilities(), got.get(j).logProbabilities(), 1e-3f, "request " + i);
        }
      }
    }
  }

  @Test
  void memoryIsMirroredByOneCopyForAllArrays() {
    try (Ops ops = Ops.open(new DeviceOptions().device("cuda"));
        Workspace workspace = ops.newWorkspace()) {
      long bytes = MirroredMemory.size(DType.INT32, 5) + MirroredMemory.size(DType.FLOAT32, 6);
      MirroredMemory memory = new MirroredMemory(bytes, workspace);
      MirroredMemory.Array ints = memory.take(DType.INT32, 5);
      MirroredMemory.Array floats = memory.take(DType.FLOAT32, 6);
      assertThrows(IllegalStateException.class, floats.tensor(0, 6)::memory);
      for (int i = 0; i < 6; i++) {
        floats.host().setAtIndex(ValueLayout.JAVA_FLOAT, i, i + 1);
      }
      ints.host().setAtIndex(ValueLayout.JAVA_INT, 4, 77);
      long before = ops.device().describe().launches();
      memory.upload();
      assertEquals(before + 1, ops.device().describe().launches());
      assertEquals(77, ints.tensor(0, 5).get(0, 4));
      assertArrayEquals(new float[] {3, 4}, floats.tensor(2, 2, 2).row(0));
      ops.add(floats.tensor(0, 1, 3), 1, floats.tensor(3, 1, 3));
      assertEquals(5, floats.host().getAtIndex(ValueLayout.JAVA_FLOAT, 4));
      memory.download();
      assertEquals(7, floats.host().getAtIndex(ValueLayout.JAVA_FLOAT, 4));
      floats.host().fill((byte) 0);
      floats.upload(1, 2);
      floats.download(0, 5);
      assertArrayEquals(
          new float[] {1, 0, 0, 5, 7, 0}, floats.host().toArray(ValueLayout.JAVA_FLOAT));
    }
  }

  @Test
  void int8WeightsGiveTheCpusScoresAndTheSameTokensInABatch() {
    List<int[]> sources = sources();
    List<Path> adapters = List.of(Fixtures.folder("t5-tiny-lora-after20"));
    GenerationOptions one = GenerationOptions.builder().maxNewTokens(1).minNewTokens(1).build();
    GenerationOptions more = GenerationOptions.builder().maxNewTokens(7).minNewTokens(4).build();
    try (T5 cpu = load("cpu", DType.INT8, adapters);
        T5 gpu = load("cuda", DType.INT8, adapters)) {
      for (int[] source : sources) {
        GeneratedTokens want =
            cpu.generateTokens(List.of(source), one, 1, null).getFirst().getFirst();
        GeneratedTokens got =
            gpu.generateTokens(List.of(source), one, 1, null).getFirst().getFirst();
        assertEquals(want.score(), got.score(), 0.05);
      }
      List<List<GeneratedTokens>> together =
          gpu.generateTokens(sources, more, sources.size(), null);
      for (int i = 0; i < sources.size(); i++) {
        assertArrayEquals(
            gpu.generateTokens(List.of(sources.get(i)), more, 1, null)
                .getFirst()
                .getFirst()
                .tokens(),
            together.get(i).getFirst().tokens());
      }
    }
  }

  @Test
  void hostReadsAndWritesTheGpusMemoryByCopiesAlone() {
    try (Ops ops = Ops.open(new DeviceOptions().device("cuda"));
        Workspace workspace = ops.newWorkspace()) {
      Tensor x = workspace.tensor(DType.FLOAT32, 2, 4);
      IllegalStateException touched = assertThrows(IllegalStateException.class, x::memory);
      assertEquals(
          "The host cannot touch FLOAT32[2, 4] in memory of the GPU: read it with toHost, or write"
              + " it with write.",
          touched.getMessage());
      float[] values = {1, 2, 3, 4, 5, 6, 7, 8};
      x.write(to -> to.copyFrom(MemorySegment.ofArray(values)));
      assertThrows(IllegalStateException.class, () -> x.slice(4, 4).memory());
      assertThrows(IllegalStateException.class, () -> x.rows(1, 1).memory());
      assertArrayEquals(values, x.toHost().toArray(ValueLayout.JAVA_FLOAT));
      assertArrayEquals(new float[] {5, 6, 7, 8}, x.row(1));
      assertArrayEquals(new float[] {6, 7}, x.columns(1, 2).row(1));
      assertEquals(7, x.columns(2, 2).get(1, 0));
      Tensor shared = workspace.shared(DType.FLOAT32, 2, 4);
      ops.convert(x, shared);
      assertArrayEquals(values, shared.memory().toArray(ValueLayout.JAVA_FLOAT));
    }
  }

  @Test
  void whatAKernelFindsWrongIsSaidWhenTheHostLooks() {
    try (Ops ops = Ops.open(new DeviceOptions().device("cuda"));
        Workspace workspace = ops.newWorkspace()) {
      Tensor logits = workspace.tensor(DType.FLOAT32, 2, 8);
      logits.write(to -> to.fill((byte) 0).setAtIndex(ValueLayout.JAVA_FLOAT, 11, Float.NaN));
      ops.softmax(logits, logits, true);
      NativeException nan = assertThrows(NativeException.class, logits::toHost);
      assertEquals("softmax: there is NaN in row 1", nan.getMessage());
      try (Arena arena = Arena.ofConfined()) {
        Tensor plain = Tensor.ofFloats(arena, new float[16], 2, 8);
        NativeException outside =
            assertThrows(NativeException.class, () -> ops.add(plain, 1, logits));
        assertTrue(
            outside.getMessage().contains("add: x")
                && outside.getMessage().contains("is not memory of this context"),
            outside.getMessage());
      }
    }
  }
}
