package dev.precis.evaluation;

import dev.precis.data.Summaries;
import dev.precis.io.InvalidInputException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * A dialogue with its references and the predictions to compare with them. It is the unit of every
 * statistic: a file may have several rows for a dialogue, with one reference each, as DialogSum's
 * test set on the hub does, and rows of one dialogue are not independent.
 *
 * @param id the dialogue's name, its first row's where it has several; or {@code null}
 * @param predictions one for each row of the dialogue
 * @param references all references of the dialogue
 */
public record EvaluationExample(String id, List<String> predictions, List<String> references) {
  /** Copies the lists. */
  public EvaluationExample {
    predictions = List.copyOf(predictions);
    references = List.copyOf(references);
  }

  /**
   * Matches predictions with references: by id if every row of both has one, else by order.
   *
   * @param predictionsName file name for error messages
   * @throws InvalidInputException where one side lacks an id of the other, or their numbers differ
   */
  public static List<EvaluationExample> match(
      List<Summaries> predictions,
      String predictionsName,
      List<Summaries> references,
      String referencesName) {
    boolean byId = allHaveIds(predictions) && allHaveIds(references);
    if (!byId && predictions.size() != references.size()) {
      throw new InvalidInputException(
          "%s has %d summaries and %s has %d; without an id in every row of both they are compared by order and must be as many"
              .formatted(predictionsName, predictions.size(), referencesName, references.size()));
    }
    Map<String, Summaries> byName =
        byId ? byId(predictions, predictionsName, references, referencesName) : null;
    Map<Object, List<Integer>> rowsOfDialogue = new LinkedHashMap<>();
    for (int i = 0; i < references.size(); i++) {
      String dialogue = references.get(i).dialogue();
      Object key = dialogue == null ? i : dialogue;
      rowsOfDialogue.computeIfAbsent(key, any -> new ArrayList<>()).add(i);
    }
    List<EvaluationExample> all = new ArrayList<>();
    for (List<Integer> rows : rowsOfDialogue.values()) {
      List<String> predicted = new ArrayList<>();
      List<String> referenced = new ArrayList<>();
      for (int row : rows) {
        Summaries reference = references.get(row);
        Summaries prediction = byId ? byName.get(reference.id()) : predictions.get(row);
        predicted.add(prediction.texts().getFirst());
        referenced.addAll(reference.texts());
      }
      all.add(new EvaluationExample(references.get(rows.getFirst()).id(), predicted, referenced));
    }
    return all;
  }

  private static boolean allHaveIds(List<Summaries> rows) {
    return rows.stream().allMatch(row -> row.id() != null);
  }

  private static Map<String, Summaries> byId(
      List<Summaries> predictions,
      String predictionsName,
      List<Summaries> references,
      String referencesName) {
    Map<String, Summaries> predicted = unique(predictions, predictionsName);
    Map<String, Summaries> referenced = unique(references, referencesName);
    for (Summaries each : predictions) {
      if (!referenced.containsKey(each.id())) {
        throw new InvalidInputException(
            "%s has a summary of '%s', which %s does not have"
                .formatted(predictionsName, each.id(), referencesName));
      }
    }
    long missing = references.stream().filter(row -> !predicted.containsKey(row.id())).count();
    for (Summaries each : references) {
      if (!predicted.containsKey(each.id())) {
        throw new InvalidInputException(
            "%s has no summary of '%s'%s, which %s has"
                .formatted(
                    predictionsName,
                    each.id(),
                    missing == 1 ? "" : " and %d more".formatted(missing - 1),
                    referencesName));
      }
    }
    return predicted;
  }

  private static Map<String, Summaries> unique(List<Summaries> rows, String name) {
    Map<String, Summaries> byId = HashMap.newHashMap(rows.size());
    for (Summaries row : rows) {
      if (byId.put(row.id(), row) != null) {
        throw new InvalidInputException("%s has the id '%s' twice".formatted(name, row.id()));
      }
    }
    return byId;
  }

  /** Returns the ROUGE scores of each dialogue: the mean over its predictions. */
  public static List<Rouge.Scores> score(
      List<EvaluationExample> all, Rouge rouge, Rouge.MultiReference combination) {
    return all.stream().map(each -> each.score(rouge, combination)).toList();
  }

  private Rouge.Scores score(Rouge rouge, Rouge.MultiReference combination) {
    List<Rouge.Scores> each = new ArrayList<>();
    // Rows of one dialogue mostly have the same prediction.
    for (String prediction : predictions) {
      int before = predictions.indexOf(prediction);
      each.add(
          before < each.size()
              ? each.get(before)
              : rouge.score(prediction, references, combination));
    }
    return Rouge.mean(each);
  }
}
