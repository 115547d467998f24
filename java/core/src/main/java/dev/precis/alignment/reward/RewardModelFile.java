package dev.precis.alignment.reward;

import dev.precis.io.AtomicFile;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import dev.precis.io.JsonObject;
import dev.precis.text.Tokenizer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import tools.jackson.databind.node.ObjectNode;

/**
 * Input format of a reward model, kept beside its weights in {@code reward.json}. Its scores are
 * valid for this format alone.
 *
 * @param template template of prompt and completion
 * @param tokenizerHash hash of the tokenizer, see {@link Tokenizer#hash}
 */
public record RewardModelFile(RewardTemplate template, String tokenizerHash) {
  private static final String NAME = "reward.json";

  /**
   * Reads the file of a model's folder; empty if there is none, as for classifiers from elsewhere.
   *
   * @throws InvalidInputException where the folder's tokenizer is not the one that the model was
   *     trained with
   */
  public static Optional<RewardModelFile> read(Path folder) {
    Path file = folder.resolve(NAME);
    if (!Files.exists(file)) {
      return Optional.empty();
    }
    JsonObject json = Json.readObject(file);
    RewardModelFile read =
        new RewardModelFile(
            new RewardTemplate(json.text("template")), json.text("tokenizer_sha256"));
    String present = Tokenizer.hash(folder);
    if (!present.equals(read.tokenizerHash)) {
      throw new InvalidInputException(
          "%s: the reward model was trained with the tokenizer %s, but its folder has %s: put the tokenizer's files back"
              .formatted(file, shown(read.tokenizerHash), shown(present)));
    }
    return Optional.of(read);
  }

  private static String shown(String hash) {
    return hash.substring(0, Math.min(12, hash.length()));
  }

  /**
   * Returns the template for a model's folder.
   *
   * @param wanted template to use; null: the model's own, or the completion alone
   * @throws InvalidInputException where the model was trained with another template
   */
  public static RewardTemplate template(Path folder, RewardTemplate wanted) {
    RewardTemplate own = read(folder).map(RewardModelFile::template).orElse(null);
    if (own == null) {
      return wanted == null ? RewardTemplate.COMPLETION : wanted;
    }
    if (wanted != null && !wanted.equals(own)) {
      throw new InvalidInputException(
          "%s was trained to read \"%s\", not \"%s\": leave the template out"
              .formatted(folder, shown(own), shown(wanted)));
    }
    return own;
  }

  private static String shown(RewardTemplate template) {
    return template.text().replace("\n", "\\n");
  }

  /** Writes the file into a model's folder. */
  public void write(Path folder) {
    ObjectNode json = Json.mapper().createObjectNode();
    json.put("template", template.text());
    json.put("tokenizer_sha256", tokenizerHash);
    AtomicFile.writeText(folder.resolve(NAME), json.toPrettyString() + "\n");
  }
}
