package dev.precis.checkpoint;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import dev.precis.io.InvalidInputException;
import dev.precis.tensor.DType;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Changes a checkpoint's weights as adapters say that cannot be added to them while they run: DoRA
 * adapters (Liu et al. 2024), IA3 adapters (Liu et al. 2022), and modules that were trained whole
 * and saved beside an adapter.
 */
public final class AdapterMerge {
  private static final String SHARED = "shared.weight";
  private static final String HEAD = "lm_head.weight";
  private static final List<String> STACK_EMBEDDINGS =
      List.of("encoder.embed_tokens.weight", "decoder.embed_tokens.weight");

  private static final Set<DType> FLOATS =
      EnumSet.of(DType.FLOAT32, DType.BFLOAT16, DType.FLOAT16, DType.FLOAT64);

  private AdapterMerge() {}

  /**
   * Replaces the weights that adapters change; plain LoRA adapters change none. A DoRA adapter's
   * weight is made when it is read, {@code m (W + s B A) / |W + s B A|}, where the norm is that of
   * each row; then the vectors of IA3 adapters multiply its rows or columns. The adapters must stay
   * open as long as the checkpoint is read.
   *
   * @throws InvalidInputException if an adapter was made for another model, or two adapters replace
   *     the same tensor
   */
  public static void apply(Checkpoint checkpoint, List<PeftAdapter> adapters) {
    Map<String, List<PeftAdapter.Module>> dora = new LinkedHashMap<>();
    Map<String, PeftAdapter> replaced = new LinkedHashMap<>();
    for (PeftAdapter adapter : adapters) {
      adapter
          .savedTensors()
          .forEach((name, tensor) -> replace(checkpoint, adapter, name, tensor, replaced));
      for (PeftAdapter.Module module : adapter.doraModules().values()) {
        String name = module.name() + ".weight";
        adapter.requireFits(
            module, checkpoint.contains(name) ? checkpoint.get(name).shape() : null);
        dora.computeIfAbsent(name, _ -> new ArrayList<>()).add(module);
      }
    }
    dora.forEach(
        (name, modules) -> {
          TensorView base = checkpoint.get(name);
          checkpoint.replace(name, () -> merged(base, modules));
        });
    Map<String, List<TensorView>> scaled = new LinkedHashMap<>();
    for (PeftAdapter adapter : adapters) {
      adapter
          .scales()
          .forEach(
              (module, vector) -> {
                String name = module + ".weight";
                requireScales(checkpoint, adapter, module, vector);
                scaled.computeIfAbsent(name, _ -> new ArrayList<>()).add(vector);
              });
    }
    scaled.forEach(
        (name, vectors) -> {
          TensorView base = checkpoint.get(name);
          checkpoint.replace(name, () -> scaled(base, vectors));
        });
  }

  private static void requireScales(
      Checkpoint checkpoint, PeftAdapter adapter, String module, TensorView vector) {
    String name = module + ".weight";
    long[] shape = checkpoint.contains(name) ? checkpoint.get(name).shape() : null;
    boolean outputs = vector.shape()[1] == 1;
    if (shape != null
        && shape.length == 2
        && vector.elements() == (outputs ? shape[0] : shape[1])
        && !name.equals(SHARED)) {
      return;
    }
    throw new InvalidInputException(
        "%s scales %s by a vector of %s, but %s: the adapter was trained on another model"
            .formatted(
                adapter.folder(),
                module,
                Arrays.toString(vector.shape()),
                shape == null
                    ? "this model has no such layer"
                    : "the layer's weight is " + Arrays.toString(shape)));
  }

  /** Multiplies the rows or the columns of a weight by vectors, one after the other. */
  private static TensorView scaled(TensorView base, List<TensorView> vectors) {
    int n = (int) base.shape()[0];
    int k = (int) base.shape()[1];
    MemorySegment weight = Arena.ofAuto().allocate(base.elements() * Float.BYTES, 64);
    base.toFloat32(weight);
    for (TensorView vector : vectors) {
      float[] scale = vector.toFloat32();
      boolean outputs = vector.shape()[1] == 1;
      for (int row = 0; row < n; row++) {
        for (int column = 0; column < k; column++) {
          long at = (long) row * k + column;
          float factor = scale[outputs ? row : column];
          weight.setAtIndex(JAVA_FLOAT, at, weight.getAtIndex(JAVA_FLOAT, at) * factor);
        }
      }
    }
    return new TensorView(base.name(), DType.FLOAT32, base.shape(), weight);
  }

  private static void replace(
      Checkpoint checkpoint,
      PeftAdapter adapter,
      String name,
      TensorView tensor,
      Map<String, PeftAdapter> replaced) {
    String target = STACK_EMBEDDINGS.contains(name) ? SHARED : name;
    TensorView base = base(checkpoint, adapter, target);
    if (!Arrays.equals(base.shape(), tensor.shape())) {
      throw new InvalidInputException(
          "%s replaces %s as %s, but the model's is %s: the adapter was trained on another model"
              .formatted(
                  adapter.folder(),
                  name,
                  Arrays.toString(tensor.shape()),
                  Arrays.toString(base.shape())));
    }
    if (!FLOATS.contains(tensor.dtype())) {
      throw new InvalidInputException(
          adapter.folder() + " replaces " + name + " by " + tensor + ", which is no weight");
    }
    if (target.equals(SHARED)) {
      requireOneEmbedding(adapter, name, tensor, base);
    }
    PeftAdapter other = replaced.put(target, adapter);
    if (other != null && other != adapter) {
      throw new InvalidInputException(
          adapter.folder() + " and " + other.folder() + " both replace " + name + ": use one");
    }
    checkpoint.replace(target, () -> tensor);
  }

  /** Returns the tensor that is replaced; a tied output layer is the embedding. */
  private static TensorView base(Checkpoint checkpoint, PeftAdapter adapter, String target) {
    if (target.equals(HEAD) && !checkpoint.contains(HEAD) && checkpoint.contains(SHARED)) {
      return checkpoint.get(SHARED);
    }
    if (!checkpoint.contains(target)) {
      throw new InvalidInputException(
          adapter.folder()
              + " replaces "
              + target
              + ", which this model does not have: the adapter was trained on another model");
    }
    return checkpoint.get(target);
  }

  /**
   * PEFT replaces modules, and both stacks of a T5 and a tied output layer read one table through
   * modules of their own: what such an adapter means with one model is not what it computes.
   */
  private static void requireOneEmbedding(
      PeftAdapter adapter, String name, TensorView tensor, TensorView base) {
    String module = name.substring(0, name.length() - ".weight".length());
    if (adapter.listsModule(module) && !Arrays.equals(tensor.toFloat32(), base.toFloat32())) {
      throw new InvalidInputException(
          adapter.folder()
              + " lists "
              + module
              + " in modules_to_save with values of its own, but the stacks of a T5 and PEFT do not"
              + " share that copy: use save_embedding_layers in its place");
    }
  }

  private static TensorView merged(TensorView base, List<PeftAdapter.Module> modules) {
    int n = (int) base.shape()[0];
    int k = (int) base.shape()[1];
    MemorySegment weight = Arena.ofAuto().allocate(base.elements() * Float.BYTES, 64);
    base.toFloat32(weight);
    List<float[][]> factors = new ArrayList<>();
    for (PeftAdapter.Module module : modules) {
      factors.add(
          new float[][] {
            module.a().toFloat32(), module.b().toFloat32(), module.magnitude().toFloat32()
          });
    }
    for (int row = 0; row < n; row++) {
      MemorySegment target = weight.asSlice((long) row * k * Float.BYTES, (long) k * Float.BYTES);
      float[] original = target.toArray(JAVA_FLOAT);
      float[] sum = original.clone();
      for (int i = 0; i < modules.size(); i++) {
        float[] adapted = original.clone();
        float[][] abm = factors.get(i);
        add(adapted, modules.get(i), abm[0], abm[1], row);
        double squares = 0;
        for (float each : adapted) {
          squares += (double) each * each;
        }
        float factor = (float) (abm[2][row] / Math.sqrt(squares));
        for (int j = 0; j < k; j++) {
          // With one adapter the weight is the adapter's; several add up.
          float own = factor * adapted[j];
          sum[j] = modules.size() == 1 ? own : sum[j] + (own - original[j]);
        }
      }
      MemorySegment.copy(sum, 0, target, JAVA_FLOAT, 0, k);
    }
    return new TensorView(base.name(), DType.FLOAT32, base.shape(), weight);
  }

  /** Adds a row of {@code s B A}. */
  private static void add(float[] row, PeftAdapter.Module module, float[] a, float[] b, int index) {
    int rank = module.rank();
    int k = row.length;
    for (int r = 0; r < rank; r++) {
      float factor = (float) (module.scaling() * b[index * rank + r]);
      for (int j = 0; j < k; j++) {
        row[j] += factor * a[r * k + j];
      }
    }
  }
}
