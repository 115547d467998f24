package dev.precis.spark;

import dev.precis.alignment.reward.PairExample;
import dev.precis.alignment.reward.RewardModelFile;
import dev.precis.alignment.reward.RewardTemplate;
import dev.precis.alignment.reward.RewardTrainer;
import dev.precis.device.DeviceOptions;
import dev.precis.io.FileDigest;
import dev.precis.tensor.DType;
import dev.precis.text.Tokenizer;
import dev.precis.training.GradientExchange;
import dev.precis.training.RunFolder;
import dev.precis.training.Trainable;
import dev.precis.training.TrainableEncoder;
import dev.precis.training.TrainingLoop;
import dev.precis.training.TrainingOptions;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import tools.jackson.databind.node.ObjectNode;

/**
 * Trains a reward model, all weights of a RoBERTa with one logit, on preference pairs. The result
 * is {@code model} in the run.
 *
 * @param model the model's folder on every executor, or an archive's name
 * @param template that the examples were made with, as text: the result says so
 * @param dtype of the operands of matrix products: float32 or bfloat16
 * @param dropout rate of all layers; NaN: the configuration's
 * @param centering coefficient of the centering; 0: off
 * @param training pairs, as {@link dev.precis.alignment.reward.RewardExamples} makes them
 * @param evaluation pairs that each task evaluates on; may be empty
 */
public record RewardRecipe(
    String model,
    String template,
    TrainingOptions options,
    DType dtype,
    float dropout,
    double centering,
    List<PairExample> training,
    List<PairExample> evaluation)
    implements TrainingRecipe {

  /** Copies the lists. */
  public RewardRecipe {
    training = List.copyOf(training);
    evaluation = List.copyOf(evaluation);
  }

  @Override
  public ObjectNode config() {
    ObjectNode json = options.toJson();
    json.put("method", "reward");
    json.put("model", model);
    json.put("template", template);
    json.put("dtype", dtype.name().toLowerCase(Locale.ROOT));
    json.put("dropout", Float.toString(dropout));
    json.put("centering", centering);
    json.put("examples_sha256", hash(training));
    json.put("evaluation_sha256", hash(evaluation));
    return json;
  }

  private static String hash(List<PairExample> examples) {
    FileDigest digest = FileDigest.sha256();
    for (PairExample each : examples) {
      digest.add(Arrays.toString(each.chosen()));
      digest.add(Arrays.toString(each.rejected()));
      digest.add(Double.toString(each.margin()));
    }
    return digest.hex();
  }

  @Override
  public Trainable load(Path folder, DeviceOptions device) {
    RewardModelFile file =
        new RewardModelFile(new RewardTemplate(template), Tokenizer.hash(folder));
    return TrainableEncoder.of(
        folder,
        new TrainableEncoder.Options(
            List.of("reward"), dtype, dropout, options.seed(), file::write),
        device);
  }

  @Override
  public TrainingLoop loop(Trainable roberta, RunFolder run, GradientExchange exchange) {
    RewardTrainer trainer =
        new RewardTrainer(
            (TrainableEncoder) roberta, options, training, evaluation, centering, run);
    trainer.share(exchange);
    return trainer;
  }
}
