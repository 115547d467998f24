package dev.precis.generation;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.precis.Fixtures;
import dev.precis.T5;
import dev.precis.checkpoint.Checkpoint;
import dev.precis.generation.GenerationOptions.EarlyStopping;
import dev.precis.tensor.DType;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import tools.jackson.databind.JsonNode;

/** Greedy decoding and beam search against transformers, token for token. */
class GenerateGoldenTest {
  private static GenerationOptions options(JsonNode o) {
    GenerationOptions.Builder builder = GenerationOptions.builder();
    for (String name : o.propertyNames()) {
      JsonNode value = o.get(name);
      switch (name) {
        case "max_new_tokens" -> builder.maxNewTokens(value.intValue());
        case "min_new_tokens" -> builder.minNewTokens(value.intValue());
        case "repetition_penalty" -> builder.repetitionPenalty(value.floatValue());
        case "no_repeat_ngram_size" -> builder.noRepeatNgramSize(value.intValue());
        case "num_beams" -> builder.numBeams(value.intValue());
        case "length_penalty" -> builder.lengthPenalty(value.floatValue());
        case "early_stopping" ->
            builder.earlyStopping(value.booleanValue() ? EarlyStopping.TRUE : EarlyStopping.FALSE);
        case "num_return_sequences" -> builder.numReturnSequences(value.intValue());
        default -> throw new AssertionError("the golden has an option " + name);
      }
    }
    return builder.build();
  }

  /** Without the start token and what pads a shorter sequence after its end token. */
  private static int[] tokens(JsonNode sequence) {
    int n = 1;
    while (n < sequence.size()) {
      if (sequence.get(n++).intValue() == 1) {
        break;
      }
    }
    int[] tokens = new int[n - 1];
    for (int i = 1; i < n; i++) {
      tokens[i - 1] = sequence.get(i).intValue();
    }
    return tokens;
  }

  @ParameterizedTest
  @CsvSource({"t5-tiny, 4", "t5-tiny, 1", "t5-tiny, 3", "t5-tiny-v1.0, 4", "t5-tiny-v1.0, 2"})
  void tokensAndScoresAreTransformers(String name, int batchSize) {
    List<int[]> sources;
    try (Checkpoint golden = Fixtures.arrays("forward_" + name + ".safetensors")) {
      sources = Fixtures.unpadded(golden.get("input_ids"), golden.get("attention_mask"));
    }
    try (T5 t5 = T5.load(Fixtures.folder(name), new T5.LoadOptions().dtype(DType.FLOAT32))) {
      for (JsonNode each : Fixtures.json("generate_" + name + ".json")) {
        GenerationOptions options = options(each.get("options"));
        List<GeneratedTokens> got = new ArrayList<>();
        t5.generateTokens(sources, options, batchSize, null).forEach(got::addAll);
        JsonNode sequences = each.get("sequences");
        assertEquals(sequences.size(), got.size());
        for (int i = 0; i < got.size(); i++) {
          int[] want = tokens(sequences.get(i));
          assertArrayEquals(
              want, got.get(i).tokens(), () -> each.get("options") + ": " + Arrays.toString(want));
          if (each.has("sequences_scores")) {
            float score = each.get("sequences_scores").get(i).floatValue();
            assertEquals(score, got.get(i).score(), Math.abs(score) * 1e-4, "score " + i);
          }
        }
      }
    }
  }
}
