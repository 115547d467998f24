package dev.precis.lora;

import dev.precis.checkpoint.AdapterMerge;
import dev.precis.checkpoint.Checkpoint;
import dev.precis.checkpoint.ModelFolder;
import dev.precis.checkpoint.PeftAdapter;
import dev.precis.checkpoint.SafeTensors;
import dev.precis.checkpoint.TensorView;
import dev.precis.io.InvalidInputException;
import dev.precis.ops.Ops;
import dev.precis.tensor.DType;
import dev.precis.tensor.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * Merges adapters into the base model, computed in float32: {@code W + s B A} of LoRA, scaled rows
 * or columns of IA3.
 */
public final class LoraMerge {
  private LoraMerge() {}

  /**
   * Writes the merged model's folder. Weights keep the type of the base's file; the sum is rounded
   * to it once.
   *
   * @param base the model's folder
   * @param adapters PEFT folders, whose effects add up
   * @param to a new folder
   * @return how many weights were changed
   * @throws InvalidInputException where an adapter was made for another model
   */
  public static int merge(Path base, List<Path> adapters, Path to, Ops ops) {
    List<PeftAdapter> opened = new ArrayList<>();
    try (Checkpoint checkpoint = Checkpoint.open(base)) {
      for (Path folder : adapters) {
        PeftAdapter adapter = PeftAdapter.open(folder);
        opened.add(adapter);
        adapter.requireMergeable("give it beside the model");
      }
      AdapterMerge.apply(checkpoint, opened);
      for (PeftAdapter adapter : opened) {
        adapter.modules().values().forEach(module -> check(adapter, module, checkpoint));
      }
      int[] changed = new int[1];
      List<SafeTensors.Source> tensors = new ArrayList<>();
      for (String name : checkpoint.names()) {
        TensorView view = checkpoint.original(name);
        boolean replaced = checkpoint.replaces(name);
        if (replaced) {
          requireMergeable(checkpoint, name);
        }
        List<PeftAdapter.Module> on = modules(opened, name);
        changed[0] += on.isEmpty() && !replaced ? 0 : 1;
        tensors.add(
            new SafeTensors.Source(
                name,
                view.dtype(),
                view.shape(),
                () ->
                    on.isEmpty() && !replaced
                        ? view.data()
                        : merged(checkpoint.get(name), view.dtype(), on, ops)));
      }
      ModelFolder.copyCompanions(base, to);
      SafeTensors.writeSources(to.resolve("model.safetensors"), tensors, Map.of("format", "pt"));
      return changed[0];
    } finally {
      opened.forEach(PeftAdapter::close);
    }
  }

  private static void check(PeftAdapter adapter, PeftAdapter.Module module, Checkpoint base) {
    String weight = module.name() + ".weight";
    adapter.requireFits(module, base.contains(weight) ? base.get(weight).shape() : null);
    requireMergeable(base, weight);
  }

  private static void requireMergeable(Checkpoint base, String weight) {
    TensorView view = base.original(weight);
    if (view.dtype() != DType.FLOAT32 && view.dtype() != DType.BFLOAT16) {
      throw new InvalidInputException(
          base.path() + " holds " + view + ": only float32 and bfloat16 weights are merged");
    }
  }

  private static List<PeftAdapter.Module> modules(List<PeftAdapter> adapters, String weight) {
    List<PeftAdapter.Module> on = new ArrayList<>();
    if (weight.endsWith(".weight")) {
      String name = weight.substring(0, weight.length() - ".weight".length());
      for (PeftAdapter adapter : adapters) {
        if (adapter.modules().get(name) != null) {
          on.add(adapter.modules().get(name));
        }
      }
    }
    return on;
  }

  private static MemorySegment merged(
      TensorView weight, DType dtype, List<PeftAdapter.Module> on, Ops ops) {
    try (Arena call = Arena.ofConfined()) {
      long n = weight.shape()[0];
      long k = weight.elements() / n;
      Tensor sum = ops.zeros(call, DType.FLOAT32, n, k);
      sum.write(weight::toFloat32);
      for (PeftAdapter.Module module : on) {
        int rank = module.rank();
        Tensor a = ops.zeros(call, DType.FLOAT32, rank, k);
        a.write(module.a()::toFloat32);
        float[] b = module.b().toFloat32();
        Tensor transposed = ops.zeros(call, DType.FLOAT32, rank, n);
        transposed.write(
            to -> {
              for (int i = 0; i < n; i++) {
                for (int r = 0; r < rank; r++) {
                  to.setAtIndex(ValueLayout.JAVA_FLOAT, r * n + i, b[i * rank + r]);
                }
              }
            });
        ops.weightGradient(transposed, a, sum, (float) module.scaling(), DType.FLOAT32, true);
      }
      MemorySegment result =
          MemorySegment.ofArray(new byte[Math.toIntExact(n * k * dtype.bytes())]);
      if (dtype == DType.FLOAT32) {
        return result.copyFrom(sum.toHost());
      }
      Tensor rounded = ops.zeros(call, DType.BFLOAT16, n, k);
      ops.convert(sum, rounded);
      return result.copyFrom(rounded.toHost());
    }
  }
}
