package dev.precis.cli.train;

import dev.precis.checkpoint.ModelFolder;
import dev.precis.cli.common.BaseCommand;
import dev.precis.cli.options.PromptOptions;
import dev.precis.cli.options.RunOptions;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import dev.precis.lora.LoraConfig;
import dev.precis.training.RunFolder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.function.Consumer;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * Writes the {@code config.json} of a run: everything that decides what the run does, defaults
 * included. A run is resumed only where this is the same, so a key is never renamed, and a newer
 * option is written only where it changes something.
 */
public final class RunConfig {
  private final BaseCommand command;
  private final ObjectNode json = Json.mapper().createObjectNode();

  public RunConfig(BaseCommand command) {
    this.command = command;
  }

  public RunConfig put(String key, String value) {
    json.put(key, value);
    return this;
  }

  public RunConfig put(String key, long value) {
    json.put(key, value);
    return this;
  }

  public RunConfig put(String key, double value) {
    json.put(key, value);
    return this;
  }

  public RunConfig put(String key, boolean value) {
    json.put(key, value);
    return this;
  }

  public RunConfig put(String key, List<String> values) {
    ArrayNode all = json.putArray(key);
    values.forEach(all::add);
    return this;
  }

  /** Adds a model, an adapter or a classifier, with the hash of its weights. */
  public RunConfig weights(String key, String name) {
    json.put(key, name);
    json.put(key + "_sha256", ModelFolder.weightsHash(command.resolve(name)));
    return this;
  }

  /** Adds a file, with the hash of its contents; nothing for null. */
  public RunConfig file(String key, Path file) {
    return file(key, file, key + "_sha256");
  }

  /** Adds a file, with the hash of its contents under a name of its own. */
  public RunConfig file(String key, Path file, String hashKey) {
    if (file != null) {
      json.put(key, file.toString());
      json.put(hashKey, ModelFolder.fileHash(regular(file)));
    }
    return this;
  }

  /**
   * Returns the file.
   *
   * @throws InvalidInputException where it is a pipe or a folder
   */
  public static Path regular(Path file) {
    if (!Files.isRegularFile(file)) {
      throw new InvalidInputException(file + " must be a regular file: a run reads it repeatedly");
    }
    return file;
  }

  /** Adds the type that the run trains in. */
  public RunConfig dtype() {
    return put("dtype", command.common().trainingType().name().toLowerCase(Locale.ROOT));
  }

  /** Adds the dropout of the model; null: the one in the model's config.json. */
  public RunConfig dropout(Float dropout) {
    return dropout == null ? put("dropout", "config.json") : put("dropout", decimal(dropout));
  }

  /** Adds how dialogues become prompts. */
  public RunConfig prompts(PromptOptions prompts) {
    put("template", prompts.hasTemplate() ? prompts.template().text() : "default");
    return put("max_source_length", prompts.maxSourceLength());
  }

  /** Adds what describes an adapter. */
  public RunConfig lora(Consumer<RunConfig> adapter) {
    return inner("lora", adapter);
  }

  /** Adds an object of its own. */
  public RunConfig inner(String key, Consumer<RunConfig> content) {
    RunConfig inner = new RunConfig(command);
    content.accept(inner);
    json.set(key, inner.json);
    return this;
  }

  /** Adds the shape of a new adapter. */
  public RunConfig shape(LoraConfig lora) {
    put("rank", lora.rank());
    put("alpha", decimal(lora.alpha()));
    return put("target_modules", lora.targetModules());
  }

  /** Adds all options of a trainer. */
  public RunConfig options(ObjectNode options) {
    json.setAll(options);
    return this;
  }

  /** Begins the run, or resumes it. A new run that fails before its first step leaves nothing. */
  public RunFolder open(RunOptions run) {
    RunFolder opened =
        run.resume()
            ? RunFolder.resume(run.output(), json)
            : RunFolder.create(run.output(), json).discardUnlessBegun();
    return opened.notes(command::note);
  }

  /**
   * Makes sure, once a run is over, that its result belongs to the model it started from.
   *
   * @throws InvalidInputException where the model is not what it was
   */
  public static void checkModelUnchanged(Path run, Path model) {
    String before = Json.readObject(run.resolve("config.json")).text("model_sha256");
    if (!before.equals(ModelFolder.weightsHash(model))) {
      throw new InvalidInputException(
          model + " changed during the run: the result does not belong to it");
    }
  }

  /** Returns the shortest decimal that is this float, so that 0.05 is written as 0.05. */
  public static double decimal(float value) {
    return Double.parseDouble(Float.toString(value));
  }
}
