package dev.precis;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.generation.GeneratedTokens;
import dev.precis.generation.Generation;
import dev.precis.generation.GenerationOptions;
import dev.precis.io.InvalidInputException;
import dev.precis.tensor.DType;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The Java door: from a folder to text, and what it refuses. */
class T5Test {
  private static final Path TINY = Fixtures.folder("t5-tiny");
  private static final String PROMPT =
      "Summarize the following conversation.\n\n#Person1#: Good morning, I'm Mike. I'd like a room"
          + " for two nights, please.\n#Person2#: Of course.\n\nSummary: ";
  private static final GenerationOptions SHORT =
      GenerationOptions.builder().maxNewTokens(24).build();

  @TempDir Path temporary;

  private Path copy(String fixture) throws IOException {
    Path target = Files.createDirectories(temporary.resolve(fixture));
    try (Stream<Path> files = Files.list(Fixtures.folder(fixture))) {
      for (Path file : files.toList()) {
        Files.copy(file, target.resolve(file.getFileName()));
      }
    }
    return target;
  }

  private static String refusal(Path folder, T5.LoadOptions options) {
    return assertThrows(InvalidInputException.class, () -> T5.load(folder, options).close())
        .getMessage();
  }

  private static String refusal(Path folder) {
    return refusal(folder, new T5.LoadOptions());
  }

  @Test
  void textIsThatOfTheTokens() {
    try (T5 t5 = T5.load(TINY)) {
      Generation generation = t5.generate(PROMPT, SHORT);
      assertEquals(24, generation.tokens().length);
      assertEquals(t5.tokenizer().decode(generation.tokens(), true), generation.text());
      assertTrue(generation.score() < 0 && !generation.finished());
      assertEquals(DType.FLOAT32, t5.dtype());
    }
  }

  @Test
  void streamedPiecesAreTheText() {
    try (T5 t5 = T5.load(TINY)) {
      StringBuilder pieces = new StringBuilder();
      Generation whole = t5.stream(PROMPT, SHORT, pieces::append);
      assertEquals(t5.generate(PROMPT, SHORT).text(), whole.text());
      assertEquals(whole.text(), pieces.toString());
    }
  }

  @Test
  void int4IsForTheCpu() {
    T5.LoadOptions options = new T5.LoadOptions().dtype(DType.INT4);
    for (String gpu : List.of("cuda", "cuda:1")) {
      InvalidInputException e =
          assertThrows(InvalidInputException.class, () -> T5.load(TINY, options.device(gpu)));
      assertEquals(
          "int4 weights run on the CPU alone, not on " + gpu + ": choose the CPU or another type",
          e.getMessage());
    }
    try (T5 t5 = T5.load(TINY, options.device("auto").threads(1))) {
      assertEquals(DType.INT4, t5.dtype());
      assertNull(t5.device().gpu());
      assertEquals(1, t5.device().threads());
    }
  }

  @ParameterizedTest
  @EnumSource(
      value = DType.class,
      names = {"FLOAT32", "BFLOAT16", "INT8", "INT4"})
  void samplesDependOnTheSeedAlone(DType dtype) {
    List<int[]> sources = new ArrayList<>();
    GenerationOptions options =
        GenerationOptions.builder()
            .maxNewTokens(16)
            .sample(true)
            .topK(0)
            .numReturnSequences(3)
            .seed(5)
            .build();
    List<List<GeneratedTokens>> all = new ArrayList<>();
    List<List<GeneratedTokens>> otherBatch = new ArrayList<>();
    List<List<GeneratedTokens>> otherSeed = new ArrayList<>();
    try (T5 t5 = T5.load(TINY, new T5.LoadOptions().dtype(dtype))) {
      for (int i = 1; i < 8; i++) {
        sources.add(t5.tokenizer().encode(PROMPT.substring(0, 10 * i)));
      }
      all.addAll(t5.generateTokens(sources, options, 8, null));
      otherSeed.addAll(t5.generateTokens(sources, options.with().seed(6).build(), 8, null));
    }
    try (T5 t5 = T5.load(TINY, new T5.LoadOptions().dtype(dtype).threads(1))) {
      otherBatch.addAll(t5.generateTokens(sources, options, 2, null));
    }
    boolean differs = false;
    for (int i = 0; i < all.size(); i++) {
      for (int j = 0; j < 3; j++) {
        assertArrayEquals(all.get(i).get(j).tokens(), otherBatch.get(i).get(j).tokens());
        assertEquals(all.get(i).get(j).score(), otherBatch.get(i).get(j).score());
        differs |=
            !java.util.Arrays.equals(all.get(i).get(j).tokens(), otherSeed.get(i).get(j).tokens());
      }
      assertNotEquals(List.of(all.get(i).get(0).tokens()), List.of(all.get(i).get(1).tokens()));
    }
    assertTrue(differs, "another seed must give other tokens");
  }

  @Test
  void callsOfSeveralThreadsAreSerialized() {
    try (T5 t5 = T5.load(TINY)) {
      String alone = t5.generate(PROMPT, SHORT).text();
      List<CompletableFuture<String>> all = new ArrayList<>();
      for (int i = 0; i < 6; i++) {
        all.add(CompletableFuture.supplyAsync(() -> t5.generate(PROMPT, SHORT).text()));
      }
      all.forEach(each -> assertEquals(alone, each.join()));
    }
  }

  @Test
  void anInterruptEndsTheCallAndLeavesTheModelUsable() throws Exception {
    try (T5 t5 = T5.load(TINY)) {
      // So many tokens that the call cannot be over before it is cancelled, if its thread is late.
      GenerationOptions endless =
          GenerationOptions.builder().minNewTokens(4000).maxNewTokens(4000).build();
      AtomicReference<Throwable> failure = new AtomicReference<>();
      Thread thread =
          new Thread(
              () -> {
                Thread.currentThread().interrupt();
                try {
                  t5.generate(PROMPT, endless);
                } catch (Throwable e) {
                  failure.set(e);
                }
              });
      thread.start();
      thread.join();
      assertTrue(failure.get() instanceof CancellationException, "got " + failure.get());
      assertEquals(24, t5.generate(PROMPT, SHORT).tokens().length);
    }
  }

  @Test
  void adaptersComeAndGoWithoutReloading() {
    Path adapter = Fixtures.folder("t5-tiny-lora-after20");
    try (T5 t5 = T5.load(TINY);
        T5 with = T5.load(TINY, new T5.LoadOptions().adapters(List.of(adapter)))) {
      float base = t5.generate(PROMPT, SHORT).score();
      float adapted = with.generate(PROMPT, SHORT).score();
      assertNotEquals(base, adapted);
      t5.useAdapters(List.of(adapter));
      assertEquals(adapted, t5.generate(PROMPT, SHORT).score());
      t5.useAdapters(List.of());
      assertEquals(base, t5.generate(PROMPT, SHORT).score());
    }
  }

  @Test
  void anAdapterOfAnotherModelIsRefusedAndTheModelStays() throws IOException {
    Path adapter = copy("t5-tiny-lora");
    try (T5 t5 = T5.load(Fixtures.folder("t5-tiny-v1.0"))) {
      // The same names and shapes: fits. A model with fewer layers does not.
      t5.useAdapters(List.of(adapter));
    }
    Path small = copy("t5-tiny");
    String config = Files.readString(small.resolve("config.json"));
    Files.writeString(
        small.resolve("config.json"),
        config.replace("\"num_decoder_layers\": 3", "\"num_decoder_layers\": 2"));
    String base;
    try (T5 t5 = T5.load(small)) {
      base = t5.generate(PROMPT, SHORT).text();
      InvalidInputException e =
          assertThrows(InvalidInputException.class, () -> t5.useAdapters(List.of(adapter)));
      assertTrue(e.getMessage().contains("decoder.block.2"), e.getMessage());
      assertEquals(base, t5.generate(PROMPT, SHORT).text());
    }
  }

  @Test
  void refusesWhatDoesNotFit() throws IOException {
    Path folder = copy("t5-tiny");
    Path config = folder.resolve("config.json");
    String original = Files.readString(config);

    Files.writeString(config, original.replace("\"d_ff\": 160", "\"d_ff\": 161"));
    assertTrue(refusal(folder).contains("wi_0"), refusal(folder));

    Files.writeString(config, original.replace("\"num_layers\": 3", "\"num_layers\": 4"));
    assertTrue(refusal(folder).contains("encoder.block.3"), refusal(folder));

    Files.writeString(
        config, original.replace("\"model_type\": \"t5\"", "\"model_type\": \"bart\""));
    assertTrue(refusal(folder).contains("bart"), refusal(folder));

    Files.writeString(
        config,
        original.replace(
            "\"feed_forward_proj\": \"gated-gelu\"", "\"feed_forward_proj\": \"swoosh\""));
    assertTrue(refusal(folder).contains("feed_forward_proj"), refusal(folder));

    Files.writeString(config, original);
    Path other = copy("t5-tiny-v1.0");
    Files.delete(other.resolve("config.json"));
    assertTrue(refusal(other).contains("config.json"), refusal(other));
    assertTrue(refusal(temporary.resolve("nowhere")).contains("nowhere"));
    assertTrue(
        refusal(TINY, new T5.LoadOptions().adapters(List.of(temporary))).contains("adapter_config"),
        "an adapter without a configuration");
    T5.load(folder).close();
  }

  @Test
  void refusesATokenizerOfAnotherModel() throws IOException {
    Path folder = copy("t5-tiny");
    Path config = folder.resolve("config.json");
    // 416 rows in the file, 400 in the configuration: the weights are what is refused first.
    Files.writeString(
        config, Files.readString(config).replace("\"vocab_size\": 416", "\"vocab_size\": 400"));
    assertTrue(refusal(folder).contains("400"), refusal(folder));
    try (T5 t5 = T5.load(TINY)) {
      InvalidInputException e =
          assertThrows(
              InvalidInputException.class,
              () -> t5.generateTokens(List.of(new int[] {5, 416}), SHORT, 1, null));
      assertTrue(e.getMessage().contains("416"), e.getMessage());
      assertThrows(
          InvalidInputException.class,
          () -> t5.generateTokens(List.of(new int[0]), SHORT, 1, null));
    }
  }

  @Test
  void optionsOutOfRangeAreOneSentence() {
    assertThrows(
        InvalidInputException.class, () -> GenerationOptions.builder().temperature(0).build());
    assertThrows(InvalidInputException.class, () -> GenerationOptions.builder().topP(0).build());
    assertThrows(
        InvalidInputException.class,
        () -> GenerationOptions.builder().numReturnSequences(2).build());
    assertThrows(
        InvalidInputException.class, () -> GenerationOptions.builder().minNewTokens(201).build());
    assertThrows(
        InvalidInputException.class,
        () -> GenerationOptions.builder().sample(true).numBeams(2).build());
  }
}
