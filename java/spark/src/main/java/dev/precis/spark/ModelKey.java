package dev.precis.spark;

import dev.precis.io.InvalidInputException;
import dev.precis.tensor.DType;
import dev.precis.training.Trainable;
import java.io.Serializable;
import java.nio.file.Files;
import java.nio.file.Path;
import org.apache.spark.SparkFiles;

/**
 * What decides how a model is loaded: tasks with the same key share a model.
 *
 * @param adapter folder of an adapter; null: none
 * @param dtype null: the checkpoint's own
 */
record ModelKey(
    String folder, String adapter, DType dtype, String device, int threads, int batchRows)
    implements Serializable {

  /** Names the instruction set and the weights that a model computes with. */
  static String arithmetic(Trainable model, String weightsHash) {
    return model.device().info().isa() + " and " + weightsHash;
  }

  Path modelFolder() {
    return here(folder);
  }

  /**
   * Finds a folder on this executor: at its path, or where Spark unpacked an archive of that name.
   *
   * @throws InvalidInputException if there is none
   */
  static Path here(String folder) {
    Path path = Path.of(folder);
    if (Files.isDirectory(path)) {
      return path;
    }
    Path unpacked = Path.of(SparkFiles.getRootDirectory()).resolve(path);
    if (Files.isDirectory(unpacked)) {
      return unpacked;
    }
    throw new InvalidInputException(
        "%s is no folder on an executor, and no archive of that name was unpacked there: put it on every node, or ship it with --archives"
            .formatted(folder));
  }
}
