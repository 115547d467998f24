package dev.precis.server.api;

import dev.precis.server.http.HttpFailure;
import dev.precis.server.models.ServedModels;
import dev.precis.server.models.ServedModels.Served;
import java.util.List;
import java.util.function.Predicate;

/** Finds the model that a request names; it may name none if only one fits. */
final class ModelChoice {
  private ModelChoice() {}

  /** Returns the model that generates text for a request. */
  static Served generator(RequestFields fields, ServedModels models) {
    return choose(fields, models, model -> model.generator() != null, "generates text");
  }

  /** Returns the model that classifies texts for a request. */
  static Served classifier(RequestFields fields, ServedModels models) {
    return choose(fields, models, model -> model.classifier() != null, "is a classifier");
  }

  /** Returns the model that a request names, of any kind. */
  static Served any(RequestFields fields, ServedModels models) {
    return choose(fields, models, model -> true, "is served");
  }

  private static Served choose(
      RequestFields fields, ServedModels models, Predicate<Served> fits, String does) {
    String name = fields.text("model");
    List<Served> fitting = models.all().stream().filter(fits).toList();
    if (name == null) {
      if (fitting.size() == 1) {
        return fitting.getFirst();
      }
      throw HttpFailure.badRequest(
          "model",
          fitting.isEmpty()
              ? "This server has no model that " + does + "."
              : "The request has no \"model\"; there are " + names(fitting) + ".");
    }
    return models
        .find(name)
        .filter(fits)
        .orElseThrow(
            () ->
                HttpFailure.unknownModel(
                    fitting.isEmpty()
                        ? "This server has no model that " + does + "."
                        : "No model of this name %s here; there are %s."
                            .formatted(does, names(fitting))));
  }

  private static String names(List<Served> models) {
    return String.join(", ", models.stream().map(Served::name).toList());
  }
}
