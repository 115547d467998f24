package dev.precis.training;

import dev.precis.checkpoint.Checkpoint;
import dev.precis.checkpoint.SafeTensors;
import dev.precis.checkpoint.TensorView;
import dev.precis.io.AtomicFile;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import dev.precis.io.JsonObject;
import dev.precis.layers.Parameters.Parameter;
import dev.precis.tensor.DType;
import dev.precis.tensor.Tensor;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import tools.jackson.databind.node.ObjectNode;

/**
 * Saves and loads everything that a run needs to continue bitwise identically. A checkpoint holds
 * the trained weights as other programs read them, {@code optimizer.safetensors} with the
 * optimizers' state, {@code state.json} with the position of the run, and {@code SHA256SUMS} with
 * the checksums of them all.
 */
public final class RunState {
  private static final String OPTIMIZERS = "optimizer.safetensors";
  private static final String POSITION = "state.json";

  private final RunFolder run;
  private final Trainable model;
  private final List<Parameter> extra;
  private final Map<String, Optimizer> optimizers;

  /**
   * Creates the state of a run; nothing is read or written yet.
   *
   * @param run the caller owns it and must close it
   * @param extra parameters that are trained beside the model's, such as a value head's
   * @param optimizers by the prefix that their tensors' names have in a checkpoint
   */
  public RunState(
      RunFolder run, Trainable model, List<Parameter> extra, Map<String, Optimizer> optimizers) {
    this.run = run;
    this.model = model;
    this.extra = List.copyOf(extra);
    this.optimizers = new LinkedHashMap<>(optimizers);
  }

  private Map<String, Tensor> optimizerState() {
    Map<String, Tensor> all = new LinkedHashMap<>();
    optimizers.forEach(
        (prefix, optimizer) ->
            optimizer.state().forEach((name, tensor) -> all.put(prefix + name, tensor)));
    return all;
  }

  /**
   * Writes a checkpoint atomically.
   *
   * @param position writes what else the run must know to continue after this step
   */
  public void save(long step, Consumer<ObjectNode> position) {
    run.checkpoint(
        step,
        folder -> {
          model.write(folder.resolve(model.resultName()), extra);
          List<SafeTensors.Source> state = new ArrayList<>();
          optimizerState()
              .forEach(
                  (name, tensor) ->
                      state.add(
                          new SafeTensors.Source(
                              name, DType.FLOAT32, new long[] {tensor.dim(0)}, tensor::toHost)));
          SafeTensors.writeSources(folder.resolve(OPTIMIZERS), state, Map.of());
          ObjectNode json = Json.mapper().createObjectNode();
          json.put("step", step);
          position.accept(json);
          AtomicFile.writeText(folder.resolve(POSITION), json.toPrettyString() + "\n");
          Checksums.write(folder, POSITION);
        });
  }

  /**
   * Loads the newest checkpoint that is not damaged, if there is one, and removes what a killed
   * process left half-written or logged after it.
   *
   * @param restore takes over the run's position, as {@link #save} wrote it; it is not called where
   *     the run starts from the beginning
   * @throws InvalidInputException where there are checkpoints, and none can be used
   */
  public void resume(Consumer<JsonObject> restore) {
    run.removeLeftovers();
    List<Long> damaged = new ArrayList<>();
    String reason = "";
    for (long step : run.checkpoints().reversed()) {
      try {
        restore.accept(load(step));
      } catch (InvalidInputException e) {
        reason = damaged.isEmpty() ? e.getMessage() : reason;
        damaged.add(step);
        continue;
      }
      if (!damaged.isEmpty()) {
        run.note(
            "The checkpoint of step %,d cannot be used (%s): the run continues from that of step %,d."
                .formatted(damaged.getFirst(), reason, step));
        damaged.forEach(run::removeCheckpoint);
      }
      run.openMetrics(step);
      return;
    }
    if (!damaged.isEmpty()) {
      throw new InvalidInputException(
          "No checkpoint of %s can be used (%s): start a new run in another --output"
              .formatted(run.folder(), reason));
    }
    run.openMetrics(0);
  }

  /**
   * Loads a checkpoint.
   *
   * @return the run's position, as {@link #save} wrote it
   * @throws InvalidInputException where it is damaged or another run's
   */
  public JsonObject load(long step) {
    Path folder = run.checkpointPath(step);
    loadWeights(step);
    try (Checkpoint state = Checkpoint.openFile(folder.resolve(OPTIMIZERS))) {
      optimizerState().forEach((name, tensor) -> copy(state.get(name), tensor, folder));
    }
    JsonObject position = Json.readObject(folder.resolve(POSITION));
    position.whole("step", step, step);
    return position;
  }

  /**
   * Loads the weights of a checkpoint alone.
   *
   * @throws InvalidInputException where it is damaged or another run's
   */
  public void loadWeights(long step) {
    Path folder = run.checkpointPath(step);
    Checksums.verify(folder, POSITION);
    Path file = folder.resolve(model.resultName()).resolve(model.weightsFile());
    try (Checkpoint saved = Checkpoint.openFile(file)) {
      for (Parameter parameter : model.parameters().all()) {
        String name = model.tensorName(parameter.name());
        copy(saved.get(name), parameter.value(), folder);
      }
      for (Parameter parameter : extra) {
        copy(saved.get(parameter.name()), parameter.value(), folder);
      }
    }
    model.update();
  }

  /** Writes the run's result: the trained weights as they are now. */
  public void writeResult() {
    run.result(model.resultName(), folder -> model.write(folder, extra));
  }

  private static void copy(TensorView from, Tensor to, Path folder) {
    if (from.dtype() != DType.FLOAT32 || from.data().byteSize() != to.address().byteSize()) {
      throw new InvalidInputException(
          folder + ": " + from + " does not fit this run: the checkpoint is another run's");
    }
    to.write(memory -> memory.copyFrom(from.data()));
  }
}
