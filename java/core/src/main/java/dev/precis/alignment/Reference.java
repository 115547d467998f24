package dev.precis.alignment;

import dev.precis.checkpoint.Checkpoint;
import dev.precis.checkpoint.ModelFolder;
import dev.precis.checkpoint.PeftAdapter;
import dev.precis.io.InvalidInputException;
import dev.precis.layers.Linear;
import dev.precis.layers.WeightLoader;
import dev.precis.ops.LoraWeights;
import dev.precis.t5.T5Config;
import dev.precis.t5.T5Model;
import dev.precis.t5.T5Weights;
import dev.precis.training.TrainableT5;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.function.Supplier;

/**
 * The frozen reference policy, towards which the KL penalty regularizes the trained one. It is
 * named explicitly: {@code base} is the model without adapters, {@code adapter:DIR} the model with
 * those adapters, and {@code checkpoint:DIR} another model of the same shape. It shares the
 * policy's base weights wherever it can.
 *
 * <p>Not thread-safe.
 */
public final class Reference implements AutoCloseable {
  /** Names of the output layer: its own, and the embedding's where the two are tied. */
  private static final List<String> OUTPUT_LAYER = List.of("lm_head", "shared");

  private final String name;
  private final String hash;
  private final T5Model model;
  private final boolean sharesEncoder;
  private final Map<Linear, LoraWeights> adapters;
  private final Arena arena;

  private Reference(
      String name,
      String hash,
      T5Model model,
      boolean sharesEncoder,
      Map<Linear, LoraWeights> adapters,
      Arena arena) {
    this.name = name;
    this.hash = hash;
    this.model = model;
    this.sharesEncoder = sharesEncoder;
    this.adapters = adapters;
    this.arena = arena;
  }

  /**
   * Opens the reference of a policy.
   *
   * @param name {@code base}, {@code adapter:DIR} or {@code checkpoint:DIR}
   * @param policy trained policy; its folder is the base model
   * @param resolve returns the folder of a model or adapter
   * @throws InvalidInputException where the name is none of these or does not fit the policy
   */
  public static Reference open(String name, TrainableT5 policy, Function<String, Path> resolve) {
    boolean changed =
        policy.adapter() != null && !policy.adapter().config().modulesToSave().isEmpty();
    if (name.equals("base")) {
      return policy.adapter() != null && !changed
          ? onBase(name, policy, null)
          : otherModel(name, policy, policy.folder());
    }
    if (name.startsWith("adapter:")) {
      if (policy.adapter() == null) {
        throw new InvalidInputException(
            "The reference "
                + name
                + " needs a policy with adapters: under full fine-tuning, merge the adapter and"
                + " name the result checkpoint:DIR");
      }
      if (changed) {
        throw new InvalidInputException(
            "The reference "
                + name
                + " needs the base model as it was, of which the policy trains modules whole: merge"
                + " the adapter and name the result checkpoint:DIR");
      }
      return onBase(name, policy, resolve.apply(name.substring("adapter:".length())));
    }
    if (name.startsWith("checkpoint:")) {
      return otherModel(name, policy, resolve.apply(name.substring("checkpoint:".length())));
    }
    throw new InvalidInputException(
        "The reference must be base, adapter:DIR or checkpoint:DIR, not '" + name + "'");
  }

  private static Reference onBase(String name, TrainableT5 policy, Path adapterFolder) {
    Map<Linear, LoraWeights> adapters = new IdentityHashMap<>();
    Arena arena = Arena.ofShared();
    try {
      boolean adaptsEncoder = policy.trainsEncoder();
      String hash = ModelFolder.weightsHash(policy.folder());
      List<Linear> linears = policy.training().weights().linears();
      linears.forEach(linear -> adapters.put(linear, null));
      if (adapterFolder != null) {
        hash += "+" + ModelFolder.weightsHash(adapterFolder);
        try (PeftAdapter adapter = PeftAdapter.open(adapterFolder)) {
          adapter.requireMergeable("a reference is base, adapter:DIR of LoRA or checkpoint:DIR");
          adapter.requireAddsOnly("merge it, and name the result checkpoint:DIR");
          policy.training().weights().check(adapter);
          if (!Collections.disjoint(adapter.modules().keySet(), OUTPUT_LAYER)) {
            throw new InvalidInputException(
                name
                    + " adapts the output layer, whose logits are never materialized: merge it, and"
                    + " name the result checkpoint:DIR");
          }
          for (Linear linear : linears) {
            adapters.put(linear, linear.pack(List.of(adapter.modules()), policy.ops(), arena));
          }
          adaptsEncoder |=
              adapter.modules().keySet().stream().anyMatch(m -> m.startsWith("encoder."));
        }
      }
      return new Reference(name, hash, policy.model(), !adaptsEncoder, adapters, arena);
    } catch (RuntimeException | Error e) {
      arena.close();
      throw e;
    }
  }

  private static Reference otherModel(String name, TrainableT5 policy, Path folder) {
    T5Config config = T5Config.read(folder);
    if (config.vocabSize() != policy.config().vocabSize()
        || config.decoderStartTokenId() != policy.config().decoderStartTokenId()) {
      throw new InvalidInputException(
          folder + " has another vocabulary than the policy: it cannot be its reference");
    }
    Arena arena = Arena.ofShared();
    try (Checkpoint checkpoint = Checkpoint.open(folder)) {
      T5Weights weights =
          policy.adapter() == null
              ? T5Weights.loadAsTrained(checkpoint, config, policy.ops(), arena, policy.dtype())
              : T5Weights.loadForAdapters(
                  checkpoint,
                  config,
                  policy.ops(),
                  arena,
                  policy.weightType(),
                  WeightLoader.memory(policy.ops(), arena),
                  module -> false,
                  null);
      T5Model model = new T5Model(weights, policy.ops(), policy.dtype());
      return new Reference(
          name, ModelFolder.weightsHash(folder), model, false, new IdentityHashMap<>(), arena);
    } catch (RuntimeException | Error e) {
      arena.close();
      throw e;
    }
  }

  /** Returns the name that it was opened by. */
  public String name() {
    return name;
  }

  /** Returns a hash of its weights, by which stored log-probabilities are recognized. */
  public String hash() {
    return hash;
  }

  /** Returns true if policy and reference have the same encoder outputs for every source. */
  public boolean sharesEncoder() {
    return sharesEncoder;
  }

  /** Returns the bytes of its weights, without those that it shares with the policy. */
  public long weightBytes() {
    long bytes = 0;
    if (adapters.isEmpty()) {
      bytes += model.weights().embedding().value().address().byteSize();
      for (Linear linear : model.weights().linears()) {
        bytes += linear.packed().memory().byteSize();
      }
    }
    for (LoraWeights own : adapters.values()) {
      bytes += own == null ? 0 : own.a().memory().byteSize() + own.b().memory().byteSize();
    }
    return bytes;
  }

  /**
   * Computes with the reference in the policy's place. On shared base weights the adapters are
   * exchanged for the time of the call.
   *
   * @param work reads {@link #model}
   */
  public <R> R with(Supplier<R> work) {
    List<Runnable> back = new ArrayList<>();
    adapters.forEach(
        (linear, own) -> {
          LoraWeights before = linear.used();
          back.add(() -> linear.use(before));
          linear.use(own);
        });
    try {
      return work.get();
    } finally {
      back.forEach(Runnable::run);
    }
  }

  /** Returns the model; on shared base weights it is the reference only inside {@link #with}. */
  public T5Model model() {
    return model;
  }

  @Override
  public void close() {
    arena.close();
  }
}
