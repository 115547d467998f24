package dev.precis.lora;

import dev.precis.checkpoint.PeftAdapter;
import dev.precis.checkpoint.TensorView;
import dev.precis.io.InvalidInputException;
import dev.precis.layers.Ia3Training;
import dev.precis.layers.Linear;
import dev.precis.layers.Parameters;
import dev.precis.layers.Parameters.Parameter;
import dev.precis.layers.Part;
import dev.precis.ops.Ops;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;
import java.util.regex.Pattern;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * The vectors of IA3 (Liu et al. 2022) that are trained on a frozen model, and their way to and
 * from PEFT folders.
 */
public final class Ia3Adapter implements TrainedAdapter {
  private static final String VECTOR = ".ia3_l";

  /** Layers whose product is added to the residual stream as it is computed. */
  private static final Pattern ADDED = Pattern.compile(".*\\.(o|wo)");

  private final List<String> targets;
  private final List<String> feedForward;
  private final Parameters parameters;

  /**
   * Makes new vectors of ones, which change nothing yet.
   *
   * @param linears the products of the model; those chosen are trained from now on
   * @param owner frees parameters
   * @throws InvalidInputException where no layer is chosen, or one cannot be scaled so
   */
  public static Ia3Adapter create(Ia3Config config, List<Linear> linears, Ops ops, Arena owner) {
    Ia3Adapter adapter =
        new Ia3Adapter(
            config.targetModules(),
            config.feedForwardModules(),
            config::targets,
            config::scalesInput,
            linears,
            ops,
            owner);
    for (Parameter parameter : adapter.parameters.all()) {
      parameter
          .value()
          .write(
              to -> {
                for (long i = 0; i < parameter.elements(); i++) {
                  to.setAtIndex(ValueLayout.JAVA_FLOAT, i, 1f);
                }
              });
    }
    adapter.attach(linears, ops, owner);
    return adapter;
  }

  /**
   * Makes vectors that continue from saved ones.
   *
   * @throws InvalidInputException where the adapter belongs to another model, or is not an IA3
   *     adapter alone
   */
  public static Ia3Adapter from(PeftAdapter start, List<Linear> linears, Ops ops, Arena owner) {
    require(start);
    Map<String, TensorView> scales = start.scales();
    Ia3Adapter adapter =
        new Ia3Adapter(
            List.copyOf(scales.keySet()),
            scales.keySet().stream().filter(module -> scalesInput(start, module)).toList(),
            scales::containsKey,
            module -> scalesInput(start, module),
            linears,
            ops,
            owner);
    for (Map.Entry<String, TensorView> each : scales.entrySet()) {
      Parameter parameter = adapter.parameters.find(each.getKey() + VECTOR);
      TensorView vector = each.getValue();
      if (parameter == null || parameter.elements() != vector.elements()) {
        throw new InvalidInputException(
            ("%s scales %s by %d numbers, which this model's layer does not have: the adapter was"
                    + " trained on another model")
                .formatted(start.folder(), each.getKey(), vector.elements()));
      }
      parameter.value().write(vector::toFloat32);
    }
    adapter.attach(linears, ops, owner);
    return adapter;
  }

  /**
   * Makes sure that a saved adapter can be trained further.
   *
   * @throws InvalidInputException where it is not an IA3 adapter alone
   */
  public static void require(PeftAdapter start) {
    start.requireKind(PeftAdapter.Kind.IA3, "choose the method that it was trained with");
    if (!start.savedTensors().isEmpty()) {
      throw new InvalidInputException(
          start.folder()
              + " replaces modules of the base model, which are not trained further beside IA3:"
              + " merge it and train on that");
    }
  }

  /** Returns whether a saved adapter scales a layer's inputs. */
  public static boolean scalesInput(PeftAdapter start, String module) {
    TensorView vector = start.scales().get(module);
    return vector != null && vector.shape()[1] != 1;
  }

  private Ia3Adapter(
      List<String> targets,
      List<String> feedForward,
      Predicate<String> chosen,
      Predicate<String> scalesInput,
      List<Linear> linears,
      Ops ops,
      Arena owner) {
    this.targets = targets;
    this.feedForward = feedForward;
    Map<String, long[]> shapes = new LinkedHashMap<>();
    for (Linear linear : linears) {
      for (Part part : linear.parts()) {
        String module = part.name();
        if (!chosen.test(module)) {
          continue;
        }
        requireTrainable(linear, module, scalesInput.test(module));
        shapes.put(
            module + VECTOR,
            scalesInput.test(module)
                ? new long[] {1, linear.inputs()}
                : new long[] {part.outputs(), 1});
      }
    }
    if (shapes.isEmpty()) {
      throw LoraAdapter.noLayer(targets);
    }
    parameters = new Parameters(shapes, ops, owner);
  }

  private static void requireTrainable(Linear linear, String module, boolean scalesInput) {
    if (module.equals("lm_head") || module.equals("shared")) {
      throw new InvalidInputException(
          "The output layer cannot be scaled: its logits never exist whole");
    }
    if (scalesInput && linear.parts().size() > 1) {
      throw new InvalidInputException(
          module
              + " reads its input together with other layers, so that the input cannot be scaled"
              + " for it alone: of T5's layers, o and wo can be feed-forward modules");
    }
    if (!scalesInput && ADDED.matcher(module).matches()) {
      throw new InvalidInputException(
          module + " can be trained as a feed-forward module alone, whose input is scaled");
    }
  }

  private void attach(List<Linear> linears, Ops ops, Arena owner) {
    for (Linear linear : linears) {
      List<Ia3Training.Scale> own = new ArrayList<>();
      for (Part part : linear.parts()) {
        Parameter vector = parameters.find(part.name() + VECTOR);
        if (vector != null) {
          own.add(new Ia3Training.Scale(part, vector, vector.value().dim(1) == 1));
        }
      }
      if (!own.isEmpty()) {
        linear.train(new Ia3Training(linear.parts(), own, ops, owner));
      }
    }
  }

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
    return 0;
  }

  @Override
  public void write(Path folder, String baseModel, List<Parameter> others) {
    ObjectNode json = PeftFolder.configuration("IA3", baseModel);
    json.put("fan_in_fan_out", false);
    ArrayNode scaledInputs = json.putArray("feedforward_modules");
    feedForward.forEach(scaledInputs::add);
    json.put("init_ia3_weights", true);
    json.putNull("modules_to_save");
    ArrayNode names = json.putArray("target_modules");
    targets.forEach(names::add);
    PeftFolder.write(folder, this, json, others);
  }
}
