package dev.precis.text;

import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.Fixtures;
import dev.precis.io.InvalidInputException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Mutated files of tokenizers, 60,000 in all: each is used or refused with a sentence, none takes
 * long. The seed is printed; {@code -Dprecis.fuzz.seed=N} repeats a run.
 */
@Tag("fuzz")
class TokenizerFuzzTest {
  private static final long SEED = Long.getLong("precis.fuzz.seed", System.nanoTime());
  private static final long SLOW = TimeUnit.SECONDS.toNanos(10);

  /** Values that are put into texts: other types, limits, names of parts, halves of characters. */
  private static final String[] WORDS = {
    "null",
    "true",
    "-1",
    "0",
    "1e999",
    "99999999999",
    "2147483647",
    "\"\"",
    "[]",
    "{}",
    "\"\\ud800\"",
    "\"x\"",
    "\"Sequence\"",
    "\"Replace\"",
    "\"Prepend\"",
    "\"Metaspace\"",
    "\"ByteLevel\"",
    "\"Split\"",
    "\"Precompiled\"",
    "\"TemplateProcessing\"",
    "\"BPE\"",
    "\"Unigram\"",
    "\"NFKC\"",
    "{\"Regex\": \"(a|a)*b\"}",
    "{\"String\": \"l\"}",
    "\"normalizer\"",
    "\"vocab\"",
    ",",
    ":",
    "{",
    "}",
    "[",
    "]",
    "\"",
    "\\",
    "\u2581",
    "\n",
    " ",
    "é",
    "\uD83D\uDE00"
  };

  private static final String TEXT =
      "Hello  hello world</s> <extra_id_0>\tdon't \uD83D\uDE00 你好 e\u0301 12 x²\n";

  static {
    System.setProperty("org.slf4j.simpleLogger.defaultLogLevel", "error");
  }

  @TempDir Path folder;

  @ParameterizedTest
  @CsvSource({
    "t5-converted, tokenizer.json, 16000",
    "mt5, spiece.model, 14000",
    "codet5, vocab.json, 8000",
    "codet5, merges.txt, 8000",
    "byt5, tokenizer_config.json, 7000",
    "t5-added, added_tokens.json, 7000"
  })
  @Timeout(180)
  void isUsedOrRefused(String from, String file, int rounds) throws IOException {
    Path source = Fixtures.resource("tokenizers/" + from);
    try (var files = Files.list(source)) {
      for (Path each : files.toList()) {
        Files.copy(each, folder.resolve(each.getFileName()));
      }
    }
    byte[] whole = Files.readAllBytes(source.resolve(file));
    System.out.printf("%s/%s: seed %d%n", from, file, SEED);
    Random random = new Random(SEED);
    int used = 0;
    for (int round = 0; round < rounds; round++) {
      byte[] mutated = mutate(whole, file.endsWith(".model"), random);
      Files.write(folder.resolve(file), mutated);
      long start = System.nanoTime();
      try (Tokenizer tokenizer = Tokenizer.load(folder)) {
        int[] ids = tokenizer.encode(TEXT);
        tokenizer.decode(ids, round % 2 == 0);
        tokenizer.decode(random.ints(20, 0, tokenizer.vocabularySize()).toArray(), true);
        used++;
      } catch (InvalidInputException e) {
        assertTrue(e.getMessage().lines().count() == 1, e.getMessage());
      } catch (RuntimeException | Error e) {
        Path kept = Files.write(Files.createTempFile("fuzz-", "-" + file), mutated);
        throw new AssertionError("seed " + SEED + ", round " + round + ", input " + kept, e);
      }
      long took = System.nanoTime() - start;
      assertTrue(took < SLOW, () -> "seed " + SEED + ": an input took " + took / 1e9 + " s");
    }
    System.out.printf("%s/%s: %d of %d were used%n", from, file, used, rounds);
  }

  private static byte[] mutate(byte[] whole, boolean binary, Random random) {
    byte[] result = whole;
    for (int i = 1 + random.nextInt(4); i > 0; i--) {
      int at = random.nextInt(result.length + 1);
      int end = Math.min(result.length, at + random.nextInt(12));
      boolean value = !binary && random.nextInt(3) > 0;
      if (value) { // a whole value of the JSON, so that what is around it stays whole
        at = next(result, at, ":[,");
        end = next(result, at, ",]}") - 1;
        end = Math.max(at, Math.min(end, result.length));
      }
      byte[] middle =
          switch (value ? 4 : random.nextInt(binary ? 4 : 6)) {
            case 0 -> new byte[0];
            case 1 -> new byte[] {(byte) random.nextInt()};
            case 2 -> slice(result, random);
            case 3 -> flipped(Arrays.copyOfRange(result, at, end), random);
            default -> WORDS[random.nextInt(WORDS.length)].getBytes(StandardCharsets.UTF_8);
          };
      byte[] next = new byte[at + middle.length + result.length - end];
      System.arraycopy(result, 0, next, 0, at);
      System.arraycopy(middle, 0, next, at, middle.length);
      System.arraycopy(result, end, next, at + middle.length, result.length - end);
      result = next;
    }
    return result;
  }

  /** Returns the index after the next of some characters, or the length. */
  private static int next(byte[] bytes, int from, String characters) {
    int at = from;
    while (at < bytes.length && characters.indexOf(bytes[at]) < 0) {
      at++;
    }
    return Math.min(bytes.length, at + 1);
  }

  private static byte[] slice(byte[] bytes, Random random) {
    int start = random.nextInt(bytes.length + 1);
    return Arrays.copyOfRange(bytes, start, Math.min(bytes.length, start + random.nextInt(60)));
  }

  private static byte[] flipped(byte[] bytes, Random random) {
    if (bytes.length > 0) {
      bytes[random.nextInt(bytes.length)] ^= (byte) (1 << random.nextInt(8));
    }
    return bytes;
  }
}
