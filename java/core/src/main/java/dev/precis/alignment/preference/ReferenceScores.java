package dev.precis.alignment.preference;

import dev.precis.alignment.Reference;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import dev.precis.io.Reason;
import dev.precis.training.RunFolder;
import dev.precis.training.TrainableT5;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;
import java.util.function.IntPredicate;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * Computes the reference's log-probabilities of all completions once, and keeps them in the run
 * folder for a resumed run. The file's first line identifies the weights, the token ids and the
 * arithmetic that its numbers come from; if they differ, the file is recomputed. Each further line
 * is one example's; reading ends at a line that a kill or a full disk cut short.
 */
final class ReferenceScores {
  private static final String FILE = "reference.jsonl";
  private static final String KEY = "key";
  private static final String EXAMPLE = "example";
  private static final String SCORES = "log_probabilities";

  private ReferenceScores() {}

  /**
   * Returns the scores of all items, read from the run folder or computed.
   *
   * @param goOn receives the number of finished items, and returns false to stop
   * @return for each item, those of its completions; null if it was stopped
   * @throws InvalidInputException where one is not finite
   */
  static double[][] of(
      RunFolder run,
      TrainableT5 t5,
      CompletionScorer scorer,
      Reference reference,
      List<TokenizedPair> items,
      int batchSize,
      IntPredicate goOn) {
    Path file = run.folder().resolve(FILE);
    String key = key(t5, reference, items);
    double[][] scores = new double[items.size()][];
    try (FileChannel channel =
        FileChannel.open(
            file, StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
      int done = read(channel, key, scores);
      while (goOn.test(done)) {
        if (done == scores.length) {
          return scores;
        }
        List<TokenizedPair> batch = items.subList(done, Math.min(scores.length, done + batchSize));
        StringBuilder lines = new StringBuilder();
        for (double[] each : scorer.reference(reference, batch, 0, 2)) {
          if (!Double.isFinite(each[0]) || !Double.isFinite(each[1])) {
            throw new InvalidInputException(
                "The reference "
                    + reference.name()
                    + " gives a completion of example "
                    + (done + 1)
                    + " a log-probability that is not a number: its weights are damaged");
          }
          scores[done++] = each;
          ObjectNode line = Json.mapper().createObjectNode().put(EXAMPLE, done);
          line.putArray(SCORES).add(each[0]).add(each[1]);
          lines.append(line).append('\n');
        }
        append(channel, lines.toString());
      }
      return null;
    } catch (IOException e) {
      throw new UncheckedIOException("Cannot write " + file + ": " + Reason.of(e), e);
    }
  }

  private static String key(TrainableT5 t5, Reference reference, List<TokenizedPair> items) {
    try {
      MessageDigest digest = MessageDigest.getInstance("SHA-256");
      for (TokenizedPair item : items) {
        add(digest, item.source());
        for (int[] answer : item.answers()) {
          add(digest, answer);
        }
      }
      return "%s %s %s %s"
          .formatted(
              reference.hash(),
              HexFormat.of().formatHex(digest.digest()),
              t5.dtype(),
              t5.ops().isa());
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("Every Java has SHA-256", e);
    }
  }

  private static void add(MessageDigest digest, int[] tokens) {
    ByteBuffer bytes = ByteBuffer.allocate(4 + tokens.length * 4).putInt(tokens.length);
    for (int token : tokens) {
      bytes.putInt(token);
    }
    digest.update(bytes.flip());
  }

  private static void append(FileChannel channel, String lines) throws IOException {
    ByteBuffer bytes = ByteBuffer.wrap(lines.getBytes(StandardCharsets.UTF_8));
    while (bytes.hasRemaining()) {
      channel.write(bytes);
    }
  }

  /**
   * Reads the scores that the file has for this key; the rest is truncated.
   *
   * @return their number
   */
  private static int read(FileChannel channel, String key, double[][] scores) throws IOException {
    ByteBuffer bytes = ByteBuffer.allocate(Math.toIntExact(channel.size()));
    while (bytes.hasRemaining() && channel.read(bytes) >= 0) {}
    String text = new String(bytes.array(), 0, bytes.position(), StandardCharsets.ISO_8859_1);
    int begin = 0;
    int done = -1;
    for (int end; (end = text.indexOf('\n', begin)) >= 0; begin = end + 1) {
      String line = text.substring(begin, end);
      if (done < 0
          ? !line.equals(first(key))
          : done == scores.length || !read(line, scores, done)) {
        break;
      }
      done++;
    }
    // The bytes of a line are its characters.
    channel.truncate(begin).position(begin);
    if (done < 0) {
      append(channel, first(key) + "\n");
    }
    return Math.max(done, 0);
  }

  private static String first(String key) {
    return Json.mapper().createObjectNode().put(KEY, key).toString();
  }

  /** Reads the line of an item; returns false if it is incomplete. */
  private static boolean read(String line, double[][] scores, int item) {
    try {
      ObjectNode node = Json.parseObject(line, "the line").node();
      JsonNode both = node.path(SCORES);
      if (node.path(EXAMPLE).asInt(0) != item + 1
          || both.size() != 2
          || !both.get(0).isNumber()
          || !both.get(1).isNumber()) {
        return false;
      }
      scores[item] = new double[] {both.get(0).doubleValue(), both.get(1).doubleValue()};
      return true;
    } catch (InvalidInputException e) {
      return false;
    }
  }
}
