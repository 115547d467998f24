package dev.precis.spark;

import java.lang.reflect.Field;
import java.util.Arrays;
import java.util.Comparator;
import java.util.Objects;
import org.apache.spark.ml.param.Param;
import org.apache.spark.ml.param.Params;

/** The parameters of stages that hold them in public fields. */
final class FieldParams {
  private FieldParams() {}

  /** Returns those that a stage has, sorted by name; while it is made, some are not there yet. */
  static Param<?>[] of(Params stage) {
    return Arrays.stream(stage.getClass().getFields())
        .filter(field -> Param.class.isAssignableFrom(field.getType()))
        .map(field -> value(field, stage))
        .filter(Objects::nonNull)
        .sorted(Comparator.comparing(Param::name))
        .toArray(Param<?>[]::new);
  }

  private static Param<?> value(Field field, Params stage) {
    try {
      return (Param<?>) field.get(stage);
    } catch (IllegalAccessException e) {
      throw new IllegalStateException(e); // the stages and their fields are public
    }
  }
}
