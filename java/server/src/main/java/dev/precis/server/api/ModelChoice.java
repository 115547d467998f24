package dev.precis.server.api;

import dev.precis.server.http.HttpFailure;
import dev.precis.server.models.ServedModels;
import dev.precis.server.models.ServedModels.Served;
import java.util.List;

/** Finds the model that a request names; it may name none if only one fits. */
final class ModelChoice {
  private ModelChoice() {}

  /** Returns the model that generates text for a request. */
  static Served generator(RequestFields fields, ServedModels models) {
    String name = fields.text("model");
    List<Served> fitting = models.all();
    if (name == null) {
      if (fitting.size() == 1) {
        return fitting.getFirst();
      }
      throw RequestFields.missing("model");
    }
    return models
        .find(name)
        .orElseThrow(
            () ->
                HttpFailure.unknownModel(
                    "There is no such model here; there are " + names(fitting) + "."));
  }

  private static String names(List<Served> models) {
    return String.join(", ", models.stream().map(Served::name).toList());
  }
}
