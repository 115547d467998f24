package dev.precis;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.random.SplitMix64;
import dev.precis.tensor.DType;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class ClassifierTest {
  @ParameterizedTest
  @EnumSource(
      value = DType.class,
      names = {"FLOAT32", "BFLOAT16"})
  void thePlanHolds(DType dtype) {
    List<String> texts = new ArrayList<>();
    SplitMix64 random = new SplitMix64(3);
    for (int i = 0; i < 400; i++) {
      texts.add("Ann is late again. ".repeat(i % 2 == 0 ? 0 : random.below(20)));
    }
    Classifier.LoadOptions options = new Classifier.LoadOptions().dtype(dtype).threads(2);
    try (Classifier planned = Classifier.load(Fixtures.folder("roberta-tiny"), options);
        Classifier unplanned = Classifier.load(Fixtures.folder("roberta-tiny"), options)) {
      long activations = planned.plan().parts().get("activations");
      assertEquals(unplanned.score(texts), planned.score(texts));
      assertTrue(planned.peak() <= activations, planned.peak() + " of " + activations);
      assertTrue(planned.peak() > activations / 2, planned.peak() + " of " + activations);
    }
  }
}
