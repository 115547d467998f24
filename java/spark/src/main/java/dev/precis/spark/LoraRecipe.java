package dev.precis.spark;

import dev.precis.device.DeviceOptions;
import dev.precis.io.FileDigest;
import dev.precis.lora.LoraConfig;
import dev.precis.tensor.DType;
import dev.precis.text.PromptTemplate;
import dev.precis.text.Tokenizer;
import dev.precis.training.Example;
import dev.precis.training.GradientExchange;
import dev.precis.training.RunFolder;
import dev.precis.training.Trainable;
import dev.precis.training.TrainableT5;
import dev.precis.training.Trainer;
import dev.precis.training.TrainingLoop;
import dev.precis.training.TrainingOptions;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import tools.jackson.databind.node.ObjectNode;

/**
 * Trains new LoRA adapters on a T5. The result, a PEFT folder, is {@code adapter} in the run.
 *
 * @param model the model's folder on every executor, or an archive's name
 * @param dtype of the frozen weights: float32 or bfloat16
 * @param dropout rate of the model itself; NaN: the configuration's
 * @param evaluation examples that each task evaluates on; may be empty
 */
public record LoraRecipe(
    String model,
    LoraConfig lora,
    TrainingOptions options,
    DType dtype,
    float dropout,
    List<Example> training,
    List<Example> evaluation)
    implements TrainingRecipe {

  /** Copies the lists. */
  public LoraRecipe {
    training = List.copyOf(training);
    evaluation = List.copyOf(evaluation);
  }

  /**
   * Tokenizes the rows of a frame, in its order: sort it where that is not the order of files.
   *
   * @param source column of the texts that prompts are made of
   * @param target column of the texts that the model should generate
   * @throws dev.precis.io.InvalidInputException if a column is none of text, or a row has a null
   */
  public static List<Example> examples(
      Dataset<Row> rows,
      String source,
      String target,
      PromptTemplate template,
      Tokenizer tokenizer) {
    return Columns.texts("LoraRecipe", rows, source, target).stream()
        .map(
            row ->
                new Example(
                    tokenizer.encode(template.fill(row.getString(0))),
                    tokenizer.encode(row.getString(1))))
        .toList();
  }

  @Override
  public ObjectNode config() {
    ObjectNode json = options.toJson();
    json.put("method", "lora");
    json.put("model", model);
    json.put("dtype", dtype.name().toLowerCase(Locale.ROOT));
    json.put("dropout", Float.toString(dropout));
    json.put("lora", lora.toString());
    json.put("examples_sha256", hash(training));
    json.put("evaluation_sha256", hash(evaluation));
    return json;
  }

  private static String hash(List<Example> examples) {
    FileDigest digest = FileDigest.sha256();
    for (Example each : examples) {
      digest.add(Arrays.toString(each.source()));
      digest.add(Arrays.toString(each.target()));
    }
    return digest.hex();
  }

  @Override
  public Trainable load(Path folder, DeviceOptions device) {
    return TrainableT5.lora(folder, lora, dtype, dropout, options.seed(), device);
  }

  @Override
  public TrainingLoop loop(Trainable t5, RunFolder run, GradientExchange exchange) {
    Trainer trainer = new Trainer((TrainableT5) t5, options, training, evaluation, run);
    trainer.share(exchange);
    return trainer;
  }
}
