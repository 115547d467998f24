package dev.precis.heads;

import dev.precis.checkpoint.TensorView;
import dev.precis.io.InvalidInputException;
import dev.precis.layers.Linear;
import dev.precis.layers.Parameters;
import dev.precis.layers.Parameters.Parameter;
import dev.precis.layers.Part;
import dev.precis.layers.TransposedWeights;
import dev.precis.ops.Ops;
import dev.precis.ops.PackedMatrix;
import dev.precis.ops.Tape;
import dev.precis.ops.Variable;
import dev.precis.ops.Weight;
import dev.precis.random.SplitMix64;
import dev.precis.tensor.DType;
import dev.precis.tensor.Tensor;
import dev.precis.tensor.Workspace;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;

/**
 * The critic on a policy's decoder: {@code value = hidden w' + b}, one number for each token. It
 * reads the decoder's normalised output, as TRL's does, and has TRL's names: {@code
 * v_head.summary.weight} and {@code v_head.summary.bias}. Always in float32.
 */
public final class ValueHead {
  private static final String PREFIX = "v_head.summary.";

  private final Ops ops;
  private final Parameters parameters;
  private final Linear linear;

  /**
   * Makes a head with PyTorch's initial values for a linear layer: uniform in +-1/sqrt(dModel).
   *
   * @param owner frees it
   */
  public ValueHead(int dModel, Ops ops, Arena owner, long seed) {
    this.ops = ops;
    Map<String, long[]> shapes = new LinkedHashMap<>();
    shapes.put(PREFIX + "weight", new long[] {1, dModel});
    shapes.put(PREFIX + "bias", new long[] {1});
    parameters = new Parameters(shapes, ops, owner);
    Parameter weight = parameters.find(PREFIX + "weight");
    Parameter bias = parameters.find(PREFIX + "bias");
    SplitMix64 random = new SplitMix64(SplitMix64.mix(seed, 0x76616c7565L));
    double bound = 1 / Math.sqrt(dModel);
    for (Parameter parameter : parameters.all()) {
      parameter
          .value()
          .write(
              to -> {
                for (long i = 0; i < parameter.elements(); i++) {
                  float value = (float) ((2 * random.uniform() - 1) * bound);
                  to.setAtIndex(ValueLayout.JAVA_FLOAT, i, value);
                }
              });
    }
    PackedMatrix w = ops.pack(owner, DType.FLOAT32, List.of(weight.value()));
    TransposedWeights transposed = new TransposedWeights(ops, owner);
    transposed.makeRoomFor(w, false);
    linear = new Linear(w, transposed, List.of(new Part("v_head.summary", 0, 1)));
    linear.train(List.of(weight));
    linear.addBiases(List.of(new Weight(bias.value(), bias.gradient())));
  }

  /**
   * Takes saved values, where there are any.
   *
   * @param saved finds {@code weight} and {@code bias}
   * @return whether there were
   * @throws InvalidInputException where only one of them is there, or of another size
   */
  public boolean read(Function<String, Optional<TensorView>> saved) {
    int found = 0;
    for (Parameter parameter : parameters.all()) {
      Optional<TensorView> view = saved.apply(parameter.name().substring(PREFIX.length()));
      if (view.isPresent()) {
        if (view.get().elements() != parameter.elements()) {
          throw new InvalidInputException(
              view.get()
                  + " does not fit this model's value head: it was saved with another model");
        }
        parameter.value().write(view.get()::toFloat32);
        found++;
      }
    }
    if (found == 1) {
      throw new InvalidInputException(
          "Only one of " + PREFIX + "weight and " + PREFIX + "bias was saved: the file is damaged");
    }
    update();
    return found == 2;
  }

  /** Returns the trainable parameters. */
  public Parameters parameters() {
    return parameters;
  }

  /** Brings what is packed up to date after the parameters changed. */
  public void update() {
    Linear.update(List.of(linear), ops);
  }

  /**
   * Computes the values of tokens.
   *
   * @param hidden (tokens, dModel), of the decoder
   * @return (tokens, 1) float32
   */
  public Tensor values(Tensor hidden, Workspace workspace) {
    Tape tape = Tape.inference(ops, workspace);
    return values(tape, tape.constant(hidden)).value();
  }

  /**
   * Computes the values of tokens on a tape.
   *
   * @param hidden (tokens, dModel), of the decoder
   * @return (tokens, 1) float32, as is its gradient
   */
  public Variable values(Tape tape, Variable hidden) {
    return linear.apply(tape, hidden, DType.FLOAT32);
  }
}
