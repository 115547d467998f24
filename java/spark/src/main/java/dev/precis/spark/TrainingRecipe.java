package dev.precis.spark;

import dev.precis.device.DeviceOptions;
import dev.precis.training.GradientExchange;
import dev.precis.training.RunFolder;
import dev.precis.training.Trainable;
import dev.precis.training.TrainingLoop;
import dev.precis.training.TrainingOptions;
import java.io.Serializable;
import java.nio.file.Path;
import tools.jackson.databind.node.ObjectNode;

/** Everything that a task needs to know to train: the model, the options and the examples. */
public sealed interface TrainingRecipe extends Serializable permits LoraRecipe, RewardRecipe {
  /** Returns the model's folder on every executor, see {@link ModelTransformer#model}. */
  String model();

  /** Returns the options of the run. */
  TrainingOptions options();

  /** Returns everything that the run's numbers depend on. */
  ObjectNode config();

  /** Loads the model to be trained. */
  Trainable load(Path folder, DeviceOptions device);

  /** Prepares the run of a model that {@link #load} returned. */
  TrainingLoop loop(Trainable model, RunFolder run, GradientExchange exchange);
}
