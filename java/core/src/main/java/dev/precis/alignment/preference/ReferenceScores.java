package dev.precis.alignment.preference;

import dev.precis.InvalidInputException;
import dev.precis.alignment.Reference;
import dev.precis.checkpoint.Json;
import dev.precis.checkpoint.JsonObject;
import dev.precis.training.RunFolder;
import dev.precis.training.TrainableT5;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;
import java.util.function.IntPredicate;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * What the reference gives to all answers, computed once and kept in the run's folder for when it
 * is resumed. The file names the weights, the token ids and the arithmetic that its numbers come
 * from; those of anything else are computed anew.
 */
final class ReferenceScores {
  private static final String FILE = "reference.json";

  private ReferenceScores() {}

  /**
   * The scores of all items, from the run's folder or computed.
   *
   * @param goOn hears how many items are done, and says whether to go on
   * @return for each item, those of its answers; null where it was not to go on
   * @throws InvalidInputException where one is not a number
   */
  static double[][] of(
      RunFolder run,
      TrainableT5 t5,
      AnswerScorer scorer,
      Reference reference,
      List<Item> items,
      int batchSize,
      IntPredicate goOn) {
    String key = key(t5, reference, items);
    Path file = run.folder().resolve(FILE);
    double[][] kept = read(file, key, items.size());
    if (kept != null) {
      return kept;
    }
    double[][] scores = new double[items.size()][];
    for (int at = 0; at < items.size(); at += batchSize) {
      if (!goOn.test(at)) {
        return null;
      }
      List<Item> batch = items.subList(at, Math.min(items.size(), at + batchSize));
      double[][] some = scorer.reference(reference, batch, 0, 2);
      for (int i = 0; i < some.length; i++) {
        if (!Double.isFinite(some[i][0]) || !Double.isFinite(some[i][1])) {
          throw new InvalidInputException(
              "The reference "
                  + reference.name()
                  + " gives an answer of example "
                  + (at + i + 1)
                  + " a log-probability that is not a number: its weights are damaged");
        }
        scores[at + i] = some[i];
      }
    }
    goOn.test(items.size());
    write(run, key, scores);
    return scores;
  }

  private static String key(TrainableT5 t5, Reference reference, List<Item> items) {
    try {
      MessageDigest digest = MessageDigest.getInstance("SHA-256");
      for (Item item : items) {
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
              t5.context().info().isa());
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

  private static void write(RunFolder run, String key, double[][] scores) {
    ObjectNode json = Json.mapper().createObjectNode();
    json.put("key", key);
    ArrayNode all = json.putArray("log_probabilities");
    for (double[] each : scores) {
      all.addArray().add(each[0]).add(each[1]);
    }
    run.write(FILE, json + "\n");
  }

  private static double[][] read(Path file, String key, int items) {
    if (!Files.exists(file)) {
      return null;
    }
    JsonObject json = Json.readObject(file);
    JsonNode all = json.node().get("log_probabilities");
    if (!json.optionalText("key").orElse("").equals(key) || all == null || all.size() != items) {
      return null;
    }
    double[][] scores = new double[items][2];
    for (int i = 0; i < items; i++) {
      for (int j = 0; j < 2; j++) {
        JsonNode value = all.get(i).get(j);
        if (value == null || !value.isNumber()) {
          return null;
        }
        scores[i][j] = value.doubleValue();
      }
    }
    return scores;
  }
}
