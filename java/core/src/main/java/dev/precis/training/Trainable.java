package dev.precis.training;

import dev.precis.checkpoint.ModelFolder;
import dev.precis.checkpoint.SafeTensors;
import dev.precis.device.Device;
import dev.precis.device.DeviceOptions;
import dev.precis.io.InvalidInputException;
import dev.precis.layers.Parameters;
import dev.precis.layers.Parameters.Parameter;
import dev.precis.ops.Ops;
import dev.precis.tensor.DType;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;

/**
 * A model that a {@link TrainingLoop} can train. It owns a context on its device, and everything
 * that is allocated there until {@link #close}.
 *
 * <p>Not thread-safe.
 */
public abstract class Trainable implements AutoCloseable {
  private final Path folder;
  private final DType dtype;
  private final Ops ops;
  private final Arena arena = Arena.ofShared();

  /**
   * Opens the device.
   *
   * @param folder of the model
   * @param dtype of matrix products: float32 or bfloat16
   * @throws InvalidInputException where the type is another one
   */
  Trainable(Path folder, DType dtype, DeviceOptions device) {
    requireTrainingType(dtype);
    this.folder = folder;
    this.dtype = dtype;
    ops = Ops.open(device);
  }

  static void requireTrainingType(DType dtype) {
    if (dtype != DType.FLOAT32 && dtype != DType.BFLOAT16) {
      throw new InvalidInputException("Training is in float32 or bfloat16, not " + dtype + ".");
    }
  }

  /** Completes a model; one that cannot be completed is closed. */
  static <M extends Trainable> M built(M model, Consumer<M> building) {
    try {
      building.accept(model);
      model.ops().release();
      return model;
    } catch (RuntimeException | Error e) {
      model.close();
      throw e;
    }
  }

  /** Returns the folder that the model was loaded from. */
  public final Path folder() {
    return folder;
  }

  /** Returns the type of the operands of matrix products. */
  public final DType dtype() {
    return dtype;
  }

  /** Returns the model's device. */
  public final Device device() {
    return ops.device();
  }

  /** Returns the operations on the model's device. */
  public final Ops ops() {
    return ops;
  }

  /** Returns the owner of the model's memory. */
  final Arena arena() {
    return arena;
  }

  /** Returns the parameters that are trained. */
  public abstract Parameters parameters();

  /** Returns the bytes of the packed weights. */
  public abstract long weightBytes();

  /** Packs the weights again after the parameters changed. */
  public abstract void update();

  /** Returns the name of the result's folder in a run. */
  public String resultName() {
    return "model";
  }

  /** Returns the file of the result's folder that holds the parameters. */
  public String weightsFile() {
    return "model.safetensors";
  }

  /** Returns the name that a parameter has in that file. */
  public String tensorName(String parameter) {
    return parameter;
  }

  /** Writes the trained weights as a folder that other programs read. */
  public final void write(Path to) {
    write(to, List.of());
  }

  /**
   * Writes the trained weights, and further parameters into the same file.
   *
   * @param extra parameters such as a value head's
   */
  public void write(Path to, List<Parameter> extra) {
    ModelFolder.copyCompanions(folder, to);
    List<SafeTensors.Source> tensors = new ArrayList<>();
    parameters().all().forEach(parameter -> tensors.add(parameter.source()));
    extra.forEach(parameter -> tensors.add(parameter.source()));
    SafeTensors.writeSources(to.resolve(weightsFile()), tensors, Map.of("format", "pt"));
  }

  @Override
  public void close() {
    if (arena.scope().isAlive()) {
      arena.close();
      ops.close();
    }
  }
}
