package dev.precis.lora;

import dev.precis.checkpoint.PeftAdapter;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import dev.precis.layers.Linear;
import dev.precis.layers.LoraTraining;
import dev.precis.layers.Parameters;
import dev.precis.layers.Parameters.Parameter;
import dev.precis.layers.Part;
import dev.precis.ops.Ops;
import dev.precis.random.SplitMix64;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * Adapters that are trained (Hu et al. 2021): their parameters, on the layers that a {@link
 * LoraConfig} chose, and their way to and from PEFT folders.
 */
public final class LoraAdapter implements TrainedAdapter {
  private static final String A = ".lora_A.weight";
  private static final String B = ".lora_B.weight";

  /** Modules with a matrix that no product reads. */
  private static final Pattern NO_PRODUCT =
      Pattern.compile("shared|lm_head|.*\\.relative_attention_bias");

  /** Layers that are computed together with others. */
  private static final Pattern IN_ONE_PRODUCT =
      Pattern.compile(".*\\.(SelfAttention\\.[qkv]|EncDecAttention\\.[kv]|wi_[01])");

  private final LoraConfig config;
  private final Parameters parameters;
  private final List<String> modules = new ArrayList<>();

  /**
   * Makes new adapters, which change nothing yet: A uniform in +-1/sqrt(K) as PEFT's, B zero.
   *
   * @param linears the products of the model; those chosen are trained from now on
   * @param saved of {@link #savedModules}, with which the linears were made; null: none
   * @param owner frees parameters and what is packed
   * @throws InvalidInputException where no layer is chosen
   */
  public static LoraAdapter create(
      LoraConfig config, List<Linear> linears, Parameters saved, Ops ops, Arena owner, long seed) {
    LoraAdapter adapter = new LoraAdapter(config, config, linears, saved, ops, owner);
    SplitMix64 random = new SplitMix64(seed);
    for (Parameter parameter : adapter.parameters.all()) {
      if (parameter.name().endsWith(A)) {
        double bound = 1 / Math.sqrt(parameter.value().columns());
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
    }
    adapter.attach(linears, ops, owner);
    return adapter;
  }

  /**
   * Makes the parameters of adapters beside which modules are trained whole: first the adapters',
   * then those of the modules, all zero. Null where no module is.
   *
   * @param model the shapes of the model's tensors by their names
   * @throws InvalidInputException where a module is not one of the model's, or cannot be trained
   *     beside adapters
   */
  public static Parameters savedModules(
      LoraConfig config, Map<String, long[]> model, Ops ops, Arena owner) {
    if (config.modulesToSave().isEmpty()) {
      return null;
    }
    Map<String, long[]> shapes = new LinkedHashMap<>();
    Map<String, long[]> whole = new LinkedHashMap<>();
    model.forEach(
        (tensor, shape) -> {
          String module = tensor.substring(0, tensor.length() - ".weight".length());
          boolean product = shape.length == 2 && !NO_PRODUCT.matcher(module).matches();
          boolean adapted = product && config.targets(module);
          if (adapted) {
            shapes.put(module + A, new long[] {config.rank(), shape[1]});
            shapes.put(module + B, new long[] {shape[0], config.rank()});
          }
          if (config.saves(module)) {
            requireSavable(module, adapted);
            whole.put(tensor, shape);
          }
        });
    for (String name : config.modulesToSave()) {
      if (whole.keySet().stream().noneMatch(tensor -> tensor.endsWith(name + ".weight"))) {
        throw new InvalidInputException(
            "No module of the model is named by %s of modules-to-save: lm_head, layer_norm,"
                    .formatted(name)
                + " final_layer_norm, relative_attention_bias and wo can be");
      }
    }
    shapes.putAll(whole);
    return new Parameters(shapes, ops, owner);
  }

  private static void requireSavable(String module, boolean adapted) {
    if (module.equals("shared")) {
      throw new InvalidInputException(
          "The embedding cannot be one of modules-to-save: PEFT's copy of it is read by neither"
              + " stack of a T5");
    }
    if (adapted || IN_ONE_PRODUCT.matcher(module).matches()) {
      throw new InvalidInputException(
          module
              + (adapted
                  ? " is adapted and one of modules-to-save: choose one of them"
                  : " cannot be one of modules-to-save: name it in target-modules, or merge the"
                      + " adapter that saves it"));
    }
  }

  /**
   * Makes adapters that continue from saved ones. Rank, alpha and target modules are the adapter's
   * own; dropout is that of the configuration.
   *
   * @param saved of {@link #savedModules}, as in {@link #create}
   * @throws InvalidInputException where the adapter belongs to another model or its modules have
   *     different ranks
   */
  public static LoraAdapter from(
      PeftAdapter start,
      float dropout,
      List<Linear> linears,
      Parameters saved,
      Ops ops,
      Arena owner) {
    LoraConfig config = config(start, dropout, start.targetModules());
    LoraConfig exact = config(start, dropout, List.copyOf(start.modules().keySet()));
    LoraAdapter adapter = new LoraAdapter(exact, config, linears, saved, ops, owner);
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
      a.value().write(module.a()::toFloat32);
      b.value().write(module.b()::toFloat32);
    }
    adapter.attach(linears, ops, owner);
    return adapter;
  }

  /**
   * Returns the configuration of saved adapters, with each of their modules named.
   *
   * @throws InvalidInputException where they are of a kind that is not trained further
   */
  public static LoraConfig config(PeftAdapter start, float dropout) {
    return config(start, dropout, List.copyOf(start.modules().keySet()));
  }

  private static LoraConfig config(PeftAdapter start, float dropout, List<String> targets) {
    if (start.prompt().isPresent()) {
      start.requireKind(PeftAdapter.Kind.LORA, "only LoRA adapters are trained further here");
    }
    List<String> listed = start.modulesToSave();
    if (listed.isEmpty()) {
      start.requireAddsOnly(
          "only plain LoRA adapters are trained further; merge it and train on that");
    } else {
      start.requireNoDora("only plain LoRA adapters are trained further; merge it");
    }
    return new LoraConfig(
        start.rank(), (float) start.alpha(), dropout, targets, start.rankStabilised(), listed);
  }

  private LoraAdapter(
      LoraConfig chosen,
      LoraConfig config,
      List<Linear> linears,
      Parameters saved,
      Ops ops,
      Arena owner) {
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
      throw noLayer(chosen.targetModules());
    }
    parameters = saved == null ? new Parameters(shapes, ops, owner) : saved;
  }

  /** Returns the refusal of target modules that name no layer. */
  static InvalidInputException noLayer(List<String> targets) {
    return new InvalidInputException(
        "No layer of the model is named by the target modules "
            + String.join(",", targets)
            + ": T5 has q, k, v, o, wi_0, wi_1 (or wi) and wo");
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
  @Override
  public Parameters parameters() {
    return parameters;
  }

  @Override
  public String tensorName(String parameter) {
    return "base_model.model." + parameter;
  }

  @Override
  public float dropout() {
    return config.dropout();
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

  @Override
  public void write(Path folder, String baseModel, List<Parameter> others) {
    PeftFolder.write(folder, this, configuration(baseModel), others);
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
    if (config.modulesToSave().isEmpty()) {
      json.putNull("modules_to_save");
    } else {
      ArrayNode saved = json.putArray("modules_to_save");
      config.modulesToSave().forEach(saved::add);
    }
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
