package dev.precis.layers;

import dev.precis.checkpoint.Checkpoint;
import dev.precis.checkpoint.PackedWeights;
import dev.precis.checkpoint.TensorView;
import dev.precis.device.Device;
import dev.precis.io.InvalidInputException;
import dev.precis.layers.Parameters.Parameter;
import dev.precis.ops.Ops;
import dev.precis.ops.PackedMatrix;
import dev.precis.ops.Weight;
import dev.precis.tensor.DType;
import dev.precis.tensor.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

/**
 * Makes a model's weights by their names: of a checkpoint, or of the parameters that are trained.
 */
public final class WeightLoader {
  /** A source of weights. */
  private interface Source {
    boolean contains(String name);

    /** Reads a float32 or bfloat16 tensor, valid until the arena is closed. */
    Tensor read(String name, Arena call, long... shape);

    /** Copies a float32 tensor, which lives as long as the weights. */
    Tensor keep(String name, PackedWeights packed, long... shape);

    /** Releases what was read. */
    void release(String name);

    boolean same(String name, String other);

    Object origin();
  }

  private final Source source;
  private final Ops ops;
  private final Arena owner;
  private final DType dtype;
  private final DType tableType;
  private final PackedWeights packed;
  private final Parameters trained;
  private final TransposedWeights transposed;

  /**
   * Makes a loader.
   *
   * @param tableType of embeddings that are not trained
   * @param trained null: gradients never flow; else what is trained of the weights, perhaps nothing
   */
  private WeightLoader(
      Source source,
      Ops ops,
      Arena owner,
      DType dtype,
      DType tableType,
      PackedWeights packed,
      Parameters trained) {
    this.source = source;
    this.ops = ops;
    this.owner = owner;
    this.dtype = dtype;
    this.tableType = tableType;
    this.packed = packed;
    this.trained = trained;
    transposed = trained == null ? null : new TransposedWeights(ops, owner);
  }

  /**
   * Loads weights for inference: no gradient flows through.
   *
   * @param owner frees them
   * @param dtype of the packed weights: float32, bfloat16, int8 or int4
   * @param packed gives memory for the weights, or the weights
   */
  public static WeightLoader frozen(
      Checkpoint checkpoint, Ops ops, Arena owner, DType dtype, PackedWeights packed) {
    return new WeightLoader(
        new FromCheckpoint(checkpoint, ops.device()),
        ops,
        owner,
        dtype,
        dtype.activations(),
        packed,
        null);
  }

  /**
   * Loads weights for inference that give results bitwise identical to those of {@link #trained} of
   * the same values: whatever is a parameter there is float32 here too.
   */
  public static WeightLoader frozenAsTrained(
      Checkpoint checkpoint, Ops ops, Arena owner, DType dtype) {
    return new WeightLoader(
        new FromCheckpoint(checkpoint, ops.device()),
        ops,
        owner,
        dtype,
        DType.FLOAT32,
        memory(ops, owner),
        null);
  }

  /**
   * Loads frozen weights that gradients can flow through.
   *
   * @param dtype of the packed weights: float32, bfloat16 or, on the CPU, int8 or int4
   * @param packed gives memory for the frozen weights, or the weights
   * @param trained parameters that are in the place of some weights, their values filled in; null:
   *     all weights are frozen
   */
  public static WeightLoader forAdapters(
      Checkpoint checkpoint,
      Ops ops,
      Arena owner,
      DType dtype,
      PackedWeights packed,
      Parameters trained) {
    Source frozen = new FromCheckpoint(checkpoint, ops.device());
    return new WeightLoader(
        trained == null ? frozen : new PartlyTrained(frozen, new FromParameters(trained)),
        ops,
        owner,
        dtype,
        dtype.activations(),
        packed,
        trained == null ? new Parameters(Map.of(), ops, owner) : trained);
  }

  /**
   * Makes weights for full fine-tuning: packed weights are copies of the parameters, which {@link
   * Linear#update} brings up to date; everything else is the parameters themselves.
   */
  public static WeightLoader trained(Parameters parameters, Ops ops, Arena owner, DType dtype) {
    return new WeightLoader(
        new FromParameters(parameters),
        ops,
        owner,
        dtype,
        dtype.activations(),
        memory(ops, owner),
        parameters);
  }

  /** Returns memory for weights that no file keeps. */
  public static PackedWeights memory(Ops ops, Arena owner) {
    return new PackedWeights(bytes -> ops.allocate(owner, bytes));
  }

  private record FromParameters(Parameters parameters) implements Source {
    @Override
    public boolean contains(String name) {
      return parameters.find(name) != null;
    }

    @Override
    public Tensor read(String name, Arena call, long... shape) {
      return parameters.find(name).value();
    }

    @Override
    public Tensor keep(String name, PackedWeights packed, long... shape) {
      return parameters.find(name).value();
    }

    @Override
    public void release(String name) {}

    @Override
    public boolean same(String name, String other) {
      return false;
    }

    @Override
    public Object origin() {
      return "the parameters";
    }
  }

  /** Weights of which some are trained. */
  private record PartlyTrained(Source frozen, Source trained) implements Source {
    private Source of(String name) {
      return trained.contains(name) ? trained : frozen;
    }

    @Override
    public boolean contains(String name) {
      return frozen.contains(name);
    }

    @Override
    public Tensor read(String name, Arena call, long... shape) {
      return of(name).read(name, call, shape);
    }

    @Override
    public Tensor keep(String name, PackedWeights packed, long... shape) {
      return of(name).keep(name, packed, shape);
    }

    @Override
    public void release(String name) {
      frozen.release(name);
    }

    @Override
    public boolean same(String name, String other) {
      return frozen.same(name, other);
    }

    @Override
    public Object origin() {
      return frozen.origin();
    }
  }

  private record FromCheckpoint(Checkpoint checkpoint, Device device) implements Source {
    @Override
    public boolean contains(String name) {
      return checkpoint.contains(name);
    }

    /** Returns the file's own bytes where kernels can read them, else a float32 copy. */
    @Override
    public Tensor read(String name, Arena call, long... shape) {
      TensorView view = view(checkpoint, name, shape);
      if (view.dtype() == DType.FLOAT32 || view.dtype() == DType.BFLOAT16) {
        return Tensor.of(view.data(), view.dtype(), view.shape());
      }
      Tensor copy = Tensor.of(call.allocate(view.elements() * 4, 64), DType.FLOAT32, view.shape());
      view.toFloat32(copy.memory());
      return copy;
    }

    @Override
    public Tensor keep(String name, PackedWeights packed, long... shape) {
      TensorView view = view(checkpoint, name, shape);
      MemorySegment memory =
          packed.get(
              name,
              view.elements() * 4,
              to -> Tensor.of(to, DType.FLOAT32, shape).on(device).write(view::toFloat32));
      return Tensor.of(memory, DType.FLOAT32, shape).on(device);
    }

    @Override
    public void release(String name) {
      checkpoint.release(name);
    }

    @Override
    public boolean same(String name, String other) {
      return checkpoint.get(name).data().mismatch(checkpoint.get(other).data()) == -1;
    }

    @Override
    public Object origin() {
      return checkpoint.path();
    }
  }

  /**
   * Finds a tensor of a checkpoint, of the shape that its configuration gives it.
   *
   * @throws InvalidInputException where it is missing, has another shape, or holds an element that
   *     is not finite
   */
  public static TensorView view(Checkpoint checkpoint, String name, long... shape) {
    TensorView view = checkpoint.weight(name);
    if (!Arrays.equals(view.shape(), shape)) {
      throw new InvalidInputException(
          checkpoint.path()
              + ": tensor "
              + name
              + " is "
              + Arrays.toString(view.shape())
              + ", but config.json makes it "
              + Arrays.toString(shape)
              + ": the two are not of one model");
    }
    return view;
  }

  /** Returns whether there is a weight of that name. */
  public boolean contains(String name) {
    return source.contains(name);
  }

  /** Returns whether two weights of a checkpoint have the same bytes. */
  public boolean same(String name, String other) {
    return source.same(name, other);
  }

  /** Returns the source of the weights, for an error's sentence. */
  public Object origin() {
    return source.origin();
  }

  /** Returns a float32 weight that lives as long as its owner, with its gradient if trained. */
  public Weight weight(String name, long... shape) {
    return withGradient(name, source.keep(name, packed, shape));
  }

  private Weight withGradient(String name, Tensor value) {
    Parameter parameter = trained == null ? null : trained.find(name);
    return new Weight(value, parameter == null ? null : parameter.gradient());
  }

  /** Returns the type of packed weights. */
  public DType dtype() {
    return dtype;
  }

  /** Returns the type of a packed output layer: losses, which gradients come from, take floats. */
  public DType outputType() {
    return transposed == null ? dtype : dtype.activations();
  }

  /**
   * Loads a table (rows, columns), float32 or bfloat16: a copy in our own memory, for a file that
   * is mapped can change under us.
   */
  public Weight embedding(String name, long rows, long columns) {
    return embedding(name, rows, columns, 0);
  }

  /**
   * Loads a table as {@link #embedding(String, long, long)}, with room for further rows behind its
   * own, which the caller fills.
   */
  public Weight embedding(String name, long rows, long columns, long further) {
    long[] shape = {rows, columns};
    if (trained != null && trained.find(name) != null) {
      return weight(name, shape);
    }
    long[] room = {rows + further, columns};
    MemorySegment memory =
        packed.get(
            further == 0 ? name : name + "+" + further,
            (rows + further) * columns * tableType.bytes(),
            target -> {
              try (Arena call = Arena.ofConfined()) {
                Tensor from = source.read(name, call, shape);
                Tensor own = Tensor.of(target, tableType, room).rows(0, rows);
                ops.convert(reachable(from, call), own);
              }
            });
    source.release(name);
    return withGradient(name, Tensor.of(memory, tableType, room).on(ops.device()));
  }

  /**
   * Loads layers that read the same input, as one product.
   *
   * @param names of the layers, without {@code .weight}
   * @param outputs of each
   */
  public Linear linear(List<String> names, long outputs, long inputs) {
    return linear(names, outputs, inputs, dtype);
  }

  /** Returns a tensor that operations can read: a GPU reaches no file. */
  private Tensor reachable(Tensor from, Arena call) {
    if (!ops.onGpu()) {
      return from;
    }
    MemorySegment copy = ops.allocate(call, from.address().byteSize());
    ops.device().upload(copy, from.address());
    return Tensor.of(copy, from.dtype(), from.rows(), from.columns()).on(ops.device());
  }

  /** Loads layers as {@link #linear(List, long, long)}, packed as another type. */
  public Linear linear(List<String> names, long outputs, long inputs, DType dtype) {
    return linear(names, outputs, inputs, dtype, true);
  }

  /**
   * Loads layers as {@link #linear(List, long, long, DType)}.
   *
   * @param backward whether a gradient can flow through to the input, where any flows
   */
  public Linear linear(
      List<String> names, long outputs, long inputs, DType dtype, boolean backward) {
    boolean changes = trained != null && trained.find(names.getFirst() + ".weight") != null;
    DType type = changes ? dtype.activations() : dtype; // int8 and int4 are for frozen weights
    List<Part> parts = new ArrayList<>();
    for (String name : names) {
      parts.add(new Part(name, parts.size() * outputs, (parts.size() + 1) * outputs));
    }
    long all = names.size() * outputs;
    try (Arena call = Arena.ofConfined()) {
      PackedWeights place = changes ? memory(ops, owner) : packed;
      MemorySegment memory =
          place.get(
              String.join("+", names),
              ops.packedBytes(type, all, inputs),
              target ->
                  ops.repack(
                      new PackedMatrix(target, all, inputs, type),
                      read(names, call, outputs, inputs)));
      PackedMatrix w = new PackedMatrix(memory, all, inputs, type);
      boolean flows = transposed != null && backward;
      if (flows) {
        transposed.makeRoomFor(w, !changes);
      }
      Linear linear = new Linear(w, flows ? transposed : null, parts);
      if (changes) {
        linear.train(names.stream().map(name -> trained.find(name + ".weight")).toList());
      }
      // Packed weights need not stay in memory a second time.
      names.forEach(name -> source.release(name + ".weight"));
      return linear;
    }
  }

  /** Loads layers as {@link #linear(List, long, long, DType)}, each with its {@code .bias}. */
  public Linear biased(List<String> names, long outputs, long inputs, DType dtype) {
    Linear linear = linear(names, outputs, inputs, dtype);
    linear.addBiases(names.stream().map(name -> weight(name + ".bias", outputs)).toList());
    return linear;
  }

  private List<Tensor> read(List<String> names, Arena call, long outputs, long inputs) {
    List<Tensor> weights = new ArrayList<>();
    for (String name : names) {
      weights.add(source.read(name + ".weight", call, outputs, inputs));
    }
    return weights;
  }
}
