package dev.precis.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.Fixtures;
import dev.precis.T5;
import dev.precis.checkpoint.Checkpoint;
import dev.precis.generation.GenerationOptions;
import dev.precis.tensor.DType;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/**
 * The number of operations that a GPU is given, which decides how long it waits for the host and
 * between kernels. They are counted by layer, so that the numbers hold for a model of any depth:
 * FLAN-T5-base has twelve layers in the encoder and in the decoder.
 */
@Tag("cuda")
class CudaLaunchesTest {
  private static final Path MODEL = Fixtures.folder("t5-tiny");
  private static final int LAYERS = 3;

  /** Tokens of the longest source: the emulator computes them, and launches do not depend on it. */
  private static final int LENGTH = 9;

  private static T5 load() {
    return T5.load(MODEL, new T5.LoadOptions().device("cuda").threads(1).dtype(DType.BFLOAT16));
  }

  /** Returns as many sources, of unequal lengths. */
  private static List<int[]> sources(int count) {
    List<int[]> some;
    try (Checkpoint golden = Fixtures.arrays("forward_t5-tiny.safetensors")) {
      some = Fixtures.unpadded(golden.get("input_ids"), golden.get("attention_mask"));
    }
    List<int[]> all = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      int[] source = some.get(i % some.size());
      all.add(Arrays.copyOf(source, Math.min(source.length, LENGTH - i % 5)));
    }
    return all;
  }

  /** Returns the launches of one call, which decodes so many steps of all sources together. */
  private static long launches(T5 t5, List<int[]> sources, int steps) {
    GenerationOptions options =
        GenerationOptions.builder().maxNewTokens(steps).minNewTokens(steps).build();
    // The first two calls make room, which fills the new memory with zeros.
    long before = 0;
    for (int turn = 0; turn < 3; turn++) {
      before = t5.device().launches();
      t5.generateTokens(sources, options, sources.size(), null);
    }
    return t5.device().launches() - before;
  }

  private static long launchesOfAStep(T5 t5, List<int[]> sources) {
    return launches(t5, sources, 3) - launches(t5, sources, 2);
  }

  @Test
  void launchesDependOnLayersAlone() {
    try (T5 t5 = load()) {
      long step = launchesOfAStep(t5, sources(1));
      assertEquals(step, launchesOfAStep(t5, sources(5)));
      // Seven kernels a layer: queries, keys and values of the normalized rows; attention; its
      // output; queries of the normalized rows and their attention over the source; its output; the
      // activation of a product of the normalized rows; its output. The embedding, the logits of
      // the normalized rows and the choice, which also writes what the next step reads; and two
      // copies to the host, of the tokens and of the word in which kernels note a problem.
      assertEquals(7 * LAYERS + 3 + 2, step);

      long before = launches(t5, sources(5), 1) - step;
      // The encoder's five kernels a layer, its embedding and last norm; the decoder's three a
      // layer that make the keys and values of the cross-attention of all sources; and three
      // copies, of where those go, of the rows, and of the word in which kernels note a problem.
      assertEquals(5 * LAYERS + 2 + 3 * LAYERS + 3, before);
      assertEquals(before, launches(t5, sources(1), 1) - step);
    }
  }

  @Test
  void manySourcesTakeTwoKernelsMoreForEachLayerOfTheEncoder() {
    try (T5 t5 = load()) {
      List<int[]> many = sources(24);
      int tokens = many.stream().mapToInt(source -> source.length).sum();
      assertTrue(tokens > 128, tokens + " tokens");
      long step = launchesOfAStep(t5, many);
      assertEquals(7 * LAYERS + 3 + 2, step);
      // With more rows than a decoding step has, norms are kernels of their own.
      assertEquals(7 * LAYERS + 2 + 3 * LAYERS + 3, launches(t5, many, 1) - step);
    }
  }
}
