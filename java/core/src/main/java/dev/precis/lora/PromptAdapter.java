package dev.precis.lora;

import dev.precis.checkpoint.Checkpoint;
import dev.precis.checkpoint.PeftAdapter;
import dev.precis.checkpoint.TensorView;
import dev.precis.io.InvalidInputException;
import dev.precis.layers.Parameters;
import dev.precis.layers.Parameters.Parameter;
import dev.precis.ops.Ops;
import dev.precis.random.SplitMix64;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import tools.jackson.databind.node.ObjectNode;

/**
 * A soft prompt that is trained on a frozen model (Lester et al. 2021), and its way to and from
 * PEFT folders.
 */
public final class PromptAdapter implements TrainedAdapter {
  private static final String NAME = "prompt_embeddings";
  private static final String TABLE = "shared.weight";

  private final Parameters parameters;

  private PromptAdapter(long tokens, long width, Ops ops, Arena owner) {
    parameters = new Parameters(Map.of(NAME, new long[] {tokens, width}), ops, owner);
  }

  /**
   * Makes virtual tokens that begin as tokens of the vocabulary.
   *
   * @param model with the embedding's table
   * @param owner frees the parameters
   * @throws InvalidInputException where an initial token is outside the vocabulary
   */
  public static PromptAdapter create(
      PromptConfig config, Checkpoint model, Ops ops, Arena owner, long seed) {
    TensorView table = model.weight(TABLE);
    int vocabulary = Math.toIntExact(table.shape()[0]);
    int width = Math.toIntExact(table.shape()[1]);
    int[] ids = ids(config, vocabulary, seed);
    PromptAdapter adapter = new PromptAdapter(ids.length, width, ops, owner);
    adapter
        .embeddings()
        .value()
        .write(
            to -> {
              for (int i = 0; i < ids.length; i++) {
                MemorySegment row = to.asSlice((long) i * width * Float.BYTES);
                row(table, ids[i]).toFloat32(row);
              }
            });
    return adapter;
  }

  private static int[] ids(PromptConfig config, int vocabulary, long seed) {
    int[] initial = config.initialIds();
    int[] ids = new int[config.tokens()];
    SplitMix64 random = new SplitMix64(seed);
    for (int i = 0; i < ids.length; i++) {
      ids[i] = initial.length == 0 ? random.below(vocabulary) : initial[i % initial.length];
      if (ids[i] < 0 || ids[i] >= vocabulary) {
        throw new InvalidInputException(
            "A virtual token is to begin as the token %d, but the model's vocabulary has %d"
                .formatted(ids[i], vocabulary));
      }
    }
    return ids;
  }

  private static TensorView row(TensorView table, int id) {
    long bytes = table.shape()[1] * table.dtype().bytes();
    return new TensorView(
        TABLE,
        table.dtype(),
        new long[] {1, table.shape()[1]},
        table.data().asSlice(id * bytes, bytes));
  }

  /**
   * Makes virtual tokens that continue from saved ones.
   *
   * @param width of the model's states
   * @throws InvalidInputException where the adapter belongs to another model, or is no soft prompt
   */
  public static PromptAdapter from(PeftAdapter start, long width, Ops ops, Arena owner) {
    TensorView saved = saved(start, width);
    PromptAdapter adapter = new PromptAdapter(saved.shape()[0], width, ops, owner);
    adapter.embeddings().value().write(saved::toFloat32);
    return adapter;
  }

  /**
   * Returns the embeddings of a saved soft prompt (virtual tokens, width).
   *
   * @throws InvalidInputException where the adapter belongs to another model, or is no soft prompt
   */
  public static TensorView saved(PeftAdapter start, long width) {
    start.requireKind(PeftAdapter.Kind.PROMPT_TUNING, "choose the method that it was trained with");
    TensorView saved = start.prompt().orElseThrow();
    if (saved.shape()[1] != width) {
      throw new InvalidInputException(
          ("%s has virtual tokens of %d numbers, but this model's states have %d: it was trained on"
                  + " another model")
              .formatted(start.folder(), saved.shape()[1], width));
    }
    return saved;
  }

  /** Returns the embeddings of the virtual tokens (virtual tokens, width). */
  public Parameter embeddings() {
    return parameters.find(NAME);
  }

  @Override
  public Parameters parameters() {
    return parameters;
  }

  @Override
  public String tensorName(String parameter) {
    return parameter;
  }

  @Override
  public float dropout() {
    return 0;
  }

  @Override
  public void write(Path folder, String baseModel, List<Parameter> others) {
    ObjectNode json = PeftFolder.configuration("PROMPT_TUNING", baseModel);
    json.put("num_transformer_submodules", 1);
    json.put("num_virtual_tokens", embeddings().value().rows());
    json.put("prompt_tuning_init", "RANDOM");
    json.put("token_dim", embeddings().value().columns());
    PeftFolder.write(folder, this, json, others);
  }
}
