package dev.precis.generation;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.Fixtures;
import dev.precis.generation.GenerationDefaults.Applied;
import dev.precis.generation.GenerationOptions.EarlyStopping;
import dev.precis.io.InvalidInputException;
import dev.precis.t5.GenerationConfig;
import dev.precis.t5.T5Config;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Settings of a folder: their types and ranges, and what is said about them. */
class GenerationDefaultsTest {
  @TempDir Path folder;

  private GenerationDefaults defaults(String settings) throws IOException {
    Path config = folder.resolve("config.json");
    if (!Files.exists(config)) {
      Files.copy(Fixtures.folder("t5-tiny").resolve("config.json"), config);
    }
    Files.writeString(folder.resolve("generation_config.json"), settings);
    GenerationConfig read = GenerationConfig.read(folder);
    return new GenerationDefaults(read, T5Config.of(read));
  }

  private String refusal(String settings) {
    String message =
        assertThrows(InvalidInputException.class, () -> defaults(settings).options()).getMessage();
    assertTrue(message.contains("generation_config.json"), message);
    return message;
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "num_beams | 4.5",
        "num_beams | \"4\"",
        "num_beams | 0",
        "num_beams | 1000000",
        "max_length | 1",
        "max_new_tokens | 0",
        "min_length | -1",
        "length_penalty | \"long\"",
        "early_stopping | \"sometimes\"",
        "early_stopping | 1",
        "temperature | 0",
        "top_p | 1.5",
        "top_k | -2",
        "repetition_penalty | 0",
        "no_repeat_ngram_size | -1",
        "encoder_no_repeat_ngram_size | -1",
        "encoder_repetition_penalty | -2",
        "do_sample | \"yes\"",
        "bad_words_ids | [1, 2]",
        "bad_words_ids | [[]]",
        "bad_words_ids | [[416]]",
        "bad_words_ids | {\"a\": [3]}",
        "sequence_bias | [[[3], \"much\"]]",
        "sequence_bias | [[[], 1.5]]",
        "sequence_bias | [[3, 1.5]]",
        "bad_words_ids | 5",
        "sequence_bias | 5",
        "suppress_tokens | 5",
        "suppress_tokens | [\"a\"]",
        "suppress_tokens | {\"a\": 3}",
        "begin_suppress_tokens | [1.5]",
        "forced_bos_token_id | [3, 4]",
        "forced_bos_token_id | 416",
        "forced_eos_token_id | -1",
        "exponential_decay_length_penalty | [3]",
        "exponential_decay_length_penalty | [3, 0]",
        "decoder_start_token_id | [0, 3]",
        "decoder_start_token_id | 416",
        "eos_token_id | [1, 416]",
        "eos_token_id | \"</s>\"",
        "eos_token_id | [[1]]"
      })
  void aValueThatCannotBeIsOneSentence(String key, String value) {
    String more =
        switch (key) {
          case "temperature", "top_p", "top_k" -> ", \"do_sample\": true";
          case "length_penalty", "early_stopping" -> ", \"num_beams\": 2";
          default -> "";
        };
    String message = refusal("{\"%s\": %s%s}".formatted(key, value, more));
    assertTrue(message.replace('-', '_').contains(key), message);
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "[]", "{\"num_beams\": 4", "null", "nothing"})
  void aFileThatIsNoObjectIsOneSentence(String text) {
    refusal(text);
  }

  @Test
  void forcedTokensMustBeAllowed() {
    refusal("{\"forced_bos_token_id\": 7, \"suppress_tokens\": [7]}");
    refusal("{\"forced_eos_token_id\": [7], \"suppress_tokens\": [7]}");
    refusal("{\"do_sample\": true, \"num_beams\": 2}");
  }

  @Test
  void anEmptyFileChangesNothing() throws IOException {
    assertEquals(GenerationOptions.DEFAULT, defaults("{}").options());
    String neutral =
        """
        {"num_beams": null, "temperature": 0.0, "top_p": 1.0, "typical_p": 1.0, "bad_words_ids": [],
         "suppress_tokens": [-1, 5000], "guidance_scale": 1, "token_healing": false,
         "num_beam_groups": 1, "use_cache": false, "_from_model_config": true, "min_p": 0.1,
         "transformers_version": "4.49.0", "length_penalty": 2.0, "eos_token_id": 1}
        """;
    GenerationDefaults defaults = defaults(neutral);
    assertEquals(GenerationOptions.DEFAULT, defaults.options());
    assertEquals(
        new Applied(List.of(), List.of()),
        defaults.apply(GenerationOptions.builder(), key -> false));
  }

  @Test
  void lengthsCountTheStartTokenAndNewTokensWin() throws IOException {
    GenerationOptions options = defaults("{\"max_length\": 21, \"min_length\": 6}").options();
    assertEquals(20, options.maxNewTokens());
    assertEquals(5, options.minNewTokens());
    options =
        defaults(
                "{\"max_length\": 21, \"min_length\": 6, \"max_new_tokens\": 9,"
                    + " \"min_new_tokens\": 3}")
            .options();
    assertEquals(9, options.maxNewTokens());
    assertEquals(3, options.minNewTokens());
    // bart-large-cnn's minimum with a short maximum: up to that, and no end before it.
    options = defaults("{\"max_length\": 21, \"min_length\": 56}").options();
    assertEquals(20, options.minNewTokens());
  }

  @Test
  void callersOptionsWin() throws IOException {
    GenerationDefaults defaults =
        defaults(
            "{\"max_length\": 21, \"num_beams\": 4, \"early_stopping\": \"never\","
                + " \"length_penalty\": 2.0, \"do_sample\": false}");
    GenerationOptions options = defaults.options();
    assertEquals(EarlyStopping.NEVER, options.earlyStopping());
    assertEquals(2f, options.lengthPenalty());
    List<String> own = List.of("num_beams", "max_new_tokens");
    GenerationOptions.Builder builder = GenerationOptions.builder().numBeams(1).maxNewTokens(50);
    Applied applied = defaults.apply(builder, own::contains);
    assertEquals(50, builder.build().maxNewTokens());
    assertEquals(1, builder.build().numBeams());
    assertEquals(List.of(), applied.followed());
  }

  @Test
  void whatIsNotFollowedIsNamed() throws IOException {
    GenerationDefaults defaults =
        defaults(
            "{\"guidance_scale\": 1.5, \"typical_p\": 0.9, \"stop_strings\": [\"a\"],"
                + " \"alignment_heads\": [[1, 2]], \"a\\u001b[31m\": 1, \"top_k\": 5,"
                + " \"num_beams\": 2}");
    Applied greedy = defaults.apply(GenerationOptions.builder(), key -> false);
    assertEquals(List.of("num_beams=2"), greedy.followed());
    assertEquals(
        List.of(
            "guidance_scale=1.5",
            "stop_strings=[\"a\"]",
            "alignment_heads=[[1,2]]",
            "1 with names that are not shown"),
        greedy.ignored());
    Applied sampled =
        defaults.apply(
            GenerationOptions.builder().sample(true), List.of("do_sample", "num_beams")::contains);
    assertEquals(List.of("top_k=5"), sampled.followed());
    assertTrue(sampled.ignored().contains("typical_p=0.9"), sampled.toString());
  }
}
