package dev.precis.training;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.precis.Fixtures;
import dev.precis.device.DeviceOptions;
import dev.precis.layers.Parameters;
import dev.precis.layers.Parameters.Parameter;
import dev.precis.ops.Ops;
import dev.precis.tensor.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.util.LinkedHashMap;
import java.util.Map;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import tools.jackson.databind.JsonNode;

/** Four steps against torch.optim and transformers' Adafactor (golden/optimizers.json). */
class OptimizerTest {
  @ParameterizedTest
  @CsvSource({
    "adamw, ADAMW, 0, false",
    "adam, ADAM, 0, false",
    "sgd, SGD, 0, false",
    "sgd_momentum, SGD, 0.9, false",
    "adafactor, ADAFACTOR, 0, false",
    "adafactor_scaled, ADAFACTOR, 0, true"
  })
  void asPyTorch(String name, Optimizer.Kind kind, float momentum, boolean scaled) {
    JsonNode golden = Fixtures.json("optimizers.json");
    Map<String, long[]> shapes = new LinkedHashMap<>();
    shapes.put("matrix", new long[] {5, 7});
    shapes.put("vector", new long[] {9});
    try (Ops ops = Ops.open(new DeviceOptions().threads(1));
        Arena arena = Arena.ofShared()) {
      Parameters parameters = new Parameters(shapes, ops, arena);
      parameters.all().forEach(p -> fill(p.value(), golden.get(p.name())));
      float decay = golden.get("weight_decay").floatValue();
      Optimizer optimizer =
          Optimizer.create(
              new Optimizer.Settings(kind, decay, 0.9f, 0.999f, 1e-8f, momentum, scaled),
              parameters,
              ops,
              arena);
      int step = 0;
      for (JsonNode gradients : golden.get("gradients")) {
        // As clipping does: half of twice the gradient is the gradient.
        parameters.all().forEach(p -> fill(p.gradient(), gradients.get(p.name()), 2));
        optimizer.step(++step, golden.get("learning_rate").floatValue(), 0.5f);
      }
      for (Parameter parameter : parameters.all()) {
        JsonNode want = golden.get("results").get(name).get(parameter.name());
        for (int i = 0; i < want.size(); i++) {
          assertEquals(
              want.get(i).doubleValue(),
              parameter.value().memory().getAtIndex(ValueLayout.JAVA_FLOAT, i),
              2e-6,
              parameter.name() + " " + i);
        }
      }
    }
  }

  private static void fill(Tensor tensor, JsonNode values) {
    fill(tensor, values, 1);
  }

  private static void fill(Tensor tensor, JsonNode values, float factor) {
    for (int i = 0; i < values.size(); i++) {
      tensor.memory().setAtIndex(ValueLayout.JAVA_FLOAT, i, values.get(i).floatValue() * factor);
    }
  }
}
