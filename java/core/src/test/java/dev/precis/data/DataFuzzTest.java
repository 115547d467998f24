package dev.precis.data;

import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.Fixtures;
import dev.precis.io.InvalidInputException;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Random;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Damages inputs of every reader. They are read or refused with a sentence: no other exception, no
 * endless loop, no lack of memory. The property {@code precis.fuzz.seed} repeats a run, {@code
 * precis.fuzz.inputs} sets their number.
 */
@Tag("fuzz")
final class DataFuzzTest {
  private static final int INPUTS = Integer.getInteger("precis.fuzz.inputs", 5_000);

  private static final String[] TOKENS = {
    "{",
    "}",
    "[",
    "]",
    "\"",
    ",",
    ":",
    ";",
    "\t",
    "\n",
    "\r",
    "null",
    "NaN",
    "1e999",
    "\\u",
    "\\ud83d",
    "\uFEFF",
    "dialogue",
    "messages",
    "role",
    "content",
    "chosen",
    "rejected",
    "\u0000"
  };

  @TempDir private Path folder;

  private static Map<String, byte[]> seeds() throws IOException {
    Map<String, byte[]> seeds = new LinkedHashMap<>();
    String talk =
        "[{\"role\": \"user\", \"content\": \"Who?\"}, {\"role\": \"assistant\", \"content\":"
            + " \"P\"}]";
    String line =
        "{\"id\": 1, \"dialogue\": \"A: é\\n"
            + "\", \"summary\": [\"s\", \"t\"], \"x\": [1.5, {\"y\": null}]}\n";
    String pair = "{\"chosen\": " + talk + ", \"rejected\": " + talk.replace("P", "N") + "}\n";
    String messages = "{\"messages\": " + talk + "}\n";
    String transcript =
        "{\"chosen\": \"\\n"
            + "\\n"
            + "Human: Q\\n"
            + "\\n"
            + "Assistant: a\", \"rejected\": \"\\n"
            + "\\n"
            + "Human: Q\\n"
            + "\\n"
            + "Assistant: b\"}\n";
    seeds.put("a.jsonl", (line + pair + messages + transcript).getBytes(StandardCharsets.UTF_8));
    seeds.put("b.json", ("[" + line + "," + messages + "]").getBytes(StandardCharsets.UTF_8));
    seeds.put(
        "c.csv",
        "id;dialogue;summary\n1;\"A; \"\"b\"\"\nC\";s\n2;x;y\n".getBytes(StandardCharsets.UTF_8));
    seeds.put("d.tsv", "dialogue\tsummary\nA\tB\n".getBytes(StandardCharsets.UTF_8));
    ByteArrayOutputStream zipped = new ByteArrayOutputStream();
    try (OutputStream out = new GZIPOutputStream(zipped)) {
      out.write(line.repeat(20).getBytes(StandardCharsets.UTF_8));
    }
    seeds.put("e.jsonl.gz", zipped.toByteArray());
    for (String name : new String[] {"stream.arrow", "file.arrow", "lz4.feather"}) {
      seeds.put(name, Files.readAllBytes(Fixtures.resource("dialogues").resolve(name)));
    }
    return seeds;
  }

  private static byte[] damaged(byte[] whole, Random random) {
    byte[] bytes = whole.clone();
    int changes = 1 + random.nextInt(4);
    for (int i = 0; i < changes && bytes.length > 1; i++) {
      int at = random.nextInt(bytes.length);
      switch (random.nextInt(6)) {
        case 0 -> bytes[at] = (byte) random.nextInt();
        case 1 -> bytes[at] ^= (byte) (1 << random.nextInt(8));
        case 2 -> bytes = Arrays.copyOf(bytes, at + 1);
        case 3 -> {
          byte[] token = TOKENS[random.nextInt(TOKENS.length)].getBytes(StandardCharsets.UTF_8);
          byte[] longer = Arrays.copyOf(bytes, bytes.length + token.length);
          System.arraycopy(bytes, at, longer, at + token.length, bytes.length - at);
          System.arraycopy(token, 0, longer, at, token.length);
          bytes = longer;
        }
        case 4 -> { // a number of four bytes at its ends
          int value = random.nextBoolean() ? Integer.MAX_VALUE : random.nextInt(3) - 1;
          for (int j = 0; j < 4 && at + j < bytes.length; j++) {
            bytes[at + j] = (byte) (value >> 8 * j);
          }
        }
        default -> {
          int length = Math.min(random.nextInt(16), bytes.length - at);
          System.arraycopy(bytes, random.nextInt(bytes.length - length + 1), bytes, at, length);
        }
      }
    }
    return bytes;
  }

  @Test
  void damagedInputIsReadOrRefused() throws IOException {
    long seed = Long.getLong("precis.fuzz.seed", System.nanoTime());
    System.out.println("fuzz seed " + seed + ", " + INPUTS + " inputs");
    Random random = new Random(seed);
    Map<String, byte[]> seeds = seeds();
    String[] names = seeds.keySet().toArray(new String[0]);
    int refused = 0;
    for (int i = 0; i < INPUTS; i++) {
      String name = names[i % names.length];
      Path file = Files.write(folder.resolve(name), damaged(seeds.get(name), random));
      BadRows policy = BadRows.values()[random.nextInt(BadRows.values().length)];
      DataOptions options = DataOptions.STRICT.withBadRows(policy);
      int input = i;
      refused +=
          assertTimeoutPreemptively(
              Duration.ofSeconds(30),
              () -> read(file, options),
              () -> "input " + input + " of seed " + seed + " hangs");
    }
    assertTrue(refused > INPUTS / 10, "refused: " + refused);
  }

  private static int read(Path file, DataOptions options) {
    int refused = 0;
    refused += attempt(() -> DialogueReader.read(file, options));
    refused +=
        attempt(
            () -> {
              try (var all = DialogueReader.streamSummarized(file, options)) {
                all.toList();
              }
            });
    refused += attempt(() -> PreferenceReader.readPairs(file, options, pair -> pair));
    refused += attempt(() -> PreferenceReader.readFeedback(file, options, answer -> answer));
    refused += attempt(() -> SummaryReader.read(file, options));
    refused += attempt(() -> TextReader.readLabelled(file, null, options));
    return Math.min(refused, 1);
  }

  private static int attempt(Runnable reading) {
    try {
      reading.run();
      return 0;
    } catch (InvalidInputException e) {
      assertTrue(e.getMessage().lines().count() <= 1, e.getMessage());
      return 1;
    }
  }
}
