package dev.precis.lora;

import dev.precis.checkpoint.PeftAdapter;
import dev.precis.checkpoint.SafeTensors;
import dev.precis.io.AtomicFile;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import dev.precis.layers.Linear;
import dev.precis.layers.LoraTraining;
import dev.precis.layers.Parameters;
import dev.precis.layers.Parameters.Parameter;
import dev.precis.layers.Part;
import dev.precis.ops.Ops;
import dev.precis.random.SplitMix64;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * Adapters that are trained (Hu et al. 2021): their parameters, on the layers that a {@link
 * LoraConfig} chose, and their way to and from PEFT folders.
 */
public final class LoraAdapter {
  private static final String A = ".lora_A.weight";
  private static final String B = ".lora_B.weight";

  private final LoraConfig config;
  private final Parameters parameters;
  private final List<String> modules = new ArrayList<>();

  /**
   * Makes new adapters, which change nothing yet: A uniform in +-1/sqrt(K) as PEFT's, B zero.
   *
   * @param linears the products of the model; those chosen are trained from now on
   * @param owner frees parameters and what is packed
   * @throws InvalidInputException where no layer is chosen
   */
  public static LoraAdapter create(
      LoraConfig config, List<Linear> linears, Ops ops, Arena owner, long seed) {
    LoraAdapter adapter = new LoraAdapter(config, linears, ops, owner);
    SplitMix64 random = new SplitMix64(seed);
    for (Parameter parameter : adapter.parameters.all()) {
      if (parameter.name().endsWith(A)) {
        double bound = 1 / Math.sqrt(parameter.value().columns());
        for (long i = 0; i < parameter.elements(); i++) {
          float value = (float) ((2 * random.uniform() - 1) * bound);
          parameter.value().memory().setAtIndex(ValueLayout.JAVA_FLOAT, i, value);
        }
      }
    }
    adapter.attach(linears, ops, owner);
    return adapter;
  }

  /**
   * Makes adapters that continue from saved ones. Rank, alpha and target modules are the adapter's
   * own; dropout is that of the configuration.
   *
   * @throws InvalidInputException where the adapter belongs to another model or its modules have
   *     different ranks
   */
  public static LoraAdapter from(
      PeftAdapter start, float dropout, List<Linear> linears, Ops ops, Arena owner) {
    start.requireAddsOnly(
        "only plain LoRA adapters are trained further; merge it and train on that");
    List<String> names = List.copyOf(start.modules().keySet());
    LoraConfig config =
        new LoraConfig(
            start.rank(),
            (float) start.alpha(),
            dropout,
            start.targetModules(),
            start.rankStabilised());
    LoraConfig exact =
        new LoraConfig(config.rank(), config.alpha(), dropout, names, start.rankStabilised());
    LoraAdapter adapter = new LoraAdapter(exact, config, linears, ops, owner);
    for (PeftAdapter.Module module : start.modules().values()) {
      Parameter a = adapter.parameters.find(module.name() + A);
      Parameter b = adapter.parameters.find(module.name() + B);
      start.requireFits(
          module, a == null ? null : new long[] {b.value().rows(), a.value().columns()});
      if (module.rank() != config.rank() || module.alpha() != start.alpha()) {
        throw new InvalidInputException(
            start.folder()
                + " gives "
                + module.name()
                + " a rank or alpha of its own, which is not trained further");
      }
      module.a().toFloat32(a.value().memory());
      module.b().toFloat32(b.value().memory());
    }
    adapter.attach(linears, ops, owner);
    return adapter;
  }

  private LoraAdapter(LoraConfig config, List<Linear> linears, Ops ops, Arena owner) {
    this(config, config, linears, ops, owner);
  }

  private LoraAdapter(
      LoraConfig chosen, LoraConfig config, List<Linear> linears, Ops ops, Arena owner) {
    this.config = config;
    Map<String, long[]> shapes = new LinkedHashMap<>();
    for (Linear linear : linears) {
      for (Part part : linear.parts()) {
        if (!chosen.targets(part.name())) {
          continue;
        }
        if (part.name().equals("lm_head") || part.name().equals("shared")) {
          throw new InvalidInputException(
              "The output layer cannot be adapted: its logits never exist whole. Name other target"
                  + " modules, such as q,v,k,o,wi_0,wi_1,wo");
        }
        modules.add(part.name());
        shapes.put(part.name() + A, new long[] {config.rank(), linear.inputs()});
        shapes.put(part.name() + B, new long[] {part.outputs(), config.rank()});
      }
    }
    if (modules.isEmpty()) {
      throw new InvalidInputException(
          "No layer of the model is named by the target modules "
              + String.join(",", chosen.targetModules())
              + ": T5 has q, k, v, o, wi_0, wi_1 (or wi) and wo");
    }
    parameters = new Parameters(shapes, ops, owner);
  }

  private void attach(List<Linear> linears, Ops ops, Arena owner) {
    for (Linear linear : linears) {
      List<LoraTraining.Module> own = new ArrayList<>();
      for (Part part : linear.parts()) {
        Parameter a = parameters.find(part.name() + A);
        if (a != null) {
          Parameter b = parameters.find(part.name() + B);
          own.add(new LoraTraining.Module(part, a, b, config.scaling()));
        }
      }
      if (!own.isEmpty()) {
        linear.train(new LoraTraining(linear.packed(), own, config.dropout(), ops, owner));
      }
    }
  }

  public LoraConfig config() {
    return config;
  }

  /** Returns the trainable parameters, by PEFT's names without the prefix. */
  public Parameters parameters() {
    return parameters;
  }

  /** Returns the names of the layers that are adapted. */
  public List<String> modules() {
    return List.copyOf(modules);
  }

  /**
   * Writes a PEFT folder, which PEFT and {@link PeftAdapter} read. Each file appears when it is
   * complete.
   *
   * @param baseModel what the configuration calls the model underneath
   */
  public void write(Path folder, String baseModel) {
    write(folder, baseModel, List.of());
  }

  /**
   * Writes a PEFT folder, with further parameters in the same file under their own names: a value
   * head's.
   */
  public void write(Path folder, String baseModel, List<Parameter> others) {
    try {
      Files.createDirectories(folder);
    } catch (IOException e) {
      throw new UncheckedIOException("Cannot make the folder " + folder + ": " + e.getMessage(), e);
    }
    List<SafeTensors.Source> tensors = new ArrayList<>();
    for (Parameter parameter : parameters.all()) {
      tensors.add(
          new SafeTensors.Source(
              "base_model.model." + parameter.name(),
              parameter.value().dtype(),
              new long[] {parameter.value().dim(0), parameter.value().dim(1)},
              () -> parameter.value().memory()));
    }
    others.forEach(parameter -> tensors.add(parameter.source()));
    SafeTensors.writeSources(
        folder.resolve("adapter_model.safetensors"), tensors, Map.of("format", "pt"));
    byte[] text =
        (configuration(baseModel).toPrettyString() + "\n").getBytes(StandardCharsets.UTF_8);
    AtomicFile.write(
        folder.resolve("adapter_config.json"),
        channel -> {
          ByteBuffer bytes = ByteBuffer.wrap(text);
          while (bytes.hasRemaining()) {
            channel.write(bytes);
          }
        });
  }

  private ObjectNode configuration(String baseModel) {
    ObjectNode json = Json.mapper().createObjectNode();
    json.put("base_model_name_or_path", baseModel);
    json.put("bias", "none");
    json.put("fan_in_fan_out", false);
    json.put("inference_mode", true);
    json.put("init_lora_weights", true);
    if (config.alpha() == Math.rint(config.alpha())) {
      json.put("lora_alpha", (long) config.alpha());
    } else {
      json.put("lora_alpha", config.alpha());
    }
    // As people write it: the shortest decimal that is this float.
    json.put("lora_dropout", Double.parseDouble(Float.toString(config.dropout())));
    json.putNull("modules_to_save");
    json.put("peft_type", "LORA");
    json.put("r", config.rank());
    List<String> targets = config.targetModules();
    if (targets.size() == 1 && !targets.getFirst().matches("[A-Za-z0-9_.]+")) {
      json.put("target_modules", targets.getFirst());
    } else {
      ArrayNode names = json.putArray("target_modules");
      targets.forEach(names::add);
    }
    json.put("task_type", "SEQ_2_SEQ_LM");
    json.put("use_dora", false);
    json.put("use_rslora", config.rankStabilised());
    return json;
  }
}
