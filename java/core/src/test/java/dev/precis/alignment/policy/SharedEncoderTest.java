package dev.precis.alignment.policy;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.precis.Fixtures;
import dev.precis.device.DeviceOptions;
import dev.precis.generation.GeneratedTokens;
import dev.precis.generation.GenerationOptions;
import dev.precis.generation.Generator;
import dev.precis.generation.SampledTokens;
import dev.precis.lora.LoraConfig;
import dev.precis.ops.Tape;
import dev.precis.ops.Variable;
import dev.precis.t5.T5Model.Encoded;
import dev.precis.tensor.DType;
import dev.precis.tensor.Ragged;
import dev.precis.tensor.Tensor;
import dev.precis.tensor.Workspace;
import dev.precis.training.TrainableT5;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** One run of the encoder for several targets changes no bit. */
class SharedEncoderTest {
  private static final List<int[]> SOURCES =
      List.of(new int[] {17, 4, 250, 31, 1}, new int[] {5, 1}, new int[] {99, 98, 97, 1});
  private static final List<int[]> TARGETS =
      List.of(
          new int[] {0, 12, 13},
          new int[] {0},
          new int[] {0, 44, 45, 46, 47},
          new int[] {0, 3},
          new int[] {0, 7, 7, 7},
          new int[] {0, 8, 9});

  private static TrainableT5 t5(DType dtype) {
    return TrainableT5.lora(
        Fixtures.folder("t5-tiny"),
        new LoraConfig(4, 8, 0, List.of("q", "v"), false),
        dtype,
        0,
        3,
        new DeviceOptions().threads(2));
  }

  @ParameterizedTest
  @EnumSource(
      value = DType.class,
      names = {"FLOAT32", "BFLOAT16"})
  void targetsOfOneSourceShareIt(DType dtype) {
    List<int[]> doubled =
        List.of(
            SOURCES.get(0),
            SOURCES.get(0),
            SOURCES.get(1),
            SOURCES.get(1),
            SOURCES.get(2),
            SOURCES.get(2));
    try (TrainableT5 t5 = t5(dtype);
        Workspace workspace = t5.ops().newWorkspace()) {
      int vocab = t5.config().vocabSize();
      Ragged target = Ragged.of(TARGETS, vocab, workspace);
      Encoded once = t5.model().encode(Ragged.of(SOURCES, vocab, workspace), workspace);
      Encoded twice = t5.model().encode(Ragged.of(doubled, vocab, workspace), workspace);
      Tensor shared = t5.model().decode(once, target, workspace);
      Tensor apart = t5.model().decode(twice, target, workspace);
      Tape tape = new Tape(t5.ops(), workspace, false);
      tape.begin(true, 0);
      Variable encoded = t5.training().encode(tape, Ragged.of(SOURCES, vocab, workspace));
      Variable trained = t5.training().decode(tape, encoded, once.source(), target);
      for (int i = 0; i < target.tokens(); i++) {
        assertArrayEquals(apart.row(i), shared.row(i));
        assertArrayEquals(apart.row(i), trained.value().row(i), "what trains is what scores");
      }
    }
  }

  @Test
  void samplesAreThoseOfTheGenerator() {
    GenerationOptions options =
        GenerationOptions.builder()
            .sample(true)
            .numReturnSequences(2)
            .maxNewTokens(12)
            .temperature(0.8f)
            .topK(50)
            .seed(9)
            .build();
    try (TrainableT5 t5 = t5(DType.FLOAT32);
        Workspace workspace = t5.ops().newWorkspace();
        Generator generator = new Generator(t5.model())) {
      List<List<GeneratedTokens>> want = generator.generate(SOURCES, options, 2, 5, null, null);
      Encoded encoded =
          t5.model().encode(Ragged.of(SOURCES, t5.config().vocabSize(), workspace), workspace);
      List<List<SampledTokens>> got = generator.sample(encoded, options, new int[] {12, 12, 3}, 5);
      GenerationOptions drafting = options.with().draft(GenerationOptions.Draft.LOOKUP).build();
      List<List<SampledTokens>> drafted =
          generator.sample(encoded, drafting, new int[] {12, 12, 3}, 5);
      for (int i = 0; i < 3; i++) {
        for (int j = 0; j < 2; j++) {
          int[] tokens = want.get(i).get(j).tokens();
          SampledTokens sampled = got.get(i).get(j);
          SampledTokens same = drafted.get(i).get(j);
          assertArrayEquals(sampled.tokens(), same.tokens());
          assertArrayEquals(sampled.logProbabilities(), same.logProbabilities());
          assertArrayEquals(sampled.warpedLogProbabilities(), same.warpedLogProbabilities());
          int expected = i == 2 ? Math.min(3, tokens.length) : tokens.length;
          assertArrayEquals(java.util.Arrays.copyOf(tokens, expected), sampled.tokens());
          float score = 0;
          for (float each : sampled.logProbabilities()) {
            score += each;
          }
          if (i < 2) {
            assertEquals(want.get(i).get(j).score(), score);
            assertEquals(want.get(i).get(j).finished(), sampled.finished());
          }
        }
      }
    }
  }
}
