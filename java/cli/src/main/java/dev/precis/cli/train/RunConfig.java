package dev.precis.cli.train;

import dev.precis.checkpoint.ModelFolder;
import dev.precis.cli.common.BaseCommand;
import dev.precis.cli.options.DistillationFlags;
import dev.precis.cli.options.EvalMetricOptions;
import dev.precis.cli.options.PromptOptions;
import dev.precis.cli.options.ReadOptions;
import dev.precis.cli.options.RunTarget;
import dev.precis.data.DataFiles;
import dev.precis.data.DataListener;
import dev.precis.evaluation.Rouge;
import dev.precis.io.FileDigest;
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

  /** Adds data, with the hash of its contents and how it is read; nothing for null. */
  public RunConfig data(String key, ReadOptions.Data data, ReadOptions reading) {
    return data(key, data, reading, key + "_sha256");
  }

  /** Adds data, with the hash of its contents under a name of its own. */
  public RunConfig data(String key, ReadOptions.Data data, ReadOptions reading, String hashKey) {
    if (data == null) {
      return this;
    }
    json.put(key, data.given().toString());
    DataFiles files = DataFiles.of(data.path(), data.options().withListener(DataListener.NONE));
    if (Files.isDirectory(data.path())) {
      FileDigest digest = FileDigest.sha256();
      files.files().forEach(file -> digest.add(file.getFileName().toString()).add(file));
      json.put(hashKey, digest.hex());
    } else {
      json.put(hashKey, ModelFolder.fileHash(regular(data.path())));
    }
    if (files.split() != null) {
      json.put(key + "_split", files.split());
    }
    if (reading.onBadRow() != null) {
      json.put("on_bad_row", reading.onBadRow());
    }
    reading
        .findings(data.given())
        .forEach((name, value) -> json.set(key + "_" + name, Json.mapper().valueToTree(value)));
    return this;
  }

  /**
   * Returns the file or the folder of files.
   *
   * @throws InvalidInputException where it is a pipe
   */
  public static Path regular(Path file) {
    if (Files.exists(file) && !Files.isRegularFile(file) && !Files.isDirectory(file)) {
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
    if (!lora.modulesToSave().isEmpty()) {
      put("modules_to_save", lora.modulesToSave());
    }
    return put("target_modules", lora.targetModules());
  }

  /** Adds all options of a trainer. */
  public RunConfig options(ObjectNode options) {
    json.setAll(options);
    return this;
  }

  /** Adds the teacher and how a model learns from it; nothing where there is none. */
  public RunConfig distillation(DistillationFlags flags) {
    if (!flags.given()) {
      return this;
    }
    return inner(
        "distillation",
        inner -> {
          List<String> names = flags.names();
          inner.weights("teacher", names.getFirst());
          for (int i = 1; i < names.size(); i++) {
            inner.weights(i == 1 ? "teacher_adapter" : "teacher_adapter_" + i, names.get(i));
          }
          inner.options(flags.options(command).toJson());
        });
  }

  /** Adds how evaluations are compared, where that is not by their loss. */
  public RunConfig evalMetric(Rouge.Metric metric, EvalMetricOptions options) {
    if (metric == null) {
      return this;
    }
    return put("eval_metric", metric.id())
        .put("eval_max_new_tokens", options.maxNewTokens())
        .put("eval_limit", options.limit());
  }

  /** Begins the run, or resumes it. A new run that fails before its first step leaves nothing. */
  public RunFolder open(RunTarget run) {
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
